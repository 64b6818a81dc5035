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
    assert len({slot.astimezone(ZoneInfo("Europe/Berlin")).date() for slot in slots}) == 365


def test_weekdays_leave_the_weekend_out():
    weekdays = newsletter(cadence=Cadence.WEEKDAYS)

    slots = schedule.slots(weekdays, after=utc("2026-11-20 05:00"), upto=utc("2026-11-24 07:00"))

    assert [slot.day for slot in slots] == [20, 23, 24]  # Friday, Monday, Tuesday


def test_a_weekly_newsletter_comes_on_its_day():
    weekly = newsletter(cadence=Cadence.WEEKLY, weekday=5)

    assert schedule.next_slot(weekly, after=utc("2026-11-22 00:00")) == utc("2026-11-28 06:00")


def test_a_newsletter_that_goes_out_at_once_has_no_slots():
    assert schedule.next_slot(newsletter(cadence=Cadence.AT_ONCE), after=utc("2026-11-22")) is None


def test_after_three_missed_days_one_edition_catches_up():
    daily = newsletter()

    assert schedule.due_slot(daily, now=utc("2026-11-22 06:00")) == utc("2026-11-22 06:00")
    assert schedule.due_slot(daily, now=utc("2026-11-22 11:59")) == utc("2026-11-22 06:00")
    assert schedule.due_slot(daily, now=utc("2026-11-22 12:00")) is None  # six hours: too late


def test_a_newsletter_made_at_noon_does_not_send_this_mornings_edition():
    now = utc("2026-11-22 09:00")
    fresh = newsletter(created_at=now - timedelta(minutes=1))

    assert schedule.due_slot(fresh, now=now) is None
