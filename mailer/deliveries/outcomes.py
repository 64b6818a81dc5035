"""What the answer to one submission means for its delivery and its lane. Pure: no query, no clock.

`mailer.replies` says what a reply means; here is what follows from that (docs/replies.md).
"""

import enum
import re
from dataclasses import dataclass

from iria_news.smtp import Kind, Result, ServerUnavailable
from mailer import replies
from mailer.models import DeliveryState, EventKind
from mailer.replies import Class, Ruling
from subscribers.models import InDoubt

# Waits before the next tries, counted from the one that failed; later tries wait the last one.
RETRY_MINUTES = (5, 15, 30, 60, 120, 240)
DOUBT_MINUTES = 5  # a server that was cut off may still be working on the message
AWAY_MINUTES = 0.5  # before a server is tried again that could not be reached
SAME_MAIL_LIMIT = 2  # re-sends in doubt for one delivery; then a person decides

CREDENTIAL_CODES = {530, 534, 535}  # RFC 4954 section 6: wrong, or too weak


class Effect(enum.Enum):
    """What a verdict means beyond its delivery."""

    NONE = "none"
    TRANSIENT = "transient"  # the lane slows down if this is frequent
    SLOW = "slow"  # the lane goes at half its speed
    REFUSES_US = "refuses us"  # counts towards the lane's pause; operators hear of it
    CONNECTION_CAP = "connection cap"  # open a new connection, and put fewer messages on it
    SERVER_AWAY = "server away"  # counts towards a wait of the whole server
    SERVER_REFUSES = "server refuses"  # the whole server pauses until a person acts
    GONE = "gone"  # counts towards the lane's guard against mass suppression


EFFECTS = {
    Class.GONE: Effect.GONE,
    Class.TRANSIENT: Effect.TRANSIENT,
    Class.BLOCKED: Effect.REFUSES_US,
    Class.AUTH: Effect.REFUSES_US,
    Class.PROTOCOL: Effect.REFUSES_US,
    Class.RATE: Effect.SLOW,
    Class.CONNECTION_CAP: Effect.CONNECTION_CAP,
    Class.SENDER_REFUSED: Effect.SERVER_REFUSES,
    Class.CREDENTIALS: Effect.SERVER_REFUSES,
}
# Permanent refusals of these end a delivery; all others say nothing against it.
FAILING = {Class.GONE, Class.FULL, Class.SIZE, Class.CONTENT, Class.OTHER}
BEFORE_RECIPIENT = {"auth", "mail"}  # stages where nothing was said about the recipient yet
NO_ATTEMPT = {Class.CONNECTION_CAP, Class.SENDER_REFUSED, Class.CREDENTIALS}
# A 421 of these only says that the server closes the line (RFC 5321 section 3.8).
CLOSING = {Class.TRANSIENT, Class.OTHER}


@dataclass(frozen=True)
class Outcome:
    """What to write down about one delivery."""

    edition_id: int
    subscriber_id: int
    batch_id: int
    state: DeliveryState
    reason: str = ""  # "5.1.1", "unsubscribed", "expired" ...
    event: EventKind | None = None
    text: str = ""
    counts_as_attempt: bool = True
    retry_minutes: float = 0.0  # how long the delivery waits, if it is to be tried again
    rule: str = ""  # of mailer.replies, that decided
    suppress: bool = False  # nobody may write to this address any more


@dataclass(frozen=True)
class Verdict:
    """An outcome before it is tied to a delivery."""

    state: DeliveryState
    reason: str = ""
    event: EventKind | None = None
    counts_as_attempt: bool = True
    retry_minutes: float = 0.0
    rule: str = ""
    effect: Effect = Effect.NONE
    suppress: bool = False


def judge(
    result: Result,
    *,
    attempts: int,
    policy: str,
    resent: int = 0,
    domain: str = "",
    messages_on_line: int = 0,
) -> Verdict:
    """Decide what becomes of a delivery, and whom else the answer concerns.

    `attempts` includes the present one; `resent` counts earlier re-sends in doubt; `domain` is the
    recipient's; `messages_on_line` were taken before by the same connection. A verdict with state
    PENDING and no retry minutes means: another connection may try at once.
    """
    if result.kind is Kind.ACCEPTED:
        return Verdict(DeliveryState.SENT)
    if result.kind is Kind.NOT_SENT:
        return Verdict(DeliveryState.PENDING, counts_as_attempt=False)
    if result.kind is Kind.IN_DOUBT:
        return _in_doubt(policy, resent)
    ruling = replies.classify(
        stage=result.stage,
        code=result.code,
        enhanced=result.enhanced,
        text=result.text,
        domain=domain,
    )
    if ruling.permanent and ruling.cls in FAILING:
        return _failed(result, ruling)
    if _is_used_up(result, ruling) and messages_on_line:
        return Verdict(
            DeliveryState.PENDING,
            _reason(result.code, result.enhanced),
            counts_as_attempt=False,
            rule=ruling.rule,
            effect=Effect.CONNECTION_CAP,
        )
    return _put_off(result, ruling, attempts)


def unbuildable(error: Exception) -> Verdict:
    """For a row whose message cannot be made: it alone fails, and says why."""
    return Verdict(DeliveryState.FAILED, f"unbuildable: {type(error).__name__}", EventKind.FAILED)


def unavailable(error: ServerUnavailable) -> Verdict:
    """For a row whose connection could not be opened: nothing has left, and nobody is to blame.

    SERVER_REFUSES if trying again cannot help: a permanent refusal, wrong credentials, no STARTTLS
    or a bad certificate. SERVER_AWAY otherwise.
    """
    status = re.match(r"[45]\.\d{1,3}\.\d{1,3}(?!\S)", error.text)
    enhanced = status.group() if status else ""
    ruling = replies.classify(
        stage=error.stage, code=error.code, enhanced=enhanced, text=error.text
    )
    refuses = ruling.permanent or EFFECTS.get(ruling.cls) is Effect.SERVER_REFUSES
    return Verdict(
        DeliveryState.PENDING,
        _reason(error.code, enhanced),
        counts_as_attempt=False,
        retry_minutes=RETRY_MINUTES[0] if refuses else AWAY_MINUTES,
        rule=ruling.rule,
        effect=Effect.SERVER_REFUSES if refuses else Effect.SERVER_AWAY,
    )


def _in_doubt(policy: str, resent: int) -> Verdict:
    if policy == InDoubt.HOLD or resent >= SAME_MAIL_LIMIT:
        return Verdict(DeliveryState.UNCERTAIN, "no answer", EventKind.UNCERTAIN)
    return Verdict(
        DeliveryState.PENDING, "no answer", EventKind.RESENT, retry_minutes=DOUBT_MINUTES
    )


def _failed(result: Result, ruling: Ruling) -> Verdict:
    return Verdict(
        DeliveryState.FAILED,
        _reason(result.code, result.enhanced),
        EventKind.FAILED,
        rule=ruling.rule,
        effect=EFFECTS.get(ruling.cls, Effect.NONE),
        suppress=ruling.cls is Class.GONE,
    )


def _put_off(result: Result, ruling: Ruling, attempts: int) -> Verdict:
    """Pending again. A server's own state is not held against the delivery."""
    counts = not (
        ruling.cls in NO_ATTEMPT or result.stage in BEFORE_RECIPIENT or _is_used_up(result, ruling)
    )
    return Verdict(
        DeliveryState.PENDING,
        _reason(result.code, result.enhanced),
        EventKind.DEFERRED,
        counts_as_attempt=counts,
        retry_minutes=_wait(attempts) if counts else RETRY_MINUTES[0],
        rule=ruling.rule,
        effect=EFFECTS.get(ruling.cls, Effect.NONE),
    )


def _is_used_up(result: Result, ruling: Ruling) -> bool:
    """Whether the reply concerns this connection only, and not the message on it."""
    closes = result.code == 421 and ruling.cls in CLOSING
    return closes or ruling.cls is Class.CONNECTION_CAP


def _reason(code: int, enhanced: str) -> str:
    return enhanced or str(code or "")


def _wait(attempts: int) -> float:
    return RETRY_MINUTES[min(max(attempts, 1), len(RETRY_MINUTES)) - 1]
