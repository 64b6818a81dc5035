"""The sending loop: one database connection, several SMTP connections, one commit for both.

    claim a batch, and the next one when fewer rows are left than connections
    repeat: collect what finished -> one commit settles it and announces the next -> hand over

Nobody waits to fill a commit: it takes what finished while the one before was on its way. Each
connection has at most one announced message, so at most one is in doubt for each after a crash.
"""

import logging
import time
from dataclasses import dataclass, replace

from django.conf import settings
from django.db import OperationalError, connection
from django.utils import timezone

from iria_news import mail
from iria_news.environment import SubmissionServer
from iria_news.smtp import Kind, ServerUnavailable
from mailer import dialect, editions, messages, stopping
from mailer.deliveries import leases, outcomes
from mailer.deliveries.connections import Finished, Pool, Submission
from mailer.deliveries.exchanging import (
    Accepted,
    Exchange,
    Exchanger,
    Intent,
    Request,
    exchange,
)
from mailer.deliveries.holding import Holding
from mailer.deliveries.leases import Waiting
from mailer.deliveries.outcomes import Outcome
from mailer.deliveries.recipients import Recipients
from mailer.models import DeliveryState

log = logging.getLogger(__name__)

RENEWALS = 6  # for each lease, at least: a silent server keeps us waiting, the lease must not end
DATABASE_PATIENCE = 30  # seconds that results are kept while the database cannot be written
LEASE_MARGIN = 1 / 3  # of the lease must be left before MAIL is said
SERVER_AWAY_SECONDS = 30  # until a batch is tried again whose server could not be reached
FAULT_SECONDS = 60  # the same after an error of our own, or it would spin
AT_ONCE_LIMIT = 3  # tries of one row on fresh connections before it waits like a deferred one


@dataclass(frozen=True)
class Turn:
    """What one turn of a worker came to."""

    accepted: int  # messages
    commits: int


def send_ready_batches(
    *, worker: str, seconds: float, server: str = "default", pool: Pool | None = None
) -> Turn:
    """Claim and send batches until none is ready, the time is over or the worker shall stop.

    `pool` replaces the connections that the settings describe; it is closed at the end. Whatever
    raises, leases are given back, unless the database is away; then the reaper takes them.
    """
    dialect.flush_each_commit()
    taker = settings.SUBMISSION_SERVERS[server]
    loop = _Loop(worker, taker, pool or _pool(taker))
    try:
        loop.run(until=time.monotonic() + seconds)
    finally:
        loop.close()
    return Turn(loop.accepted, loop.commits)


def _pool(server: SubmissionServer) -> Pool:
    return Pool(server, size=server.connections, messages_each=server.messages_each)


class _Loop:
    """The state of one turn: what is announced, what is on the wire, what is not yet settled."""

    def __init__(self, worker: str, server: SubmissionServer, pool: Pool) -> None:
        self.accepted = 0
        self.commits = 0
        self.pool = pool
        self.recipients = Recipients()
        self.holding = Holding(worker, server.name, self.recipients)
        self.exchanger = Exchanger()
        self.lease_seconds = settings.LEASE_SECONDS
        self.renew_seconds = settings.LEASE_SECONDS / RENEWALS
        self.renewed_at = 0.0
        self.announcing: dict[tuple[int, int], Waiting] = {}  # by the commit under way
        self.in_flight: dict[tuple[int, int], Waiting] = {}
        self.tries: dict[tuple[int, int], int] = {}
        self.settled: list[Accepted] = []  # with `unsettled`: what no commit has taken yet
        self.unsettled: list[Outcome] = []
        self.to_pause: dict[int, str] = {}
        self.server_away = False
        self.finished_cleanly = False

    # --- the loop -------------------------------------------------------------------------------

    def run(self, *, until: float) -> None:
        """Claim until the time is over, then finish what is claimed."""
        while True:
            if not self.exchanger.is_under_way:
                self._release_finished()
                if self._goes_on and time.monotonic() < until:
                    self.holding.claim(self.pool.idle)
                self._begin_exchange(self._next() if self._goes_on else [])
            self._collect(seconds=self._patience())
            self._end_exchange()
            if self._is_at_rest and not (self._goes_on and self.holding.waiting):
                break
        self.finished_cleanly = True

    @property
    def _goes_on(self) -> bool:
        return not (self.server_away or stopping.asked())

    @property
    def _is_at_rest(self) -> bool:
        results = self.settled or self.unsettled
        return not (self.exchanger.is_under_way or self.in_flight or results)

    def _patience(self) -> float:
        """How long to wait for a server's answer before looking up."""
        if self.exchanger.is_under_way:
            return self.renew_seconds if self.exchanger.fileno is not None else 0.0
        return self.renew_seconds if self.in_flight else 0.0

    def _collect(self, *, seconds: float) -> None:
        """Results stay in `settled` and `unsettled` until a commit took them."""
        for finished in self.pool.collect(seconds=seconds, also=self.exchanger.fileno):
            self._take_in(finished)

    def _next(self) -> list[Waiting]:
        """The rows for the idle connections. A suspect goes alone, so that a crash names it."""
        waiting, room = self.holding.waiting, self.pool.idle
        if not waiting or not room:
            return []
        if waiting[0].suspect:
            return [] if self.in_flight else [waiting.popleft()]
        rows: list[Waiting] = []
        while waiting and len(rows) < room and not waiting[0].suspect:
            rows.append(waiting.popleft())
        return rows

    # --- the commit -----------------------------------------------------------------------------

    def _begin_exchange(self, wanted: list[Waiting]) -> None:
        """Settle what finished, announce what is next, or renew a lease that needs it."""
        now = time.monotonic()
        results = self.settled or self.unsettled
        if not (wanted or results or (self.holding.held and now > self.renewed_at)):
            return
        self.announcing = {(row.edition_id, row.subscriber_id): row for row in wanted}
        try:
            self.exchanger.begin(self._request(wanted))
        except OperationalError:
            self._after_failure()

    def _request(self, wanted: list[Waiting]) -> Request:
        self.commits += 1
        now = time.monotonic()
        self.renewed_at = now + self.renew_seconds
        self.not_after = now + self.lease_seconds * (1 - LEASE_MARGIN)
        held = list(self.holding.held.values())
        return Request(held, self.settled[:], self.unsettled[:], wanted, self._proven())

    def _end_exchange(self) -> None:
        """If the commit has ended: hand over what it announced."""
        if not self.exchanger.is_under_way:
            return
        try:
            done = self.exchanger.result()
        except OperationalError:
            self._after_failure()
            return
        if done is not None:
            self._apply(done)

    def _apply(self, done: Exchange) -> None:
        del self.settled[: len(done.request.accepted)]
        del self.unsettled[: len(done.request.outcomes)]
        self._pause_refused()
        for batch_id in self.holding.forget_lost(done.held):
            log.warning("lease of batch %s was lost", batch_id)
        wanted, self.announcing = self.announcing, {}
        for intent in done.intents:
            self._hand_over(intent, wanted.pop((intent.edition_id, intent.subscriber_id)))
        if wanted:
            self._refuse(list(wanted.values()))

    def _after_failure(self) -> None:
        """Keep the results and start nothing until the database can be written again.

        Rows that a lost commit may have announced are in SENDING with nothing on the wire: giving
        their batches back makes them pending. Raises when the patience is over.
        """
        self.exchanger.forget()
        self.announcing = {}
        self.holding.waiting.clear()
        give_up = time.monotonic() + DATABASE_PATIENCE
        while True:
            log.warning("the database cannot be written; trying again")
            self._collect(seconds=0)
            connection.close()
            time.sleep(1)
            try:
                self._apply(exchange(self._request([])))
            except OperationalError:
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
        settled = {result.batch_id for result in self.settled}
        settled.update(outcome.batch_id for outcome in self.unsettled)
        return frozenset(lost & settled - suspected)

    # --- the wire -------------------------------------------------------------------------------

    def _hand_over(self, intent: Intent, row: Waiting) -> None:
        """Join the message and give it to a connection. One that cannot be built fails alone."""
        key = messages.key(intent.edition_id, intent.subscriber_id)
        try:
            message = self.recipients.message(row, intent, at=timezone.now())
        except (ValueError, LookupError) as error:  # this row fails alone (P13)
            log.exception("delivery %s cannot be built", key)
            self._set_down(row, outcomes.unbuildable(error))
            return
        self.in_flight[intent.edition_id, intent.subscriber_id] = row
        submission = Submission(
            intent.edition_id,
            intent.subscriber_id,
            mail.return_path(key),
            intent.address,
            message,
            key,
            self.not_after,
        )
        self.pool.hand_over(submission)

    def _take_in(self, finished: Finished) -> None:
        done = finished.submission
        row = self.in_flight.pop((done.edition_id, done.subscriber_id))
        if finished.result.kind is Kind.ACCEPTED:
            self.accepted += 1
            self.settled.append(Accepted(row.edition_id, row.subscriber_id, row.batch_id))
            return
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
        if verdict.state == DeliveryState.PENDING:
            verdict = self._try_again(row, verdict)
        self._set_down(row, verdict, text=finished.result.text)

    def _try_again(self, row: Waiting, verdict: outcomes.Verdict) -> outcomes.Verdict:
        """At once on another connection if nothing speaks against it, else later."""
        minutes = verdict.retry_minutes
        if not minutes and not self.server_away:
            key = (row.edition_id, row.subscriber_id)
            self.tries[key] = self.tries.get(key, 0) + 1
            if self.tries[key] < AT_ONCE_LIMIT:
                self.holding.waiting.append(row)  # certainly not sent, and no fault of its own
                return verdict
            minutes = outcomes.RETRY_MINUTES[0]
        return replace(verdict, retry_minutes=self.holding.retry_minutes(row, minutes))

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

    def _set_down(self, row: Waiting, verdict: outcomes.Verdict, *, text: str = "") -> None:
        self.unsettled.append(
            Outcome(
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
        )

    # --- the rows -------------------------------------------------------------------------------

    def _refuse(self, rows: list[Waiting]) -> None:
        """Rows that got no intent: skipped for a reason, or their edition is not sending now."""
        skipped = leases.refusals(rows)
        self.unsettled += skipped
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
        busy.update(result.batch_id for result in self.settled)
        busy.update(outcome.batch_id for outcome in self.unsettled)
        self.holding.release_finished(busy)

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
        self._pause_refused()
        wait = SERVER_AWAY_SECONDS if self.server_away else 0.0
        for lease in list(self.holding.held.values()):
            self.holding.release(
                lease, wait_seconds=wait if self.finished_cleanly else FAULT_SECONDS
            )
