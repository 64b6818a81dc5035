"""The sending loop: one database connection, several SMTP connections, one commit for both.

    claim a batch, and the next one when fewer rows are left than connections
    repeat: collect what finished -> one commit settles it and announces the next -> hand over

Nobody waits to fill a commit: it takes what finished while the one before was on its way. Each
connection has at most one announced message, so at most one is in doubt for each after a crash.
"""

import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import OperationalError, connection
from django.utils import timezone

from iria_news import mail
from iria_news.smtp import Kind, ServerUnavailable
from mailer import dialect, editions, messages, stopping
from mailer.deliveries import leases, outcomes
from mailer.deliveries.connections import Finished, Pool, Submission
from mailer.deliveries.leases import Exchange, Intent, Lease, Waiting
from mailer.deliveries.outcomes import Outcome
from mailer.deliveries.recipients import Recipients
from mailer.models import DeliveryState

log = logging.getLogger(__name__)

RENEWALS = 6  # for each lease, at least: a silent server keeps us waiting, the lease must not end
DATABASE_PATIENCE = 30  # seconds that results are kept while the database cannot be written
SERVER_AWAY_MINUTES = 0.5  # until a batch is tried again whose server could not be reached
FAULT_MINUTES = 1.0  # the same after an error of our own, or it would spin
MOST_LEASES = 2
AT_ONCE_LIMIT = 3  # tries of one row on fresh connections before it waits like a deferred one


@dataclass(frozen=True)
class Turn:
    """What one turn of a worker came to."""

    accepted: int  # messages
    commits: int


def send_ready_batches(*, worker: str, seconds: float, pool: Pool | None = None) -> Turn:
    """Claim and send batches until none is ready, the time is over or the worker shall stop.

    `pool` replaces the connections that the settings describe; it is closed at the end. Whatever
    raises, leases are given back, unless the database is away; then the reaper takes them.
    """
    dialect.flush_each_commit()
    loop = _Loop(worker, pool or _pool())
    try:
        loop.run(until=time.monotonic() + seconds)
    finally:
        loop.close()
    return Turn(loop.accepted, loop.commits)


def _pool() -> Pool:
    server = settings.SUBMISSION_SERVERS["default"]
    return Pool(server, size=server.connections, messages_each=server.messages_each)


class _Loop:
    """The state of one turn: what we hold, what waits, what is on the wire."""

    def __init__(self, worker: str, pool: Pool) -> None:
        self.worker = worker
        self.accepted = 0
        self.commits = 0
        self.pool = pool
        self.renew_seconds = settings.LEASE_SECONDS / RENEWALS
        self.recipients = Recipients()
        self.held: dict[int, Lease] = {}
        self.waiting: deque[Waiting] = deque()
        self.in_flight: dict[tuple[int, int], Waiting] = {}
        self.tries: dict[tuple[int, int], int] = {}
        self.retry_minutes: dict[int, float] = {}
        self.unsettled: list[Outcome] = []
        self.to_pause: dict[int, str] = {}
        self.server_away = False
        self.finished_cleanly = False

    # --- the loop -------------------------------------------------------------------------------

    def run(self, *, until: float) -> None:
        """Claim until the time is over, and finish what is claimed: a batch given back half done
        would wait, with its untried rows, for the sake of a deferred one."""
        while True:
            go_on = not stopping.asked() and not self.server_away
            if go_on and time.monotonic() < until:
                self._claim()
            if not self.in_flight and not (go_on and self.waiting):
                break
            can_announce = go_on and bool(self._next())
            self._collect(seconds=0 if can_announce else self.renew_seconds)
            go_on = go_on and not self.server_away
            self._turn(self._next() if go_on else [])
        self.finished_cleanly = True

    def _collect(self, *, seconds: float) -> None:
        """Outcomes stay in `unsettled` until a commit took them, whatever happens on the way."""
        for finished in self.pool.collect(seconds=seconds):
            self.unsettled.append(self._outcome(finished))

    def _turn(self, wanted: list[Waiting]) -> None:
        """One commit, and what follows from it."""
        for _ in wanted:
            self.waiting.popleft()
        asked_at = time.monotonic()
        done = self._exchange(wanted)
        self._pause_refused()
        self._forget_lost(done)
        announced = {(intent.edition_id, intent.subscriber_id) for intent in done.intents}
        rows = {(row.edition_id, row.subscriber_id): row for row in wanted}
        not_after = asked_at + settings.LEASE_SECONDS
        for intent in done.intents:
            row = rows[intent.edition_id, intent.subscriber_id]
            self._hand_over(intent, row, not_after=not_after)
        self._pass_over([row for key, row in rows.items() if key not in announced])
        self._release_finished()

    def _claim(self) -> None:
        while len(self.waiting) < self.pool.idle and len(self.held) < MOST_LEASES:
            lease = leases.claim(self.worker)
            if lease is None:
                return
            self.held[lease.batch_id] = lease
            rows = leases.waiting(lease)
            self.recipients.load(lease, rows)
            self.waiting.extend(rows)
            if not rows:
                self._release(lease)

    def _next(self) -> list[Waiting]:
        """The rows for the idle connections. A suspect goes alone, so that a crash names it."""
        if not self.waiting or not self.pool.idle:
            return []
        if self.waiting[0].suspect:
            return [] if self.in_flight else [self.waiting[0]]
        rows: list[Waiting] = []
        for row in self.waiting:
            if len(rows) == self.pool.idle or row.suspect:
                break
            rows.append(row)
        return rows

    # --- the wire -------------------------------------------------------------------------------

    def _hand_over(self, intent: Intent, row: Waiting, *, not_after: float) -> None:
        """Join the message and give it to a connection. One that cannot be built fails alone."""
        key = messages.key(intent.edition_id, intent.subscriber_id)
        try:
            message = self.recipients.message(row, intent, at=timezone.now())
        except (ValueError, LookupError) as error:  # this row fails alone (P13)
            log.exception("delivery %s cannot be built", key)
            self.unsettled.append(self._tied(row, outcomes.unbuildable(error)))
            return
        self.in_flight[intent.edition_id, intent.subscriber_id] = row
        submission = Submission(
            edition_id=intent.edition_id,
            subscriber_id=intent.subscriber_id,
            sender=mail.return_path(key),
            recipient=intent.address,
            message=message,
            key=key,
            not_after=not_after,
        )
        self.pool.hand_over(submission)

    def _outcome(self, finished: Finished) -> Outcome:
        done = finished.submission
        row = self.in_flight.pop((done.edition_id, done.subscriber_id))
        if finished.unavailable is not None:
            self._server_is_away(finished.unavailable, row)
        elif finished.result.stage == "mail" and finished.result.kind is Kind.REFUSED:
            self._pause(row, "refuses our sender", str(finished.result.text))
        verdict = outcomes.judge(
            finished.result,
            attempts=row.attempts + 1,
            policy=self.recipients.policy(row),
            resent=self.recipients.times_resent(row),
        )
        if verdict.state == DeliveryState.SENT:
            self.accepted += 1
        elif verdict.state == DeliveryState.PENDING:
            self._try_again(row, verdict)
        return self._tied(row, verdict, text=finished.result.text)

    def _try_again(self, row: Waiting, verdict: outcomes.Verdict) -> None:
        key = (row.edition_id, row.subscriber_id)
        self.tries[key] = self.tries.get(key, 0) + 1
        if verdict.retry_minutes or self.server_away:
            wait = verdict.retry_minutes or SERVER_AWAY_MINUTES
        elif self.tries[key] < AT_ONCE_LIMIT:
            self.waiting.append(row)  # certainly not sent, and no fault of its own
            return
        else:
            wait = outcomes.RETRY_MINUTES[0]
        known = self.retry_minutes.get(row.batch_id)
        self.retry_minutes[row.batch_id] = wait if known is None else min(known, wait)

    def _server_is_away(self, error: ServerUnavailable, row: Waiting) -> None:
        if not self.server_away:
            log.warning("the submission server cannot be used: %s", error)
        self.server_away = True
        if error.stage == "auth" or error.code in outcomes.CREDENTIAL_CODES:
            self._pause(row, "refuses our credentials", str(error))

    def _pause(self, row: Waiting, what: str, words: str) -> None:
        """Stop an edition whose every message would be refused, with a reason a person can use."""
        self.server_away = True
        self.to_pause[row.edition_id] = (
            f"The submission server {what}: {self.recipients.without_addresses(words)[:110]}. "
            "Correct EMAIL_URL or MAIL_FROM, then resume."
        )

    def _pause_refused(self) -> None:
        for edition_id, reason in self.to_pause.items():
            editions.pause(self.recipients.edition(edition_id), reason=reason)
        self.to_pause.clear()

    def _tied(self, row: Waiting, verdict: outcomes.Verdict, *, text: str = "") -> Outcome:
        return Outcome(
            row.edition_id,
            row.subscriber_id,
            row.batch_id,
            verdict.state,
            verdict.reason,
            verdict.event,
            self.recipients.without_addresses(text),
            verdict.counts_as_attempt,
            verdict.retry_minutes,
        )

    # --- the rows -------------------------------------------------------------------------------

    def _exchange(self, wanted: Sequence[Waiting]) -> Exchange:
        """Commit; while the database cannot be written, keep the results and start nothing."""
        found = list(self.unsettled)
        give_up = time.monotonic() + DATABASE_PATIENCE
        while True:
            try:
                self.commits += 1
                proven = self._proven(found)
                done = leases.exchange(self.held.values(), found, wanted, proven=proven)
                self.unsettled = self.unsettled[len(found) :]
                return done
            except OperationalError:
                if time.monotonic() > give_up:
                    raise
                log.warning("the database cannot be written; trying again")
                connection.close()
                time.sleep(1)
                wanted = []

    def _proven(self, found: Sequence[Outcome]) -> set[int]:
        """Batches that lost an owner, of which something is settled and no suspect is left."""
        suspected = {row.batch_id for row in self.waiting if row.suspect}
        suspected |= {row.batch_id for row in self.in_flight.values() if row.suspect}
        settled = {outcome.batch_id for outcome in found}
        return {
            batch_id
            for batch_id, lease in self.held.items()
            if lease.losses and batch_id in settled and batch_id not in suspected
        }

    def _forget_lost(self, done: Exchange) -> None:
        """Another worker has these batches now; what we wrote for them counts only if sent."""
        for batch_id in [batch_id for batch_id in self.held if batch_id not in done.held]:
            log.warning("lease of batch %s was lost", batch_id)
            del self.held[batch_id]
            self.waiting = deque(row for row in self.waiting if row.batch_id != batch_id)

    def _pass_over(self, rows: list[Waiting]) -> None:
        """Rows without an intent: skipped for a reason, or their edition is not sending now."""
        if not rows:
            return
        skipped = leases.refusals(rows)
        if skipped:
            self.unsettled += skipped
            self._exchange([])
        named = {(outcome.edition_id, outcome.subscriber_id) for outcome in skipped}
        stopped = {
            row.edition_id for row in rows if (row.edition_id, row.subscriber_id) not in named
        }
        self.waiting = deque(row for row in self.waiting if row.edition_id not in stopped)

    def _release_finished(self) -> None:
        busy = {row.batch_id for row in self.waiting}
        busy |= {row.batch_id for row in self.in_flight.values()}
        busy |= {outcome.batch_id for outcome in self.unsettled}
        for lease in [lease for batch_id, lease in self.held.items() if batch_id not in busy]:
            self._release(lease)

    def _release(self, lease: Lease, *, minutes: float = 0.0) -> None:
        del self.held[lease.batch_id]
        leases.release(
            lease, retry_minutes=max(minutes, self.retry_minutes.pop(lease.batch_id, 0.0))
        )
        self.recipients.forget(lease)

    def close(self) -> None:
        """Give back what we hold, after the replies of what is on the wire."""
        try:
            while self.in_flight or self.unsettled:
                self._collect(seconds=self.renew_seconds)
                # Raises if the database is still away: then nothing is given back, and the reaper
                # treats what is in SENDING as the newsletter wants mail in doubt to be treated.
                self._forget_lost(self._exchange([]))
        finally:
            self.pool.close()
        self._pause_refused()
        for lease in list(self.held.values()):
            wait = SERVER_AWAY_MINUTES if self.server_away else 0.0
            self._release(lease, minutes=wait if self.finished_cleanly else FAULT_MINUTES)
