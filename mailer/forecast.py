"""Step 3c, who would get what: counted by the freeze's own statements, without writing a row.

Exact once an edition is frozen; before, as of the moment it is counted.
"""

import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, Min, Sum
from django.utils import timezone

from mailer import audience, dialect
from mailer.models import Cohort, Delivery, Edition
from subscribers.models import Subscriber

PAGE = 20_000  # subscribers, as in a freeze
SECONDS = 8  # a person waits for the page
AT_ONCE = 20_000  # readers who are counted without being asked to: less than half a second
KEPT = 20  # groups that a page shows, the largest


@dataclass(frozen=True)
class Group:
    """Readers who get, or would get, the same body."""

    readers: int
    articles: int  # a sum of bits
    corrections: int  # likewise
    is_text: bool
    first_at: datetime | None
    last_at: datetime | None

    @property
    def items(self) -> list[int]:
        """Places in the edition, from 1."""
        return [rank + 1 for rank in range(62) if self.articles >> rank & 1]


@dataclass(frozen=True)
class Forecast:
    """What becomes of the candidates: both sums of it are the ledger's first."""

    groups: list[Group]  # the largest first, at most KEPT of them
    cohorts: int  # all of them
    deliveries: int
    excluded: dict[str, int]  # by reason
    counted_at: datetime
    is_exact: bool  # frozen: these are rows
    is_complete: bool = True  # False: there was time for a part of the readers only
    first_at: datetime | None = None
    last_at: datetime | None = None
    waves: int = 0

    @property
    def excluded_readers(self) -> int:
        return sum(self.excluded.values())

    @property
    def candidates(self) -> int:
        return self.deliveries + self.excluded_readers


@dataclass(frozen=True)
class Choice:
    """What one reader gets of an edition, and when; or why nothing."""

    articles: int
    corrections: int
    is_text: bool
    release_at: datetime | None
    reason: str  # empty if they get it
    is_exact: bool


def of(edition: Edition, *, seconds: float = SECONDS) -> Forecast:
    """Rows if it is frozen; else a count that gives up after so many seconds."""
    return of_cohorts(edition) if edition.frozen_at else count(edition, seconds=seconds)


def of_cohorts(edition: Edition) -> Forecast:
    """Exact, in five statements for any number of readers.

    Of a cohort it says no waves: that would be a walk through its deliveries.
    """
    cohorts = edition.cohorts.defer("message").order_by("-size", "pk")
    waves = edition.waves.aggregate(first=Min("release_at"), last=Max("release_at"))
    groups = [
        Group(one.size, one.list, one.corrections, one.is_text, waves["first"], waves["last"])
        for one in cohorts[:KEPT]
    ]
    totals = edition.cohorts.aggregate(number=Count("pk"), readers=Sum("size", default=0))
    return Forecast(
        groups,
        totals["number"],
        totals["readers"],
        dict(edition.excluded),
        edition.frozen_at or timezone.now(),
        is_exact=True,
        first_at=waves["first"],
        last_at=waves["last"],
        waves=edition.waves.count(),
    )


def count(edition: Edition, *, seconds: float = SECONDS) -> Forecast:
    """Ask of each reader what the freeze would ask, page by page, and keep nothing but sums.

    Temporary tables only, which other connections do not see.
    """
    read = Edition.objects.select_related("newsletter").get(pk=edition.pk)
    read.cursor = 0
    until = time.monotonic() + seconds
    tally = _Tally(read)
    audience.prepare(read)
    try:
        while (upto := audience.end_of_page(read, size=PAGE)) is not None:
            if time.monotonic() > until:
                return tally.forecast(is_complete=False)
            audience.choose(read, upto)
            tally.add_page()
            read.cursor = upto
    finally:
        audience.drop()
    return tally.forecast(is_complete=True)


class _Tally:
    """Sums of pages: readers by what they get and when, and the others by why not."""

    def __init__(self, edition: Edition) -> None:
        self._waves = audience.Waves(edition)
        self._readers: Counter[tuple[int, int, bool]] = Counter()
        self._moments: dict[tuple[int, int, bool], set[datetime]] = {}
        self._excluded: Counter[str] = Counter()

    def add_page(self) -> None:
        rows = dialect.fetch(
            """
            SELECT list, corrections, is_text, zone, hour, slice, reason, COUNT(*)
            FROM freeze_page GROUP BY list, corrections, is_text, zone, hour, slice, reason
            """
        )
        for articles, corrections, is_text, zone, hour, number, reason, readers in rows:
            if reason:
                self._excluded[reason] += readers
                continue
            body = (articles, corrections, bool(is_text))
            self._readers[body] += readers
            at = self._waves.release_at(zone, hour, number)
            self._moments.setdefault(body, set()).add(at)

    def forecast(self, *, is_complete: bool) -> Forecast:
        groups = [
            Group(readers, *body, min(self._moments[body]), max(self._moments[body]))
            for body, readers in self._readers.most_common(KEPT)
        ]
        moments = set().union(*self._moments.values())
        return Forecast(
            groups,
            len(self._readers),
            self._readers.total(),
            dict(self._excluded),
            timezone.now(),
            is_exact=False,
            is_complete=is_complete,
            first_at=min(moments, default=None),
            last_at=max(moments, default=None),
            waves=len(moments),
        )


def of_reader(edition: Edition, subscriber: Subscriber) -> Choice | None:
    """What this reader gets, or would get now; None if they do not follow the newsletter."""
    if edition.frozen_at:
        rows = Delivery.objects.filter(edition=edition, subscriber=subscriber)
        places = rows.values_list("cohort", "batch__wave__release_at")
        if found := places.first():
            cohort = Cohort.objects.defer("message").get(pk=found[0])
            return Choice(
                cohort.list, cohort.corrections, cohort.is_text, found[1], "", is_exact=True
            )
    return _would_get(edition, subscriber)


def _would_get(edition: Edition, subscriber: Subscriber) -> Choice | None:
    read = Edition.objects.select_related("newsletter").get(pk=edition.pk)
    read.cursor = subscriber.pk - 1
    audience.prepare(read)
    try:
        audience.choose(read, subscriber.pk)
        rows = dialect.fetch(
            "SELECT list, corrections, is_text, zone, hour, slice, reason FROM freeze_page"
        )
        if not rows:
            return None
        articles, corrections, is_text, zone, hour, number, reason = rows[0]
        at = None if reason else audience.Waves(read).release_at(zone, hour, number)
        return Choice(articles, corrections, bool(is_text), at, reason, is_exact=False)
    finally:
        audience.drop()
