"""Suppressing mailboxes that are gone, so that a provider's error can be undone in one step."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from mailer.throttle.rows import lane, say
from subscribers import consent, suppression
from subscribers.models import (
    ConsentEvent,
    ConsentKind,
    Subscription,
    Suppression,
    SuppressionReason,
)

NOTE_LENGTH = 200
PAGE = 1_000  # rows in one statement


def suppress_gone(address_hash: str, *, server: str, domain: str) -> bool:
    """Stop mail to a mailbox that its server called gone; False if it was stopped before.

    The note says which lane said so, for `undo`. Ask `guard.allows_suppressions` first.
    """
    return suppression.suppress(
        address_hash, SuppressionReason.GONE, note=f"gone: {lane(server, domain)}"[:NOTE_LENGTH]
    )


def count(server: str, domain: str, since: datetime) -> int:
    """How many suppressions `undo` would take back."""
    return _written(server, domain, since).count()


def undo(server: str, domain: str, since: datetime, *, by: str) -> int:
    """Take back the suppressions that this lane caused since then; return how many.

    Subscriptions that ended with them are open again, with the same topics and no article lost,
    each with a consent event; not those of people who left, were erased or came back meanwhile.
    One transaction. Without a domain, all lanes of the server. Twice changes nothing more.
    """
    with transaction.atomic():
        written = _written(server, domain, since).select_for_update()
        undone = list(written.values_list("pk", flat=True))
        for some in _pages(undone):
            _reopen(some, source=f"we: gone undone by {by}")
            Suppression.objects.filter(pk__in=some).delete()
        if undone:
            say(server, domain, "%s suppressions undone by %s", len(undone), by)
    return len(undone)


def _written(server: str, domain: str, since: datetime) -> QuerySet[Suppression]:
    note = f"gone: {lane(server, domain)}"[:NOTE_LENGTH]
    mine = Q(note=note) if domain else Q(note__startswith=f"{note}/")
    return Suppression.objects.filter(mine, reason=SuppressionReason.GONE, created_at__gte=since)


def _reopen(suppressions: Sequence[int], *, source: str) -> None:
    cause = Suppression.objects.filter(
        pk__in=suppressions,
        address_hash=OuterRef("subscriber__address_hash"),
        created_at__lte=OuterRef("ended_at"),
    )
    same_place = Subscription.objects.open().filter(
        subscriber=OuterRef("subscriber"), newsletter=OuterRef("newsletter")
    )
    ended = Subscription.objects.filter(
        Exists(cause), ~Exists(same_place), ended_by=SuppressionReason.GONE
    ).exclude(confirmed_at=None)
    told = ended.select_related("subscriber", "newsletter").prefetch_related("topics")
    places = list(told.select_for_update(of=["self"]))
    Subscription.objects.filter(pk__in=[place.pk for place in places]).update(
        ended_at=None, ended_by=""
    )
    consent.record_all(
        [
            ConsentEvent(
                subscriber=place.subscriber,
                newsletter=place.newsletter,
                kind=ConsentKind.CHANGED,
                wording=consent.NONE,
                source=source[:200],
                topics=consent.slugs(place.topics.all()),
            )
            for place in places
        ]
    )


def _pages(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(numbers), PAGE):
        yield numbers[start : start + PAGE]
