"""What answers mean beyond their own delivery: for lanes, for the server, for whole editions.

Noted as the answers come in, and acted on when the database has nothing else to do.
"""

from mailer import editions
from mailer.deliveries.leases import Waiting
from mailer.deliveries.outcomes import Effect, Verdict
from mailer.deliveries.recipients import Recipients
from mailer.models import DeliveryState
from mailer.throttle import reactions
from mailer.throttle.gate import Gate
from mailer.throttle.guard import FailureWindow
from mailer.throttle.hours import WHOLE_SERVER, Kind

RECENT = FailureWindow()  # of this process: a turn is too short to see five hundred results
# What the server does not take, by the stage at which it said so.
REFUSED = {"auth": "our credentials", "mail": "our sender", "tls": "a protected line"}
ACCOUNT_RULES = ("ses:", "sendgrid:", "google:limit")
OF_LANES = {
    Effect.SLOW: reactions.slow_down,
    Effect.TRANSIENT: reactions.transient,
    Effect.REFUSES_US: reactions.refuses_us,
}


class Reactions:
    """The answers of one turn to one server."""

    def __init__(self, gate: Gate, recipients: Recipients) -> None:
        self._gate = gate
        self._recipients = recipients
        self._lanes: dict[tuple[Effect, str], str] = {}  # -> what the server said
        self._editions: dict[int, str] = {}  # -> why they must pause
        self._failed_sessions: list[str] = []  # why; each counts towards the breaker
        self._refused_sessions: list[str] = []  # beside others that may have been opened
        self._session_worked = False
        self._must_count = False

    def accepted(self, row: Waiting) -> None:
        self._session_worked = True
        self._refused_sessions.clear()
        self._gate.note(row.domain, "sent")
        RECENT.note(row.edition_id, failed=False)

    def refused(self, row: Waiting, verdict: Verdict, *, stage: str, words: str) -> None:
        """Take in an answer other than "accepted". `words` hold no address."""
        said = words if words.startswith(verdict.reason) else f"{verdict.reason} {words}".strip()
        if kind := _kind(verdict):
            self._gate.note(row.domain, kind)
            self._session_worked = True
        if verdict.state == DeliveryState.FAILED:
            RECENT.note(row.edition_id, failed=True)
            if reason := RECENT.too_many_failures(row.edition_id):
                self._editions[row.edition_id] = reason
        if verdict.effect in OF_LANES:
            self._lanes[verdict.effect, _lane(row, verdict, stage)] = said
        elif verdict.effect is Effect.SERVER_REFUSES:
            self._editions[row.edition_id] = (
                f"The submission server refuses {REFUSED.get(stage, 'us')}: {said[:100]}. "
                "Correct EMAIL_URL or MAIL_FROM, then resume."
            )
        self._must_count |= verdict.effect in {Effect.GONE, Effect.REFUSES_US, Effect.TRANSIENT}

    def no_session(self, words: str, *, is_alone: bool) -> None:
        """A session could not be opened. If no other is open either, the server is away.

        Then all counts towards the breaker; else it only takes fewer connections than we have.
        """
        self._refused_sessions.append(words)
        if is_alone:
            self._failed_sessions += self._refused_sessions
            self._refused_sessions = []

    def act(self) -> None:
        """Write down what was counted, and do what follows from it. Raises OperationalError."""
        self._gate.flush(force=self._must_count)
        self._must_count = False
        while self._lanes:
            (effect, domain), said = next(iter(self._lanes.items()))
            OF_LANES[effect](self._gate.server.name, domain, said)
            del self._lanes[effect, domain]
        if self._session_worked:
            self._gate.session_worked()
            self._session_worked = False
        while self._failed_sessions:
            self._gate.session_failed(self._failed_sessions[-1])
            self._failed_sessions.pop()
        while self._editions:
            edition_id, reason = next(iter(self._editions.items()))
            editions.pause(self._recipients.edition(edition_id), reason=reason)
            RECENT.forget(edition_id)
            del self._editions[edition_id]


def _lane(row: Waiting, verdict: Verdict, stage: str) -> str:
    """Whose limit was reached: the recipient domain's, or that of our account at the relay."""
    of_account = stage == "mail" or verdict.rule.startswith(ACCOUNT_RULES)
    return WHOLE_SERVER if verdict.effect is Effect.SLOW and of_account else row.domain


def _kind(verdict: Verdict) -> Kind | None:
    """What the lane counts; None for what says nothing about it."""
    if verdict.effect is Effect.GONE and verdict.state == DeliveryState.FAILED:
        return "gone"
    if verdict.state == DeliveryState.FAILED:
        return "failed"
    if verdict.effect is Effect.REFUSES_US:
        return "refused"
    if verdict.effect in {Effect.SLOW, Effect.TRANSIENT, Effect.NONE} and verdict.rule:
        return "deferred"
    return None
