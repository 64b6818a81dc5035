"""What the answer to one submission means for its delivery. Pure: no query, no clock."""

import re
from dataclasses import dataclass

from iria_news.smtp import Kind, Result
from mailer.models import DeliveryState, EventKind
from subscribers.models import InDoubt

# Waits before the next tries, counted from the one that failed; later tries wait the last one.
RETRY_MINUTES = (5, 15, 30, 60, 120, 240)
DOUBT_MINUTES = 5  # a server that was cut off may still be working on the message
SAME_MAIL_LIMIT = 2  # re-sends in doubt for one delivery; then a person decides

CREDENTIAL_CODES = {530, 534, 535}  # RFC 4954 section 6: wrong, or too weak
# Refusals that speak of us, not of the mailbox: policy, reputation, authentication (RFC 3463 X.7).
OUR_FAULT = re.compile(
    r"spam|block(ed|list)|blacklist|reputation|denied|policy|unauthenticated|spf|dkim|dmarc",
    re.IGNORECASE,
)


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
    retry_minutes: float = 0.0  # how long the batch waits, if the delivery is to be tried again


@dataclass(frozen=True)
class Verdict:
    """An outcome before it is tied to a delivery."""

    state: DeliveryState
    reason: str = ""
    event: EventKind | None = None
    counts_as_attempt: bool = True
    retry_minutes: float = 0.0


def judge(result: Result, *, attempts: int, policy: str, resent: int = 0) -> Verdict:
    """Decide by kind, stage and codes (requirements P1, P2, P9).

    `attempts` includes the present one; `resent` counts earlier re-sends in doubt. A verdict with
    state PENDING and no retry minutes means: another connection may try at once.
    """
    code = result.enhanced or str(result.code or "")
    if result.kind is Kind.ACCEPTED:
        return Verdict(DeliveryState.SENT)
    if result.kind is Kind.NOT_SENT:
        return Verdict(DeliveryState.PENDING, counts_as_attempt=False)
    if result.kind is Kind.IN_DOUBT:
        return _in_doubt(policy, resent)
    if result.stage == "mail" or result.code == 421:  # the server's state, not the recipient's
        return Verdict(
            DeliveryState.PENDING,
            code,
            EventKind.DEFERRED,
            counts_as_attempt=False,
            retry_minutes=RETRY_MINUTES[0],
        )
    if result.kind is Kind.DEFERRED or _is_our_fault(result):
        return Verdict(
            DeliveryState.PENDING, code, EventKind.DEFERRED, retry_minutes=_wait(attempts)
        )
    return Verdict(DeliveryState.FAILED, code, EventKind.FAILED)


def unbuildable(error: Exception) -> Verdict:
    """For a row whose message cannot be made: it alone fails, and says why."""
    return Verdict(DeliveryState.FAILED, f"unbuildable: {type(error).__name__}", EventKind.FAILED)


def _in_doubt(policy: str, resent: int) -> Verdict:
    if policy == InDoubt.HOLD or resent >= SAME_MAIL_LIMIT:
        return Verdict(DeliveryState.UNCERTAIN, "no answer", EventKind.UNCERTAIN)
    return Verdict(
        DeliveryState.PENDING, "no answer", EventKind.RESENT, retry_minutes=DOUBT_MINUTES
    )


def _is_our_fault(result: Result) -> bool:
    if result.stage == "address":
        return False
    return result.enhanced.startswith("5.7.") or (
        not result.enhanced and OUR_FAULT.search(result.text) is not None
    )


def _wait(attempts: int) -> float:
    return RETRY_MINUTES[min(max(attempts, 1), len(RETRY_MINUTES)) - 1]
