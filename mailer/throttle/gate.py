"""What the sending loop asks before each message: may it leave now, and if not, when?

Holds what one worker knows of one server for a turn. Nothing here waits for more than one round
trip to Redis or a few short queries, and with nothing to limit it asks nobody.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import TypeVar

from django.conf import settings
from django.db import OperationalError

from iria_news.environment import SubmissionServer
from mailer.throttle import choosing, hours, limits, permits, reactions
from mailer.throttle.buckets import Answer
from mailer.throttle.choosing import Choice, Memory, Picked
from mailer.throttle.hours import Kind
from mailer.throttle.limits import History, Limit, Standing

log = logging.getLogger(__name__)

LOOK_EVERY = 0.25  # seconds; how soon an operator's change acts
HISTORY_EVERY = 5.0  # seconds
FLUSH_EVERY = 5.0  # seconds
OTHERS_TRIAL = 5.0  # seconds until a server is asked for again that another worker tries

T = TypeVar("T")


class Gate:
    """One worker's view of one server. Not for several threads."""

    def __init__(self, server: SubmissionServer) -> None:
        self.server = server
        self.on_trial = False  # this worker sends the one message that decides on the breaker
        self._permits = permits.shared(settings.REDIS_URL)
        self._memory = Memory()
        self._standing: Standing | None = None
        self._looked_at = 0.0
        self._history: History | None = None
        self._history_at = 0.0
        self._tally: Counter[tuple[str, Kind]] = Counter()
        self._flushed_at = time.monotonic()

    # --- how things stand -----------------------------------------------------------------------

    def look(self, *, force: bool = False) -> Standing:
        """How things stand, read again if that was over a quarter of a second ago.

        While the database is away, what was known before; OperationalError without that. The
        connection is left as it is: whoever settles results opens it anew.
        """
        now = time.monotonic()
        if self._standing is None or force or now - self._looked_at >= LOOK_EVERY:
            if force or now - self._history_at >= HISTORY_EVERY:
                self._history = None
            try:
                self._standing = limits.read(self.server, self._history)
            except OperationalError:
                if self._standing is None:
                    raise
                log.warning(
                    "server %s: its limits cannot be read, the old ones hold", self.server.name
                )
            if self._standing.history is not self._history:
                self._history, self._history_at = self._standing.history, now
            self._looked_at = now
        return self._standing

    def closed(self) -> tuple[float, str]:
        """For how many seconds nothing may leave, and why; 0 if something may.

        At most a minute: then the server may have been released, and is to be asked for again.
        Asked before a batch is claimed, it saves claiming it in vain.
        """
        standing = self.look()
        if standing.server.closed_for and not (self.on_trial and not self._is_held(standing)):
            return min(choosing.SERVER_AGAIN, standing.server.closed_for), standing.server.reason
        if standing.server.left_today == 0:
            return choosing.server_shut(standing, float("inf"))
        return 0.0, ""

    # --- choosing -------------------------------------------------------------------------------

    def pick(
        self,
        waiting: Iterable[T],
        *,
        domain: Callable[[T], str],
        in_flight: Mapping[str, int],
        room: int,
    ) -> Picked[T]:
        """Choose up to `room` rows, in order, that have their permits and may leave now.

        `domain` is a row's recipient domain (lower case, A-label), `in_flight` how many messages
        to each are on the wire. Rows passed over are to be put away for at least the seconds
        given; rows neither picked nor passed over wait in place for the next call. Whatever was
        picked and does not leave after all is for `give_back`.
        """
        closed_for, reason = self.closed()
        if closed_for:
            return Picked(closed_for=closed_for, closed_reason=reason)
        standing = self.look()
        total = sum(in_flight.values())
        if standing.server.connections is not None:
            room = min(room, standing.server.connections - total)
        if standing.is_trial or self.on_trial:
            room = min(room, 1 - total)
        if room <= 0:
            return Picked()
        if standing.is_trial and not self.on_trial and not self._wins_trial():
            return Picked(
                closed_for=OTHERS_TRIAL,
                closed_reason=f"Another worker tries it again: {standing.server.reason}",
            )
        if standing.is_free:
            return Picked(list(islice(waiting, room)))
        return self._choose(standing, waiting, domain=domain, in_flight=in_flight, room=room)

    def _choose(
        self,
        standing: Standing,
        waiting: Iterable[T],
        *,
        domain: Callable[[T], str],
        in_flight: Mapping[str, int],
        room: int,
    ) -> Picked[T]:
        now = time.monotonic()
        choice: Choice[T] = Choice(self.server.name, standing, self._memory, room=room, now=now)
        if wait := self._memory.wait(standing.server, now):
            return choice.wait_for_server(wait)
        choice.look_along(waiting, domain=domain, in_flight=in_flight)
        buckets = choice.buckets()
        count = len(choice.candidates)
        if not count or not any(bucket.is_limited for bucket in buckets):
            return choice.settle(Answer([number < room for number in range(count)], []), [])
        answer = self._permits.ask(buckets, choice.messages(buckets), most=room)
        return choice.settle(answer, buckets)

    def give_back(self, domain: str) -> None:
        """A picked row did not leave: its permit goes back with the next question."""
        for limit in self._limits_of(domain):
            self._memory.returned[limit.domain] += 1

    # --- what became of it ----------------------------------------------------------------------

    def note(self, domain: str, kind: Kind) -> None:
        """Count a result. What the server did not take leaves the day's limit as it was."""
        self._tally[domain, kind] += 1
        if kind != "sent":
            for limit in self._limits_of(domain):
                if limit.per_day is not None:
                    self._memory.unaccepted[limit.domain] += 1

    def flush(self, *, force: bool = False) -> None:
        """Write the counted results down, every five seconds at most unless forced.

        While the database is away they are kept. A killed worker takes them with it.
        """
        now = time.monotonic()
        if not self._tally or not (force or now - self._flushed_at >= FLUSH_EVERY):
            return
        self._flushed_at = now
        try:
            hours.add(self.server.name, self._tally)
        except OperationalError:
            log.warning("server %s: its hour cannot be written, it is kept", self.server.name)
        else:
            self._tally.clear()

    def session_worked(self) -> None:
        """A session was opened. Asks the database only if a failure is known of."""
        if self.on_trial or (self._standing is not None and self._standing.failures):
            reactions.session_worked(self.server.name)
            self.on_trial = False
            self.look(force=True)

    def session_failed(self, reason: str) -> bool:
        """No session could be opened; True if that opened the breaker, for all workers."""
        opened = reactions.session_failed(self.server.name, reason, on_trial=self.on_trial)
        self.on_trial = False
        self.look(force=True)
        return opened

    # --- parts ----------------------------------------------------------------------------------

    def _limits_of(self, domain: str) -> list[Limit]:
        """What is counted for a message to this domain: the server's limit, and the lane's."""
        if self._standing is None or self._standing.is_free:
            return []
        lane = self._standing.lanes.get(domain)
        return [self._standing.server, *([lane] if lane else [])]

    def _wins_trial(self) -> bool:
        self.on_trial = reactions.begin_trial(self.server.name)
        return self.on_trial

    @staticmethod
    def _is_held(standing: Standing) -> bool:
        return standing.server.closed_for == limits.HELD
