"""Readers as CSV: a row for each place on a newsletter, which the import takes back.

Read in pages by number, so that a million rows take no more memory than a page, and a slow
download holds neither a transaction nor a cursor open at the database.
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from iria_news.articles.models import Topic
from subscribers import consent, spreadsheets
from subscribers.importing.evidence import of_reader
from subscribers.importing.rows import LONGEST_SOURCE
from subscribers.importing.vocabulary import NO_TOPIC
from subscribers.models import (
    ConsentEvent,
    ConsentKind,
    Newsletter,
    SubscriberState,
    Subscription,
    SubscriptionTopic,
    Suppression,
)

PAGE = 5_000  # places
HEAD = (
    *("email", "name", "newsletter", "topics", "language", "zone", "hour"),
    *("consented_at", "consent_source", "state"),
)


class ExportState(StrEnum):
    ACTIVE = "active"  # confirmed, and gets mail
    PENDING = "pending"  # asked, and has not answered
    LEFT = "left"
    SUPPRESSED = "suppressed"  # we stopped writing to the address
    ALL = "all"


def rows(*, newsletter: Newsletter | None = None, state: str = ExportState.ACTIVE) -> Iterator[str]:
    """The lines of the file, in blocks. The erased are never in it: nothing of them is kept.

    Of somebody who left and came back only the present place counts. Not of one moment: who
    leaves during the export may still be in it.
    """
    table = csv.writer(lines := _Lines())
    table.writerow(HEAD)
    topics = dict(Topic.objects.values_list("pk", "slug"))
    names: dict[tuple[int, ...], str] = {}
    wanted = _wanted(newsletter, ExportState(state))
    last = 0
    while page := list(wanted.filter(pk__gt=last)[:PAGE]):
        followed = _followed(page[0][0], page[-1][0])
        for pk, address, name, slug, *others in page:
            choice = followed.get(pk, ())
            if choice not in names:
                names[choice] = ",".join(topics[topic] for topic in choice) or NO_TOPIC
            cells = [address, name, slug, names[choice], *_cells(*others)]
            table.writerow([spreadsheets.safe(cell) for cell in cells])
        last = page[-1][0]
        yield lines.taken()
    yield lines.taken()


class _Lines:
    """What `csv` writes to: keeps the lines until they are taken."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self.write = self._lines.append

    def taken(self) -> str:
        block = "".join(self._lines)
        self._lines.clear()
        return block


def _cells(
    language: str,
    zone: str,
    hour: int | None,
    consented_at: datetime | None,
    source: str | None,
    ended_at: datetime | None,
    is_active: bool,  # noqa: FBT001  # a column
    is_suppressed: bool,  # noqa: FBT001  # a column
) -> list[str]:
    state = ExportState.ACTIVE if is_active else ExportState.PENDING
    if is_suppressed:
        state = ExportState.SUPPRESSED
    elif ended_at:
        state = ExportState.LEFT
    return [
        *(language, zone, "" if hour is None else str(hour)),
        consented_at.isoformat(sep=" ") if consented_at else "",
        of_reader(source or "")[:LONGEST_SOURCE] if consented_at else "",
        str(state),
    ]


def _wanted(newsletter: Newsletter | None, state: ExportState) -> "QuerySet[Any, Any]":
    here = Q(subscriber=OuterRef("subscriber"), newsletter=OuterRef("newsletter"))
    later = Subscription.objects.filter(here, pk__gt=OuterRef("pk"))
    agreed = ConsentEvent.objects.filter(here).filter(
        Q(kind=ConsentKind.CONFIRMED) | Q(kind=ConsentKind.CHANGED) & ~Q(wording=consent.IMPORT)
    )
    places = (
        Subscription.objects.exclude(subscriber__state=SubscriberState.ERASED)
        .annotate(
            source=Subquery(agreed.order_by("-pk").values("source")[:1]),
            is_active=Q(confirmed_at__isnull=False, subscriber__state=SubscriberState.ACTIVE),
            is_suppressed=Exists(
                Suppression.objects.filter(address_hash=OuterRef("subscriber__address_hash"))
            ),
        )
        .filter(_having(state))
    )
    if state != ExportState.ACTIVE:  # an open place is the last
        places = places.filter(~Exists(later))
    if newsletter is not None:
        places = places.filter(newsletter=newsletter)
    return places.order_by("pk").values_list(
        *("pk", "subscriber__address", "subscriber__name", "newsletter__slug"),
        *("subscriber__language", "subscriber__zone", "subscriber__hour"),
        *("confirmed_at", "source", "ended_at", "is_active", "is_suppressed"),
    )


def _having(state: ExportState) -> Q:
    still = Q(ended_at__isnull=True, is_suppressed=False)
    return {
        ExportState.ACTIVE: still & Q(is_active=True),
        ExportState.PENDING: still & Q(is_active=False),
        ExportState.LEFT: Q(ended_at__isnull=False, is_suppressed=False),
        ExportState.SUPPRESSED: Q(is_suppressed=True),
        ExportState.ALL: Q(),
    }[state]


def _followed(first: int, last: int) -> dict[int, tuple[int, ...]]:
    """The topics of each of these places: a range of numbers, which is quicker than a list."""
    rows = SubscriptionTopic.objects.filter(subscription__gte=first, subscription__lte=last)
    found = defaultdict(list)
    for subscription, topic in rows.values_list("subscription_id", "topic_id"):
        found[subscription].append(topic)
    return {subscription: tuple(sorted(topics)) for subscription, topics in found.items()}


def encoded(lines: Iterable[str], *, marked: bool) -> Iterator[bytes]:
    """As UTF-8; `marked` at its beginning, which spreadsheets need to know it."""
    if marked:
        yield b"\xef\xbb\xbf"
    for block in lines:
        yield block.encode()
