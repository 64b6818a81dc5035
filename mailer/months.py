"""Step 2e, a month in one look: the slots of all newsletters, past and coming, and what they met.

Each newsletter stands on the days of its own zone, as its readers' wall calendar has them.
"""

from __future__ import annotations

from calendar import Calendar
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from mailer import opening, schedule
from mailer.models import Edition, EditionKind, EditionState
from subscribers.holidays import Holidays
from subscribers.models import Newsletter

A_DAY = timedelta(days=1)
SHOWN = 12  # editions of one day; what goes out at once may be many more


class Sign(StrEnum):
    """What an entry says besides the state of an edition."""

    COMING = "coming"
    HOLIDAY = "holiday"
    MISSED = "missed"
    DUE = "due now"


@dataclass(frozen=True)
class Entry:
    """A slot, or an edition that left outside the cadence."""

    newsletter: Newsletter
    wall: datetime  # on the clocks of its zone
    zone: str
    word: str  # the state of its edition, or a sign
    reason: str = ""
    edition: Edition | None = None


@dataclass
class Day:
    date: date
    is_of_month: bool
    is_today: bool
    holiday: str  # of all newsletters
    notes: list[str] = field(default_factory=list)  # clocks that change
    entries: list[Entry] = field(default_factory=list)
    more: int = 0  # editions that are not shown

    @property
    def is_empty(self) -> bool:
        return not (self.holiday or self.notes or self.entries)


@dataclass(frozen=True)
class Month:
    first: date
    weeks: list[list[Day]]

    @property
    def days(self) -> list[Day]:
        """Those of the month itself."""
        return [day for week in self.weeks for day in week if day.is_of_month]

    @property
    def before(self) -> date:
        return (self.first - A_DAY).replace(day=1)

    @property
    def after(self) -> date:
        return (self.first + 31 * A_DAY).replace(day=1)


def read(first: date, newsletters: Sequence[Newsletter], *, now: datetime) -> Month:
    """The month that begins with `first`, with the days that fill its weeks. Two queries."""
    weeks = Calendar().monthdatescalendar(first.year, first.month)
    since, until = (
        datetime.combine(day, time(), UTC)
        for day in (weeks[0][0] - A_DAY, weeks[-1][-1] + 2 * A_DAY)
    )
    days_off = schedule.holidays_between(since, until)
    entries = _entries(newsletters, since, until, now, days_off)
    today = now.date()
    found = [
        [Day(day, day.month == first.month, day == today, days_off.of_all(day)) for day in week]
        for week in weeks
    ]
    for week in found:
        for day in week:
            day.entries, day.more = entries[day.date][:SHOWN], len(entries[day.date][SHOWN:])
            day.notes = list(_clock_notes(day.date, newsletters))
    return Month(first, found)


def _entries(
    newsletters: Sequence[Newsletter],
    since: datetime,
    until: datetime,
    now: datetime,
    days_off: Holidays,
) -> dict[date, list[Entry]]:
    by_day = defaultdict(list)
    known = _editions(newsletters, since, until)
    for newsletter in newsletters:
        editions = known[newsletter.pk]
        found = [_of_edition(newsletter, edition) for edition in editions]
        if newsletter.is_active:
            taken = {edition.slot for edition in editions}
            found += _open_slots(newsletter, taken, (since, until), now, days_off)
        for entry in found:
            by_day[entry.wall.date()].append(entry)
    for found in by_day.values():
        found.sort(key=lambda entry: entry.wall)
    return by_day


def _editions(
    newsletters: Sequence[Newsletter], since: datetime, until: datetime
) -> dict[int, list[Edition]]:
    """By newsletter. Catch-ups are left out: they are many, and have no slot of their own."""
    by_newsletter = defaultdict(list)
    found = Edition.objects.filter(
        newsletter__in=newsletters, slot__gte=since, slot__lt=until
    ).exclude(kind=EditionKind.CATCH_UP)
    for edition in found.order_by("slot"):
        by_newsletter[edition.newsletter_id].append(edition)
    return by_newsletter


def _of_edition(newsletter: Newsletter, edition: Edition) -> Entry:
    zone = schedule.zone_of(newsletter.zone)
    word, reason = edition.state, edition.reason
    if edition.state == EditionState.SKIPPED and reason.startswith(opening.MISSED):
        word, reason = Sign.MISSED, reason.removeprefix(opening.MISSED).strip()
    return Entry(newsletter, edition.slot.astimezone(zone), zone.key, word, reason, edition)


def _open_slots(
    newsletter: Newsletter,
    taken: set[datetime],
    span: tuple[datetime, datetime],
    now: datetime,
    days_off: Holidays,
) -> Iterator[Entry]:
    """Slots without an edition: coming ones, and past ones that no tick has looked at yet."""
    since, until = span
    after = max(since, schedule.looks_back_to(newsletter, now=now))
    zone = schedule.zone_of(newsletter.zone)
    for slot in schedule.slots(newsletter, after=after, upto=until, days_off=days_off):
        if slot.at not in taken:
            word, reason = _sign(slot, now)
            yield Entry(newsletter, slot.at.astimezone(zone), zone.key, word, reason)


def _sign(slot: schedule.Slot, now: datetime) -> tuple[Sign, str]:
    if slot.holiday:
        return Sign.HOLIDAY, slot.holiday
    if slot.at > now:
        return Sign.COMING, ""
    if now - slot.at < schedule.TOLERANCE:
        return Sign.DUE, ""
    return Sign.MISSED, "nobody has looked at this slot yet. Are the worker and beat running?"


def _clock_notes(day: date, newsletters: Sequence[Newsletter]) -> Iterator[str]:
    """A sentence for each zone whose clocks change on a day."""
    for name in sorted({schedule.zone_of(newsletter.zone).key for newsletter in newsletters}):
        change = schedule.clock_change(day, schedule.zone_of(name))
        if change is not None and change.is_forward:
            yield f"{name}: clocks change: {change.example:%H:%M} runs at {change.after:%H:%M}"
        elif change is not None:
            yield f"{name}: clocks change: {change.example:%H:%M} comes twice, the first one counts"
