"""What connections brought back, until a commit has taken it."""

from dataclasses import replace

from iria_news.smtp import Kind, without_addresses
from mailer.deliveries import outcomes
from mailer.deliveries.connection import Finished
from mailer.deliveries.exchanging import Accepted, Request
from mailer.deliveries.holding import Holding
from mailer.deliveries.leases import Waiting
from mailer.deliveries.outcomes import Effect, Outcome, Verdict
from mailer.deliveries.reacting import Reactions
from mailer.deliveries.recipients import Recipients
from mailer.models import DeliveryState

SHORTEST_NAME = 4  # characters of a local part that is taken out of a server's words
AT_ONCE_LIMIT = 3  # tries of one row on fresh connections before it waits like a deferred one


class Results:
    """Judges each result, notes what else follows from it, and keeps it."""

    def __init__(self, recipients: Recipients, holding: Holding, reactions: Reactions) -> None:
        self.total_accepted = 0
        self._recipients = recipients
        self._holding = holding
        self._reactions = reactions
        self._accepted: list[Accepted] = []
        self._outcomes: list[Outcome] = []
        self._tries: dict[tuple[int, int], int] = {}

    def __bool__(self) -> bool:
        return bool(self._accepted or self._outcomes)

    def snapshot(self) -> tuple[list[Accepted], list[Outcome]]:
        """What a commit that starts now shall take."""
        return self._accepted[:], self._outcomes[:]

    def taken(self, request: Request) -> None:
        """This commit has ended: forget what it took, and only that."""
        del self._accepted[: len(request.accepted)]
        del self._outcomes[: len(request.outcomes)]

    def batches(self) -> set[int]:
        """The batches that something here belongs to."""
        found = {result.batch_id for result in self._accepted}
        found.update(outcome.batch_id for outcome in self._outcomes)
        return found

    def take_in(self, row: Waiting, finished: Finished, *, is_alone: bool) -> Verdict | None:
        """Keep what became of a row; None if it was accepted.

        `is_alone` says that no other connection is open: then one that cannot be opened means
        that the server is away, and not that it has enough of us. The batch waits for it then,
        and the row needs no time of its own.
        """
        if finished.result.kind is Kind.ACCEPTED:
            self.total_accepted += 1
            self._accepted.append(Accepted(row.edition_id, row.subscriber_id, row.batch_id))
            self._reactions.accepted(row)
            return None
        verdict = self._judge(row, finished)
        stage, words = _said(finished)
        if verdict.effect is not Effect.SERVER_AWAY:
            self._reactions.refused(row, verdict, stage=stage, words=words)
        else:
            self._reactions.no_session(words or verdict.reason, is_alone=is_alone)
            verdict = replace(verdict, retry_minutes=0.0)
        if verdict.state == DeliveryState.PENDING and not is_alone:
            verdict = self._try_again(row, verdict)
        self.set_down(row, verdict, words=words)
        return verdict

    def set_down(self, row: Waiting, verdict: Verdict, *, words: str = "") -> None:
        """Keep a verdict. `words` are the server's, without addresses."""
        self._outcomes.append(
            Outcome(
                row.edition_id,
                row.subscriber_id,
                row.batch_id,
                verdict.state,
                verdict.reason,
                verdict.event,
                words,
                verdict.counts_as_attempt,
                verdict.retry_minutes,
                verdict.rule,
                verdict.suppress,
            )
        )

    def keep(self, found: list[Outcome]) -> None:
        """Keep outcomes that no connection brought."""
        self._outcomes += found

    def _judge(self, row: Waiting, finished: Finished) -> Verdict:
        if finished.unavailable is not None:
            return outcomes.unavailable(finished.unavailable)
        return outcomes.judge(
            finished.result,
            attempts=row.attempts + 1,
            policy=self._recipients.policy(row),
            resent=self._recipients.times_resent(row),
            domain=row.domain,
            messages_on_line=finished.result.messages_before,
        )

    def _try_again(self, row: Waiting, verdict: Verdict) -> Verdict:
        """At once on another connection if nothing speaks against it, else later."""
        minutes = verdict.retry_minutes
        if not minutes:
            key = (row.edition_id, row.subscriber_id)
            self._tries[key] = self._tries.get(key, 0) + 1
            if self._tries[key] < AT_ONCE_LIMIT:
                self._holding.waiting.append(row)  # certainly not sent, and no fault of its own
                return verdict
            minutes = outcomes.RETRY_MINUTES[0]
        return replace(verdict, retry_minutes=self._holding.retry_minutes(row, minutes))


def _said(finished: Finished) -> tuple[str, str]:
    """At which stage the server refused, and its words without the addresses they may quote."""
    said = finished.unavailable or finished.result
    local_part = finished.submission.recipient.rpartition("@")[0]
    words = said.text
    if len(local_part) >= SHORTEST_NAME:
        words = words.replace(local_part, "(address)")
    return said.stage, without_addresses(words)
