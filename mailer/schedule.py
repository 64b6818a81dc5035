"""Step 1, when: a newsletter's wall-clock cadence becomes slots in UTC. Knows no articles."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from subscribers import cadences, holidays
from subscribers.holidays import Holidays
from subscribers.models import Cadence, Missed, Newsletter

UTC_ZONE = "UTC"
A_DAY = timedelta(days=1)
A_SECOND = timedelta(seconds=1)
TOLERANCE = timedelta(minutes=10)  # a tick that is late by less has missed nothing
LOOKS_BACK = timedelta(days=7)  # for missed slots; older ones nobody asks about
# Three months: what comes once a month has a slot in it although holidays take two of them.
LOOKS_AHEAD = timedelta(days=100)
LONGEST_AHEAD = timedelta(days=7)  # of a draft


@dataclass(frozen=True)
class Slot:
    """A moment at which an edition of a newsletter leaves, or would but for a holiday."""

    at: datetime  # UTC
    day: date  # on the clocks of the newsletter's zone
    holiday: str = ""  # the name of the one that takes it


@dataclass(frozen=True)
class ClockChange:
    """What clocks on the wall show, without their zone, where their hands are moved."""

    before: datetime
    after: datetime

    @property
    def is_forward(self) -> bool:
        return self.before < self.after

    @property
    def example(self) -> time:
        """A time in the middle of what is missing, or of what comes twice."""
        return (self.before + (self.after - self.before) / 2).time()


def wall_to_utc(day: date, wall_time: time, zone: ZoneInfo) -> datetime:
    """The instant at which a clock on the wall of `zone` shows this time.

    A time that exists twice (clocks go back) is taken the first time. One that does not exist
    (clocks go forward) becomes the first instant after the gap.
    """
    instant = datetime.combine(day, wall_time, zone).replace(fold=0).astimezone(UTC)
    if instant.astimezone(zone).time() == wall_time.replace(tzinfo=None):
        return instant
    # In a gap, fold 0 counts with the offset before it and so lands as far behind its end as the
    # wall time lies behind its start. The offset changes at the end of the gap: look for it.
    return _offset_changes(instant - timedelta(hours=4), instant, zone)


def _offset_changes(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """The instant between two at which the offset of the zone is another than at the first."""
    before = low.astimezone(zone).utcoffset()
    while high - low > A_SECOND:
        middle = low + (high - low) / 2
        low, high = (
            (middle, high) if middle.astimezone(zone).utcoffset() == before else (low, middle)
        )
    return high.replace(microsecond=0)


def clock_change(day: date, zone: ZoneInfo) -> ClockChange | None:
    """How the clocks of a zone change on a day; None on nearly all days."""
    # A second earlier: where clocks change at midnight, the change belongs to the day it begins.
    low, high = (wall_to_utc(day + n * A_DAY, time(), zone) - A_SECOND for n in (0, 1))
    was, becomes = (at.astimezone(zone).utcoffset() for at in (low, high))
    if was is None or becomes is None or was == becomes:
        return None
    change = _offset_changes(low, high, zone)
    before, after = ((change + offset).replace(tzinfo=None) for offset in (was, becomes))
    return ClockChange(before, after)


def zone_of(*names: str) -> ZoneInfo:
    """The first of these zones that exists, else UTC: a name in a row may be mistyped or gone."""
    for name in names:
        try:
            return ZoneInfo(name)
        except (ValueError, OSError, KeyError):  # KeyError: no such zone
            continue
    return ZoneInfo(UTC_ZONE)


def at_wall_time(wall_time: time, zone: ZoneInfo, *, after: datetime) -> datetime:
    """The first instant from `after` on at which clocks of the zone show this time.

    Where clocks change, as for `wall_to_utc`: it is never longer than a day, and an hour or so.
    """
    day = after.astimezone(zone).date() - A_DAY
    while (instant := wall_to_utc(day, wall_time, zone)) < after:
        day += A_DAY
    return instant


def latest_wall_time(wall_time: time, zone: ZoneInfo, *, upto: datetime) -> datetime:
    """The last instant until `upto` at which clocks of the zone showed this time."""
    day = upto.astimezone(zone).date() + A_DAY
    while (instant := wall_to_utc(day, wall_time, zone)) > upto:
        day -= A_DAY
    return instant


def slots(
    newsletter: Newsletter,
    *,
    after: datetime,
    upto: datetime,
    days_off: Holidays = holidays.NONE,
) -> Iterator[Slot]:
    """The slots of a newsletter with after < slot <= upto, oldest first, holidays included.

    A newsletter that goes out at once has none: its editions are opened by articles. In a zone
    that is gone from the time zone database, its wall time counts as UTC.
    """
    if newsletter.cadence == Cadence.AT_ONCE or newsletter.wall_time is None:
        return
    zone = zone_of(newsletter.zone)
    day = after.astimezone(zone).date() - A_DAY
    last = upto.astimezone(zone).date() + A_DAY
    while day <= last:
        if cadences.is_day_of(newsletter, day):
            at = wall_to_utc(day, newsletter.wall_time, zone)
            if after < at <= upto:
                yield Slot(at, day, days_off.name(newsletter, day))
        day += A_DAY


def next_slot(
    newsletter: Newsletter, *, after: datetime, days_off: Holidays = holidays.NONE
) -> datetime | None:
    """The first slot after an instant that is no holiday.

    None when the newsletter goes out at once, or when holidays take all of three months.
    """
    coming = slots(newsletter, after=after, upto=after + LOOKS_AHEAD, days_off=days_off)
    return next((slot.at for slot in coming if not slot.holiday), None)


def holidays_between(first: datetime, last: datetime) -> Holidays:
    """Those of the days between two instants, in any zone of the world. One query."""
    return holidays.between(first.date() - A_DAY, last.date() + A_DAY)


def lateness(newsletter: Newsletter) -> timedelta:
    """By how much an edition may be late and still leave, as the newsletter has it."""
    if newsletter.missed == Missed.SKIP:
        return TOLERANCE
    return timedelta(hours=newsletter.late_hours)


def looks_back_to(newsletter: Newsletter, *, now: datetime) -> datetime:
    """Slots until then are nobody's business any more.

    They are too old, or from before the newsletter had the days and the time that it has now: one
    that is made, switched on or moved to an earlier hour must not send what it never missed.
    """
    since = newsletter.scheduled_since or newsletter.created_at
    return max(now - LOOKS_BACK, newsletter.created_at, since)
