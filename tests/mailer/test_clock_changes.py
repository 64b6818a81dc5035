"""Slots on the days on which clocks change. The instants are worked out by hand, from zdump."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from mailer import schedule
from subscribers.models import Cadence, Newsletter
from tests.factories import utc

# Zone, day, wall time, instant in UTC. Two days of each zone: those of 2027 on which its clocks
# change; for zones that have none, those of Berlin.
SLOTS = [
    # Forward on 28 March, 02:00 to 03:00, at 01:00 UTC; back on 31 October, 03:00 to 02:00.
    ("Europe/Berlin", "2027-03-28", "02:30", "2027-03-28 01:00"),  # skipped: after the gap
    ("Europe/Berlin", "2027-03-28", "03:30", "2027-03-28 01:30"),
    ("Europe/Berlin", "2027-10-31", "02:30", "2027-10-31 00:30"),  # twice: the first
    ("Europe/Berlin", "2027-10-31", "03:30", "2027-10-31 02:30"),
    # Forward on 14 March, 02:00 to 03:00, at 07:00 UTC; back on 7 November, 02:00 to 01:00.
    ("America/New_York", "2027-03-14", "02:30", "2027-03-14 07:00"),
    ("America/New_York", "2027-03-14", "03:30", "2027-03-14 07:30"),
    ("America/New_York", "2027-11-07", "02:30", "2027-11-07 07:30"),
    ("America/New_York", "2027-11-07", "03:30", "2027-11-07 08:30"),
    # By half an hour. Back on 4 April, 02:00 to 01:30; forward on 3 October, 02:00 to 02:30.
    ("Australia/Lord_Howe", "2027-04-04", "02:30", "2027-04-03 16:00"),
    ("Australia/Lord_Howe", "2027-04-04", "03:30", "2027-04-03 17:00"),
    ("Australia/Lord_Howe", "2027-10-03", "02:30", "2027-10-02 15:30"),
    ("Australia/Lord_Howe", "2027-10-03", "03:30", "2027-10-02 16:30"),
    # For Ramadan. Back on 7 February, 03:00 to 02:00, at 02:00 UTC; forward on 14 March.
    ("Africa/Casablanca", "2027-02-07", "02:30", "2027-02-07 01:30"),
    ("Africa/Casablanca", "2027-02-07", "03:30", "2027-02-07 03:30"),
    ("Africa/Casablanca", "2027-03-14", "02:30", "2027-03-14 02:00"),
    ("Africa/Casablanca", "2027-03-14", "03:30", "2027-03-14 02:30"),
    # Always 9 hours ahead of UTC.
    ("Asia/Tokyo", "2027-03-28", "02:30", "2027-03-27 17:30"),
    ("Asia/Tokyo", "2027-03-28", "03:30", "2027-03-27 18:30"),
    ("Asia/Tokyo", "2027-10-31", "02:30", "2027-10-30 17:30"),
    ("Asia/Tokyo", "2027-10-31", "03:30", "2027-10-30 18:30"),
    # Always 14 hours ahead.
    ("Pacific/Kiritimati", "2027-03-28", "02:30", "2027-03-27 12:30"),
    ("Pacific/Kiritimati", "2027-03-28", "03:30", "2027-03-27 13:30"),
    ("Pacific/Kiritimati", "2027-10-31", "02:30", "2027-10-30 12:30"),
    ("Pacific/Kiritimati", "2027-10-31", "03:30", "2027-10-30 13:30"),
    # By its old name, and by its new one.
    ("Europe/Kiev", "2027-03-28", "03:30", "2027-03-28 01:00"),
    ("Europe/Kyiv", "2027-03-28", "03:30", "2027-03-28 01:00"),
    ("Europe/Kiev", "2027-10-31", "03:30", "2027-10-31 00:30"),
    ("Europe/Kyiv", "2027-10-31", "03:30", "2027-10-31 00:30"),
]


def daily(zone: str, wall: str) -> Newsletter:
    return Newsletter(cadence=Cadence.DAILY, wall_time=time.fromisoformat(wall), zone=zone)


@pytest.mark.parametrize(("zone", "day", "wall", "instant"), SLOTS)
def test_the_day_has_one_slot_at_the_right_instant(zone, day, wall, instant):
    noon = datetime.fromisoformat(f"{day} 12:00").replace(tzinfo=ZoneInfo(zone))

    found = list(schedule.slots(daily(zone, wall), after=noon - timedelta(days=1), upto=noon))

    assert [(slot.day.isoformat(), slot.at) for slot in found] == [(day, utc(instant))]


@pytest.mark.parametrize(("zone", "day", "wall", "instant"), SLOTS)
def test_one_slot_follows_the_other(zone, day, wall, instant):
    newsletter, at = daily(zone, wall), utc(instant)

    before = schedule.next_slot(newsletter, after=at - timedelta(seconds=1))
    after = schedule.next_slot(newsletter, after=at)

    assert before == at
    assert after is not None
    assert timedelta(hours=22) < after - at < timedelta(hours=26)


@pytest.mark.parametrize(
    ("zone", "day", "before", "after", "example"),
    [
        ("Europe/Berlin", date(2027, 3, 28), "02:00", "03:00", "02:30"),
        ("Europe/Berlin", date(2027, 10, 31), "03:00", "02:00", "02:30"),
        ("America/New_York", date(2027, 11, 7), "02:00", "01:00", "01:30"),
        ("Australia/Lord_Howe", date(2027, 10, 3), "02:00", "02:30", "02:15"),
        ("Africa/Casablanca", date(2027, 2, 7), "03:00", "02:00", "02:30"),
        ("Asia/Beirut", date(2027, 3, 28), "00:00", "01:00", "00:30"),  # at midnight, into its day
        ("Asia/Beirut", date(2027, 10, 30), "00:00", "23:00", "23:30"),  # back into the day before
    ],
)
def test_a_change_of_clocks_is_told_as_the_clocks_show_it(zone, day, before, after, example):
    change = schedule.clock_change(day, ZoneInfo(zone))

    assert change is not None
    shown = [f"{each:%H:%M}" for each in (change.before, change.after, change.example)]
    assert shown == [before, after, example]
    assert change.is_forward == (change.after > change.before)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "Pacific/Kiritimati", "Asia/Kathmandu"])
def test_where_clocks_never_change_no_day_says_so(zone):
    days = (date(2027, 1, 1) + timedelta(days=number) for number in range(365))

    assert not [day for day in days if schedule.clock_change(day, ZoneInfo(zone))]


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/New_York", "Asia/Beirut", "Africa/Cairo"]
)
def test_a_year_has_two_changes_elsewhere(zone):
    days = (date(2027, 1, 1) + timedelta(days=number) for number in range(365))

    assert len([day for day in days if schedule.clock_change(day, ZoneInfo(zone))]) == 2
