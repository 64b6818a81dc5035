"""The check that ends every fault test: what the rows say against what the sink counted."""

from collections import Counter, defaultdict
from dataclasses import dataclass

from mailer import ledger
from mailer.models import Delivery, DeliveryEvent, Edition, EventKind
from tests.faults.counting_sink import CountingSink

KNOWN = {"failed", "skipped", "cancelled"}  # nothing arrived, and the ledger says why
IN_DOUBT = [EventKind.RESENT, EventKind.UNCERTAIN]


@dataclass(frozen=True)
class Figures:
    deliveries: int
    accepted: int  # by the sink, copies included
    copies: int
    lost: int
    in_doubt: int  # how often a row was found whose answer nobody knew
    uncertain: int


def check(edition: Edition, sink: CountingSink, *, copies_allowed: int) -> Figures:
    """Everybody is accounted for: nobody lost, no unrecorded mail, no more copies than allowed."""
    books = ledger.read(edition.pk)
    assert books.settled, str(books)
    assert books.deliveries == Delivery.objects.filter(edition=edition).count()
    due = _addresses_by_state(edition)
    everybody = set().union(*due.values())
    accepted = [mail for mail in sink.accepted if mail.recipient in everybody]
    times = Counter(mail.recipient for mail in accepted)

    lost = due["sent"] - times.keys()
    assert not lost, f"recorded as sent, but the sink never had them: {sorted(lost)[:5]}"
    unrecorded = times.keys() - due["sent"] - due["uncertain"]
    assert not unrecorded, f"the sink has them, the rows do not say so: {sorted(unrecorded)[:5]}"
    known = sum(len(due[state]) for state in KNOWN)
    held_back = len(due["uncertain"] - times.keys())
    assert len(times) + known + held_back == books.deliveries

    copies = sum(times.values()) - len(times)
    assert copies <= copies_allowed, f"{copies} copies, {copies_allowed} are allowed"
    _check_identity(accepted)
    doubts = DeliveryEvent.objects.filter(edition=edition, kind__in=IN_DOUBT).count()
    return Figures(
        books.deliveries, len(accepted), copies, len(lost), doubts, len(due["uncertain"])
    )


def _addresses_by_state(edition: Edition) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    rows = Delivery.objects.filter(edition=edition)
    for state, address in rows.values_list("state", "subscriber__address"):
        found[state].add(address)
    for state in ("sent", "uncertain", *KNOWN):
        found[state]  # a state without rows is an empty set
    return found


def _check_identity(accepted: list) -> None:
    """Copies are recognisable: one Message-ID for each recipient, and no two share one."""
    identities = {(mail.recipient, mail.message_id) for mail in accepted}
    assert len(identities) == len({recipient for recipient, _ in identities})
    assert len(identities) == len({message_id for _, message_id in identities})
