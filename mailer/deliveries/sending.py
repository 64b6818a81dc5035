"""The sending loop: one database connection, several SMTP connections, one commit for both.

    claim a batch, and the next one when fewer rows are left than connections
    repeat: collect what finished -> one commit settles it and announces the next -> hand over

Nobody waits to fill a commit: it takes what finished while the one before was on its way. Each
connection has at most one announced message, so at most one is in doubt for each after a crash.
"""

import logging
import time
from collections import Counter
from dataclasses import dataclass

from django.conf import settings
from django.db import (
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    connection,
)

from iria_news.environment import SubmissionServer
from mailer import dialect, stopping
from mailer.deliveries import leases
from mailer.deliveries.backends import BackendPool
from mailer.deliveries.connection import Finished
from mailer.deliveries.connections import Pool
from mailer.deliveries.exchanger import Exchanger
from mailer.deliveries.exchanging import Exchange, Intent, Request, exchange
from mailer.deliveries.head_starts import HeadStarts
from mailer.deliveries.holding import Holding
from mailer.deliveries.leases import Waiting
from mailer.deliveries.outcomes import Effect, unbuildable
from mailer.deliveries.reacting import Reactions
from mailer.deliveries.recipients import UNBUILDABLE, Recipients
from mailer.deliveries.results import Results
from mailer.throttle.gate import LOOK_EVERY, Gate

log = logging.getLogger(__name__)

# What a database says that cannot be written now: gone, starting, read-only after a fail-over, or
# changed under a prepared statement. Any other error is a fault of ours.
UNWRITABLE = (OperationalError, InternalError, InterfaceError, NotSupportedError)
RENEWALS = 6  # for each lease, at least: a silent server keeps us waiting, the lease must not end
DATABASE_PATIENCE = 30  # seconds that results are kept while the database cannot be written
LEASE_MARGIN = 1 / 3  # of the lease must be left before MAIL is said
SERVER_AWAY_SECONDS = 30  # until a batch is tried again whose server could not be reached
SHORTEST_WAIT = 0.002  # seconds, for a permit
FAULT_SECONDS = 60  # the same after an error of our own, or it would spin


@dataclass(frozen=True)
class Turn:
    """What one turn of a worker came to."""

    accepted: int  # messages
    commits: int


def send_ready_batches(
    *, worker: str, seconds: float, server: str = "default", pool: Pool | BackendPool | None = None
) -> Turn:
    """Claim and send batches until none is ready, the time is over or the worker shall stop.

    `pool` replaces the connections that the settings describe; it is closed at the end. Whatever
    raises, leases are given back, unless the database is away; then the reaper takes them.
    """
    dialect.begin_sending()
    taker = settings.SUBMISSION_SERVERS[server]
    loop = _Loop(worker, taker, pool or _pool(taker))
    try:
        loop.run(until=time.monotonic() + seconds)
    finally:
        try:
            loop.close()
        finally:
            dialect.end_sending()
    return Turn(loop.results.total_accepted, loop.commits)


def _pool(server: SubmissionServer) -> Pool | BackendPool:
    kind = BackendPool if server.backend else Pool
    return kind(server, size=server.connections, messages_each=server.messages_each)


class _Loop:
    """The state of one turn: what is announced, what is on the wire, what is not yet settled."""

    def __init__(self, worker: str, server: SubmissionServer, pool: Pool | BackendPool) -> None:
        self.commits = 0
        self.pool = pool
        self.gate = Gate(server)
        self.recipients = Recipients()
        self.reactions = Reactions(self.gate, self.recipients)
        self.holding = Holding(worker, server.name, self.recipients)
        self.results = Results(self.recipients, self.holding, self.reactions)
        self.exchanger = Exchanger()
        self.server = server.name
        self.lease_seconds = settings.LEASE_SECONDS
        self.renew_seconds = settings.LEASE_SECONDS / RENEWALS
        self.renewed_at = 0.0
        self.announcing: dict[tuple[int, int], Waiting] = {}  # by the commit under way
        self.in_flight: dict[tuple[int, int], Waiting] = {}
        self.early = HeadStarts(self.pool, self.recipients, self.holding)
        self.busy: Counter[str] = Counter()  # messages on the wire, by domain
        self.until = 0.0  # on the monotonic clock: when the turn is over
        self.wait = 0.0  # seconds until a row that waits may get its permit
        self.closed_for = 0.0  # seconds: the server takes nothing now
        self.finished_cleanly = False

    # --- the loop -------------------------------------------------------------------------------

    def run(self, *, until: float) -> None:
        """Send until nothing is ready, the time is over or the server takes nothing."""
        self.until = until
        while True:
            if not self.exchanger.is_under_way:
                self._with_free_database()
            self._collect(seconds=self._patience())
            self._end_exchange()
            if self._is_at_rest and not (self._goes_on and self.holding.waiting):
                break
        self.finished_cleanly = True

    def _with_free_database(self) -> None:
        """What takes queries of its own, and then the next commit."""
        try:
            self.reactions.act()
            self._release_finished()
            if self._goes_on and not self._has_orphans and self._is_open():
                self.holding.claim(self.pool.idle)
            wanted = self._next() if self._goes_on else []
        except UNWRITABLE:
            self._after_failure()
            return
        self._begin_exchange(wanted)

    @property
    def _goes_on(self) -> bool:
        is_over = stopping.asked() or time.monotonic() > self.until
        return not (self.closed_for or is_over)

    @property
    def _is_at_rest(self) -> bool:
        return not (self.exchanger.is_under_way or self.in_flight or self.results)

    @property
    def _has_orphans(self) -> bool:
        """Whether a lost batch has a message on the wire: claimed again, it would be sent twice."""
        held = self.holding.held.keys()
        in_flight = {row.batch_id for row in self.in_flight.values()}
        return not (in_flight | self.results.batches()) <= held

    def _is_open(self) -> bool:
        self._shut(*self.gate.closed())
        return not self.closed_for

    def _shut(self, seconds: float, reason: str) -> None:
        if seconds and not self.closed_for:
            log.info("server %s takes nothing for %.0f s: %s", self.server, seconds, reason)
        self.closed_for = max(self.closed_for, seconds)

    def _patience(self) -> float:
        """How long to wait for an answer before looking up: at what waits, or to renew a lease."""
        if self.exchanger.is_under_way:
            return self.renew_seconds if self.exchanger.fileno is not None else 0.0
        if self.holding.waiting and self.wait and self._goes_on:
            return min(max(self.wait, SHORTEST_WAIT), LOOK_EVERY)
        return self.renew_seconds if self.in_flight else 0.0

    def _collect(self, *, seconds: float) -> None:
        """Take in what finished; it stays in `results` until a commit took it."""
        if self._is_at_rest:
            time.sleep(seconds)  # nothing is on the way: only a permit is waited for
            return
        for finished in self.pool.collect(seconds=seconds, also=self.exchanger.fileno):
            self._take_in(finished)

    def _next(self) -> list[Waiting]:
        """The rows for the idle connections that may leave now."""
        room, self.wait = self.pool.idle, 0.0
        waiting = self.holding.candidates(is_free=not self.in_flight)
        if not waiting or not room or any(row.suspect for row in self.in_flight.values()):
            return []
        picked = self.gate.pick(waiting, domain=_domain, in_flight=self.busy, room=room)
        self.wait = picked.wait
        self._shut(picked.closed_for, picked.closed_reason)
        for row, seconds in picked.passed_over:
            self.holding.pass_over(row, seconds)
        self.holding.take(picked.rows, [row for row, _ in picked.passed_over])
        return picked.rows

    # --- the commit -----------------------------------------------------------------------------

    def _begin_exchange(self, wanted: list[Waiting]) -> None:
        """Settle what finished, announce what is next, or renew a lease that needs it."""
        now = time.monotonic()
        if not (wanted or self.results or (self.holding.held and now > self.renewed_at)):
            return
        self.announcing = {(row.edition_id, row.subscriber_id): row for row in wanted}
        request = self._request(wanted)
        try:
            self.early.build(wanted, not_after=self.not_after)
            if not self.exchanger.is_quick:  # it keeps us waiting, but not the servers
                self.early.start()
            self.exchanger.begin(request)
            self.early.start()
        except UNWRITABLE:
            self._after_failure()

    def _request(self, wanted: list[Waiting]) -> Request:
        self.commits += 1
        now = time.monotonic()
        self.renewed_at = now + self.renew_seconds
        self.not_after = now + self.lease_seconds * (1 - LEASE_MARGIN)
        held = list(self.holding.held.values())
        accepted, outcomes = self.results.snapshot()
        return Request(held, accepted, outcomes, wanted, self._proven(), self.server)

    def _end_exchange(self) -> None:
        """If the commit has ended: hand over what it announced."""
        if not self.exchanger.is_under_way:
            return
        try:
            done = self.exchanger.result()
        except UNWRITABLE:
            self._after_failure()
            return
        if done is not None:
            self._apply(done)
        elif time.monotonic() > self.not_after:  # the line to the database is dead, we hear nothing
            self._after_failure()

    def _apply(self, done: Exchange) -> None:
        self.results.taken(done.request)
        for batch_id in self.holding.forget_lost(done.held):
            log.warning("lease of batch %s was lost", batch_id)
        wanted, self.announcing = self.announcing, {}
        for intent in done.intents:
            row = wanted.pop((intent.edition_id, intent.subscriber_id))
            if self.early.goes_on(intent):
                self._note_in_flight(row)
            else:
                self._hand_over(intent, row)
        for finished in self.early.end():
            self._take_in(finished)
        if wanted:
            self._refuse(list(wanted.values()))

    def _after_failure(self) -> None:
        """Keep the results and start nothing until the database can be written again.

        Rows that a lost commit may have announced are in SENDING with nothing on the wire: giving
        their batches back makes them pending. Raises when the patience is over.
        """
        self.exchanger.forget()
        self.early.end()
        for row in self.announcing.values():
            self.gate.give_back(row.domain)
        self.announcing = {}
        self.holding.waiting.clear()
        give_up = time.monotonic() + DATABASE_PATIENCE
        while True:
            log.warning("the database cannot be written; trying again")
            self._collect(seconds=0)
            connection.close()
            time.sleep(1)
            try:
                dialect.begin_sending()  # the new connection has not heard of it yet
                self._apply(exchange(self._request([])))
            except UNWRITABLE:
                if time.monotonic() > give_up:
                    raise
            else:
                return

    def _proven(self) -> frozenset[int]:
        """Batches that lost an owner, of which something is settled and no suspect is left."""
        lost = {batch_id for batch_id, lease in self.holding.held.items() if lease.losses}
        if not lost:
            return frozenset()
        rows = [*self.holding.waiting, *self.in_flight.values(), *self.announcing.values()]
        suspected = {row.batch_id for row in rows if row.suspect}
        return frozenset(lost & self.results.batches() - suspected)

    # --- the wire -------------------------------------------------------------------------------

    def _hand_over(self, intent: Intent, row: Waiting) -> None:
        """Join the message and give it to a connection. One that cannot be built fails alone."""
        try:
            submission = self.recipients.submission(row, intent, not_after=self.not_after)
        except UNBUILDABLE as error:  # this row fails alone (P13)
            log.exception("delivery %s/%s cannot be built", row.edition_id, row.subscriber_id)
            self.gate.give_back(row.domain)
            self.results.set_down(row, unbuildable(error))
            return
        self._note_in_flight(row)
        self.pool.hand_over(submission)

    def _note_in_flight(self, row: Waiting) -> None:
        self.in_flight[row.edition_id, row.subscriber_id] = row
        self.busy[row.domain] += 1

    def _take_in(self, finished: Finished) -> None:
        if self.early.keeps(finished):
            return
        done = finished.submission
        row = self.in_flight.pop((done.edition_id, done.subscriber_id))
        self.busy[row.domain] -= 1
        is_alone = finished.unavailable is not None and not self.pool.has_open_line
        verdict = self.results.take_in(row, finished, is_alone=is_alone)
        if verdict is None:
            return
        if verdict.effect is Effect.CONNECTION_CAP:
            self.pool.wear_out_after(finished.result.messages_before)
        elif verdict.effect is Effect.SERVER_AWAY and not is_alone:
            self.pool.narrow()
        elif verdict.effect in {Effect.SERVER_AWAY, Effect.SERVER_REFUSES}:
            self._shut(SERVER_AWAY_SECONDS, verdict.reason or "no session could be opened")

    # --- the rows -------------------------------------------------------------------------------

    def _refuse(self, rows: list[Waiting]) -> None:
        """Rows that got no intent: skipped for a reason, or their edition is not sending now."""
        for row in rows:
            self.gate.give_back(row.domain)
        skipped = leases.refusals(rows)
        self.results.keep(skipped)
        named = {(outcome.edition_id, outcome.subscriber_id) for outcome in skipped}
        stopped = {
            row.edition_id for row in rows if (row.edition_id, row.subscriber_id) not in named
        }
        if stopped:
            self.holding.drop_editions(stopped)

    def _release_finished(self) -> None:
        if not self.holding.held:
            return
        busy = {row.batch_id for row in self.in_flight.values()}
        self.holding.release_finished(busy | self.results.batches())

    def close(self) -> None:
        """Give back what we hold, after the replies of what is on the wire."""
        try:
            while not self._is_at_rest:
                if not self.exchanger.is_under_way:
                    self._begin_exchange([])
                self._collect(seconds=self._patience())
                # Raises if the database is still away: then nothing is given back, and the reaper
                # treats what is in SENDING as the newsletter wants mail in doubt to be treated.
                self._end_exchange()
        finally:
            self.pool.close()
        try:
            self.reactions.act()
            self.gate.flush(force=True)
        finally:
            wait = self.closed_for if self.finished_cleanly else FAULT_SECONDS
            for lease in list(self.holding.held.values()):
                self.holding.release(lease, wait_seconds=wait)


def _domain(row: Waiting) -> str:
    return row.domain
