"""The batches a turn holds, and the rows of them that wait. Knows no connection."""

import operator
import random
import time
from collections import deque
from collections.abc import Collection, Container, Iterable, Sequence
from itertools import takewhile

from mailer.deliveries import leases
from mailer.deliveries.leases import Lease, Waiting
from mailer.deliveries.recipients import Recipients

MOST_LEASES = 2
JITTER = 0.2  # of a retry's wait, so that deferred batches do not come back in step
IDLE_SECONDS = 0.25  # between two looks for a batch when there was none


class Holding:
    def __init__(self, worker: str, server: str, recipients: Recipients) -> None:
        self.held: dict[int, Lease] = {}
        self.waiting: deque[Waiting] = deque()
        self._worker = worker
        self._server = server
        self._recipients = recipients
        self._jitter: dict[int, float] = {}  # one for each batch, so that its rows stay together
        self._passed_over: dict[int, float] = {}  # seconds that rows of a batch have to wait
        self._look_again = 0.0

    def claim(self, room: int) -> None:
        """Claim batches until as many rows wait as there is room for, or none is ready."""
        if time.monotonic() < self._look_again:
            return
        while len(self.waiting) < room and len(self.held) < MOST_LEASES:
            lease = leases.claim(self._worker, server=self._server)
            if lease is None:
                self._look_again = time.monotonic() + IDLE_SECONDS
                return
            self.held[lease.batch_id] = lease
            self._jitter[lease.batch_id] = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
            rows = leases.waiting(lease)
            self._recipients.load(lease, rows)
            self.waiting.extend(rows)
            if not rows:
                self.release(lease)

    def candidates(self, *, is_free: bool) -> Iterable[Waiting]:
        """The rows that may be tried now. A suspect goes alone, so that a crash names it.

        `is_free` says that nothing is on the wire.
        """
        if not self.waiting or not self.waiting[0].suspect:
            return self.waiting and takewhile(lambda row: not row.suspect, self.waiting)
        return [self.waiting[0]] if is_free else []

    def take(self, picked: Sequence[Waiting], passed_over: Sequence[Waiting]) -> None:
        """These rows wait no longer."""
        if not passed_over and all(map(operator.is_, picked, self.waiting)):
            for _ in picked:
                self.waiting.popleft()
            return
        gone = {*map(id, picked), *map(id, passed_over)}
        self.waiting = deque(row for row in self.waiting if id(row) not in gone)

    def retry_minutes(self, row: Waiting, minutes: float) -> float:
        """A retry's wait with the jitter of its batch."""
        return minutes * self._jitter.get(row.batch_id, 1.0)

    def pass_over(self, row: Waiting, seconds: float) -> None:
        """Leave a row for when its lane is open again; its neighbours go on."""
        known = self._passed_over.get(row.batch_id, seconds)
        self._passed_over[row.batch_id] = min(known, seconds)

    def forget_lost(self, held: Container[int]) -> list[int]:
        """Drop the batches that are not among `held`: another worker has them now."""
        lost = [batch_id for batch_id in self.held if batch_id not in held]
        for batch_id in lost:
            self._recipients.forget(self.held.pop(batch_id))
        if lost:
            self.waiting = deque(row for row in self.waiting if row.batch_id not in lost)
        return lost

    def drop_editions(self, editions: Container[int]) -> None:
        """Wait for no row of these: they are not sending now."""
        self.waiting = deque(row for row in self.waiting if row.edition_id not in editions)

    def release_finished(self, busy: Collection[int]) -> None:
        """Give back the batches of which no row waits and that are not among `busy`."""
        busy = self.held.keys() & busy
        if len(self.held) > len(busy):
            busy = {*busy, *(row.batch_id for row in self.waiting)}
            for lease in [each for each in self.held.values() if each.batch_id not in busy]:
                self.release(lease)

    def release(self, lease: Lease, *, wait_seconds: float = 0.0) -> None:
        """Give a batch back. Rows passed over wait for their lane, if no other row is left."""
        del self.held[lease.batch_id]
        self._jitter.pop(lease.batch_id, None)
        passed_over = self._passed_over.pop(lease.batch_id, 0.0)
        if any(row.batch_id == lease.batch_id for row in self.waiting):
            passed_over = 0.0  # rows that nobody has tried yet need not wait for those
        leases.release(lease, wait_seconds=max(wait_seconds, passed_over))
        self._recipients.forget(lease)
