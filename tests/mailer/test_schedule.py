from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from mailer import schedule
from subscribers.models import Cadence, Newsletter
from tests.factories import utc


def newsletter(**fields) -> Newsletter:
    defaults = {"cadence": Cadence.DAILY, "wall_time": time(6, 0), "created_at": utc("2020-01-01")}
    return Newsletter(**(defaults | fields))


@pytest.mark.parametrize(
    ("zone", "day", "wall", "expected"),
    [
        # Clocks go forward: a time that does not exist is the first instant after the gap.
        ("Europe/Berlin", "2026-03-29", "02:30", "2026-03-29 01:00"),
        ("Europe/Berlin", "2026-03-29", "03:30", "2026-03-29 01:30"),
        ("America/New_York", "2026-03-08", "02:30", "2026-03-08 07:00"),
        ("Australia/Lord_Howe", "2026-10-04", "02:15", "2026-10-03 15:30"),  # half an hour
        # Clocks go back: a time that exists twice is taken the first time.
        ("Europe/Berlin", "2026-10-25", "02:30", "2026-10-25 00:30"),
        ("Europe/Berlin", "2026-10-25", "03:30", "2026-10-25 02:30"),
        ("America/New_York", "2026-11-01", "01:30", "2026-11-01 05:30"),
        # Plain days, far zones.
        ("Asia/Tokyo", "2026-03-29", "02:30", "2026-03-28 17:30"),
        ("Pacific/Kiritimati", "2026-03-29", "06:00", "2026-03-28 16:00"),
    ],
)
def test_a_wall_time_becomes_one_instant(zone, day, wall, expected):
    at = schedule.wall_to_utc(
        datetime.fromisoformat(day).date(), time.fromisoformat(wall), ZoneInfo(zone)
    )

    assert at == utc(expected)
    assert at.tzinfo is UTC


def test_each_day_of_a_year_has_exactly_one_slot_although_the_clocks_change():
    berlin = newsletter(zone="Europe/Berlin", wall_time=time(2, 30))

    slots = list(
        schedule.slots(berlin, after=utc("2025-12-31 12:00"), upto=utc("2026-12-31 12:00"))
    )

    assert len(slots) == 365
    assert len({slot.at.astimezone(ZoneInfo("Europe/Berlin")).date() for slot in slots}) == 365


def test_weekdays_leave_the_weekend_out():
    weekdays = newsletter(cadence=Cadence.WEEKDAYS)

    slots = schedule.slots(weekdays, after=utc("2026-11-20 05:00"), upto=utc("2026-11-24 07:00"))

    assert [slot.day.day for slot in slots] == [20, 23, 24]  # Friday, Monday, Tuesday


def test_a_weekly_newsletter_comes_on_its_day():
    weekly = newsletter(cadence=Cadence.WEEKLY, weekday=5)

    assert schedule.next_slot(weekly, after=utc("2026-11-22 00:00")) == utc("2026-11-28 06:00")


def test_a_newsletter_that_goes_out_at_once_has_no_slots():
    assert schedule.next_slot(newsletter(cadence=Cadence.AT_ONCE), after=utc("2026-11-22")) is None


def first_look_at_the_clock(hour: int, zone: str, after: datetime) -> datetime:
    """When somebody who looks at the clock each minute sees the hour come, or passed over."""
    clock, instant = ZoneInfo(zone), after
    while True:
        shown, before = (
            at.astimezone(clock).replace(tzinfo=None)
            for at in (instant, instant - timedelta(minutes=1))
        )
        if before < shown.replace(hour=hour, minute=0) <= shown:
            return instant
        instant += timedelta(minutes=1)


HOURS = [
    # Zone, hour, the edition is due, the reader's wave (all UTC).
    ("Europe/Berlin", 7, "2026-11-23 06:00", "2026-11-23 06:00"),  # this very instant
    ("Europe/Berlin", 6, "2026-11-23 06:00", "2026-11-24 05:00"),  # an hour ago: tomorrow
    ("Europe/Berlin", 2, "2026-03-28 12:00", "2026-03-29 01:00"),  # skipped: the end of the gap
    ("Europe/Berlin", 3, "2026-03-28 12:00", "2026-03-29 01:00"),  # which is when the clock shows 3
    ("Europe/Berlin", 2, "2026-10-24 12:00", "2026-10-25 00:00"),  # repeated: the first
    ("Europe/Berlin", 2, "2026-10-25 00:30", "2026-10-26 01:00"),  # the first has passed
    ("America/New_York", 2, "2026-03-08 05:00", "2026-03-08 07:00"),
    ("America/New_York", 1, "2026-11-01 04:00", "2026-11-01 05:00"),
    ("America/New_York", 1, "2026-11-01 05:30", "2026-11-02 06:00"),
    ("Australia/Lord_Howe", 2, "2026-10-03 12:00", "2026-10-03 15:30"),  # half an hour forward
    ("Australia/Lord_Howe", 2, "2026-04-04 12:00", "2026-04-04 15:30"),  # 01:30 to 02:00 twice
    ("Africa/Casablanca", 2, "2026-02-14 12:00", "2026-02-15 01:00"),  # Ramadan: back, 02:00 twice
    ("Africa/Casablanca", 2, "2026-03-21 12:00", "2026-03-22 02:00"),  # and forward after it
    ("Asia/Tokyo", 7, "2026-11-23 06:00", "2026-11-23 22:00"),
    ("Pacific/Kiritimati", 7, "2026-11-23 06:00", "2026-11-23 17:00"),  # tomorrow's date there
    ("Europe/Kiev", 7, "2026-11-23 06:00", "2026-11-24 05:00"),  # as it was spelled until 2022
    ("Asia/Kathmandu", 0, "2026-11-23 06:00", "2026-11-23 18:15"),  # three quarters of an hour
]


@pytest.mark.parametrize(("zone", "hour", "due", "expected"), HOURS)
def test_a_local_hour_is_the_first_such_instant_from_when_the_edition_is_due(
    zone, hour, due, expected
):
    assert schedule.at_wall_time(time(hour), ZoneInfo(zone), after=utc(due)) == utc(expected)


@pytest.mark.parametrize(("zone", "hour", "due", "expected"), HOURS)
def test_the_table_says_what_the_clock_on_the_wall_says(zone, hour, due, expected):
    assert first_look_at_the_clock(hour, zone, utc(due)) == utc(expected)


@pytest.mark.parametrize("zone", sorted({zone for zone, *_ in HOURS}))
@pytest.mark.parametrize("day", range(0, 366, 7))
def test_nobody_waits_much_longer_than_a_day_for_their_hour(zone, day):
    due = utc("2026-01-01 06:00") + timedelta(days=day)

    waits = [
        schedule.at_wall_time(time(hour), ZoneInfo(zone), after=due) - due for hour in range(24)
    ]

    assert min(waits) >= timedelta(0)
    assert max(waits) < timedelta(hours=25)


@pytest.mark.parametrize("name", ["", "No/Such", "Europe", "../etc/passwd", "x" * 40, "\0"])
def test_a_zone_that_is_none_is_passed_over(name):
    assert schedule.zone_of(name, "Asia/Tokyo") == ZoneInfo("Asia/Tokyo")
    assert schedule.zone_of(name) == ZoneInfo("UTC")


@pytest.mark.parametrize(
    ("zone", "now", "expected"),
    [
        ("Europe/Berlin", "2026-11-23 05:00", "2026-11-23 05:00"),
        ("Europe/Berlin", "2026-11-23 04:59", "2026-11-22 05:00"),
        ("Pacific/Kiritimati", "2026-11-23 06:00", "2026-11-22 16:00"),
    ],
)
def test_the_latest_wall_time_has_passed_or_is_now(zone, now, expected):
    latest = schedule.latest_wall_time(time(6, 0), ZoneInfo(zone), upto=utc(now))

    assert latest == utc(expected)
