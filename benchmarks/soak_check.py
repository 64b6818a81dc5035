"""What a soak must show at its end: books against the sink, waiting times, and the bounds."""

import time
from collections.abc import Sequence
from typing import Any

from django.db.models import Count

from benchmarks import counting_sink
from benchmarks.soak_parts import QUICK_BELOW
from mailer import ledger
from mailer.models import Delivery, DeliveryEvent, DeliveryState, Edition, EditionState
from subscribers.models import ServiceMail, ServiceMailState, Subscription

READ_AT_ONCE = 20_000  # rows
MOST_RESIDENT = 300  # MiB, any process
MOST_REDIS = 20  # MiB
MOST_STORED = 250  # bytes for each delivery on PostgreSQL, indexes included
MOST_CONFIRMING = 2.0  # seconds, for 95 of 100 confirmations
MOST_SLOW = 10  # of 1,000 commits longer than servers.SLOW_COMMIT_MS: so the p99 lies below it
MOST_RECOUNT = 10.0  # seconds
LATE = 60  # seconds after somebody left, in which a mail on the wire may still be settled
OUTAGE = 30  # seconds after a database restart in which pages may fail


def books(edition: Edition, counts: counting_sink.Counts) -> dict[str, Any]:
    """The ledger, and the rows one by one against what the sink saw."""
    began = time.perf_counter()
    found = ledger.read(edition.pk)
    recount_seconds = time.perf_counter() - began
    lost, unbooked = _compared(edition, counts)
    events = DeliveryEvent.objects.filter(edition=edition).values_list("kind")
    edition.refresh_from_db()
    return {
        "ledger": str(found),
        "settled": found.settled and edition.state == EditionState.DONE,
        "deliveries": found.deliveries,
        "by_state": found.by_state,
        "recount_seconds": round(recount_seconds, 2),
        "lost": lost,
        "taken_without_sent": unbooked,
        "sent_after_leaving": _sent_after_leaving(edition),
        "events": dict(events.annotate(number=Count("pk"))),
        **counts.totals(),
    }


def _compared(edition: Edition, counts: counting_sink.Counts) -> tuple[int, int]:
    """How many are booked as sent that never came, and how many came that are booked otherwise."""
    lost = unbooked = 0
    rows = Delivery.objects.filter(edition=edition).values_list("subscriber__address", "state")
    for address, state in rows.iterator(chunk_size=READ_AT_ONCE):
        number = int(address.partition("@")[0].removeprefix("reader"))
        came = bool(counts.copies[number])
        lost += state == DeliveryState.SENT and not came
        unbooked += came and state not in {DeliveryState.SENT, DeliveryState.UNCERTAIN}
    return lost, unbooked


def _sent_after_leaving(edition: Edition) -> int:
    """Deliveries settled as sent long after their reader had left (G5)."""
    places = Subscription.objects.filter(newsletter=edition.newsletter_id, ended_at__isnull=False)
    ended = dict(places.values_list("subscriber_id", "ended_at"))
    sent = Delivery.objects.filter(
        edition=edition, subscriber_id__in=list(ended), state=DeliveryState.SENT
    )
    late = 0
    for subscriber, settled_at in sent.values_list("subscriber_id", "settled_at"):
        ended_at = ended[subscriber]
        assert ended_at is not None
        assert settled_at is not None
        late += (settled_at - ended_at).total_seconds() > LATE
    return late


def confirmations() -> dict[str, Any]:
    """Seconds from asking to the submission server's 250, from the rows."""
    mails = ServiceMail.objects.confirmations()
    times = mails.filter(state=ServiceMailState.SENT).values_list("settled_at", "asked_at")
    seconds = [(settled - asked).total_seconds() for settled, asked in times if settled]
    return {**quantiles(seconds), "unsent": mails.exclude(state=ServiceMailState.SENT).count()}


def quantiles(seconds: Sequence[float]) -> dict[str, float]:
    """Number, median, 95th percentile and maximum; zeros if there are none."""
    if not seconds:
        return {"number": 0, "p50": 0.0, "p95": 0.0, "max": 0.0}
    ordered = sorted(seconds)
    return {
        "number": len(ordered),
        "p50": round(ordered[len(ordered) // 2], 3),
        "p95": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))], 3),
        "max": round(ordered[-1], 3),
    }


def pages(seen: dict[str, Any], restarts: Sequence[float]) -> dict[str, Any]:
    """Waiting times by kind of page, and what failed although the database was there."""
    unexplained = [
        failure
        for failure in seen["failures"]
        if not any(-1 <= failure[0] - at <= OUTAGE for at in restarts)
    ]
    return {
        "by_kind": {kind: quantiles(seconds) for kind, seconds in seen["seconds"].items()},
        "failures": len(seen["failures"]),
        "unexplained": unexplained,
        "left": len(seen["left"]),
    }


def broken(found: dict[str, Any]) -> list[str]:
    """A sentence for each bound that does not hold; none is what we want."""
    book, pages_seen = found["books"], found["pages"]
    statements = [
        (not book["settled"], f"The ledger is not settled: {book['ledger']}"),
        (book["lost"] > 0, f"{book['lost']} are booked as sent and never came."),
        (
            book["taken_without_sent"] > found["copies_allowed"],
            f"{book['taken_without_sent']} came and are not booked as sent.",
        ),
        (
            book["copies"] > found["copies_allowed"],
            f"{book['copies']} copies, and {found['copies_allowed']} are allowed.",
        ),
        (book["foreign_copies"] > 0, f"{book['foreign_copies']} copies have another Message-ID."),
        (book["sent_after_leaving"] > 0, f"{book['sent_after_leaving']} were sent after leaving."),
        (bool(pages_seen["unexplained"]), f"Pages failed: {pages_seen['unexplained'][:5]}"),
        _above("a process, MiB", max(found["peaks_mib"].values()), MOST_RESIDENT),
        _above("Redis, MiB", found["redis_peak_mib"], MOST_REDIS),
    ]
    if found["recipients"] >= QUICK_BELOW:
        statements += _of_a_full_run(found)
    return [sentence for is_broken, sentence in statements if is_broken]


def _of_a_full_run(found: dict[str, Any]) -> list[tuple[bool, str]]:
    """Bounds that a short run says nothing about: waiting times, and sizes of small tables."""
    statements = [
        _above("95 of 100 confirmations, seconds", found["confirming"]["p95"], MOST_CONFIRMING),
        _above("the recount, seconds", found["books"]["recount_seconds"], MOST_RECOUNT),
    ]
    if found["database"] == "postgresql":
        stored, slow = found["bytes_per_delivery"], found["slow_in_a_thousand"]
        statements.append(_above("a delivery on PostgreSQL, bytes", stored, MOST_STORED))
        statements.append(_above("commits above 50 ms, of 1,000", slow, MOST_SLOW))
    return statements


def _above(what: str, value: float, most: float) -> tuple[bool, str]:
    return value > most, f"{what}: {value:,.2f}, and {most:,} is the most."
