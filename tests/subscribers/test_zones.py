from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from subscribers import zones


@pytest.mark.parametrize(
    ("typed", "present"),
    [
        ("Europe/Kyiv", "Europe/Kyiv"),
        ("Europe/Kiev", "Europe/Kyiv"),
        ("Asia/Calcutta", "Asia/Kolkata"),
        ("US/Eastern", "America/New_York"),
        ("Europe/Stockholm", "Europe/Stockholm"),  # a link in the database, and yet its own name
        ("UTC", "UTC"),
        ("Etc/UTC", "UTC"),
        ("Zulu", "UTC"),
    ],
)
def test_an_old_name_becomes_the_present_one(typed, present):
    assert zones.canonical(typed) == present


@pytest.mark.parametrize(
    "typed", ["", "Asia/Tokio", "Europe", "../etc/passwd", "Europe/Berlin\0", "x" * 500, "日本"]
)
def test_what_is_no_zone_has_no_name(typed):
    assert zones.canonical(typed) is None


def test_every_choice_is_a_zone_of_its_own_and_fits_its_column():
    choices = zones.choices()

    assert {"Asia/Tokyo", "Europe/Berlin", "America/New_York", "Pacific/Kiritimati"} < {*choices}
    assert "Europe/Kiev" not in choices
    assert all(zones.canonical(name) == name for name in choices)
    assert all(ZoneInfo(name) and len(name) <= 40 for name in choices)


def test_a_place_is_called_as_people_call_it():
    assert zones.place("America/New_York") == "New York"
    assert zones.place("America/Argentina/Buenos_Aires") == "Buenos Aires"


@pytest.mark.parametrize(
    ("day", "zone", "instant"),
    [
        (date(2026, 3, 29), "Europe/Berlin", "2026-03-28 23:00"),
        (date(2026, 3, 30), "Europe/Berlin", "2026-03-29 22:00"),
        (date(2026, 9, 6), "America/Santiago", "2026-09-06 04:00"),  # no 00:00 on that day
        (date(2026, 4, 5), "Pacific/Kiritimati", "2026-04-04 10:00"),
        (date(2026, 4, 5), "no such zone", "2026-04-05 00:00"),
    ],
)
def test_a_day_begins_with_its_first_instant(day, zone, instant):
    begins = datetime.fromisoformat(instant).replace(tzinfo=UTC)

    assert zones.midnight(day, zone) == begins
    assert zones.midnight(day, zone).astimezone(zones.of(zone)).date() == day
