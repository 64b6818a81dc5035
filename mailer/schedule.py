"""Step 1, when: a newsletter's wall-clock cadence becomes slots in UTC. Knows no articles."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from subscribers.models import Cadence, Newsletter

UTC_ZONE = "UTC"
LATEST = timedelta(hours=6)  # a slot missed by more (machine asleep) is not sent late


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
    low, high = instant - timedelta(hours=4), instant
    before = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        low, high = (
            (middle, high) if middle.astimezone(zone).utcoffset() == before else (low, middle)
        )
    return high.replace(microsecond=0)


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
    day = after.astimezone(zone).date() - timedelta(days=1)
    while (instant := wall_to_utc(day, wall_time, zone)) < after:
        day += timedelta(days=1)
    return instant


def latest_wall_time(wall_time: time, zone: ZoneInfo, *, upto: datetime) -> datetime:
    """The last instant until `upto` at which clocks of the zone showed this time."""
    day = upto.astimezone(zone).date() + timedelta(days=1)
    while (instant := wall_to_utc(day, wall_time, zone)) > upto:
        day -= timedelta(days=1)
    return instant


def slots(newsletter: Newsletter, *, after: datetime, upto: datetime) -> Iterator[datetime]:
    """The slots of a newsletter with after < slot <= upto, oldest first.

    A newsletter that goes out at once has none: its editions are opened by articles.
    """
    if newsletter.cadence == Cadence.AT_ONCE or newsletter.wall_time is None:
        return
    zone = ZoneInfo(newsletter.zone)
    day = after.astimezone(zone).date() - timedelta(days=1)
    last = upto.astimezone(zone).date() + timedelta(days=1)
    while day <= last:
        if _is_day_of(newsletter, day):
            slot = wall_to_utc(day, newsletter.wall_time, zone)
            if after < slot <= upto:
                yield slot
        day += timedelta(days=1)


def next_slot(newsletter: Newsletter, *, after: datetime) -> datetime | None:
    """The first slot after an instant; None when the newsletter goes out at once."""
    return next(slots(newsletter, after=after, upto=after + timedelta(days=9)), None)


def due_slot(newsletter: Newsletter, *, now: datetime) -> datetime | None:
    """The newest slot that is due and not too late, or None.

    Older missed ones are left: one edition catches up with them, never a series of editions.
    """
    since = max(now - LATEST, newsletter.created_at)
    due = list(slots(newsletter, after=since, upto=now))
    return due[-1] if due else None


def _is_day_of(newsletter: Newsletter, day: date) -> bool:
    if newsletter.cadence == Cadence.WEEKDAYS:
        return day.weekday() < 5
    if newsletter.cadence == Cadence.WEEKLY:
        return day.weekday() == newsletter.weekday
    return True
