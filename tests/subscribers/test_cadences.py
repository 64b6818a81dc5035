from datetime import date, time, timedelta

import pytest

from subscribers import cadences, estimates, offers
from subscribers.models import Cadence, Holiday, MonthWeek, Newsletter, Weekday
from tests.factories import make_article, make_newsletter, make_topic, utc

MONDAY_AND_THURSDAY = 1 << Weekday.MONDAY | 1 << Weekday.THURSDAY
DAYS = {"cadence": Cadence.DAYS, "days": MONDAY_AND_THURSDAY}
FIRST_MONDAY = {
    "cadence": Cadence.MONTHLY,
    "month_week": MonthWeek.FIRST,
    "weekday": Weekday.MONDAY,
}


def monthly(day: int) -> dict[str, object]:
    return {"cadence": Cadence.MONTHLY, "month_day": day}


def of_week(week: MonthWeek, weekday: Weekday) -> dict[str, object]:
    return {"cadence": Cadence.MONTHLY, "month_week": week, "weekday": weekday}


def days_of(fields: dict[str, object], first: date, last: date) -> list[date]:
    newsletter = Newsletter(wall_time=time(6), **fields)
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [day for day in days if cadences.is_day_of(newsletter, day)]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (DAYS, [1, 4, 8, 11, 15, 18, 22, 25]),
        (monthly(1), [1]),
        (monthly(28), [28]),
        (monthly(29), [28]),  # February has no 29th in 2027
        (monthly(31), [28]),
        (of_week(MonthWeek.FIRST, Weekday.MONDAY), [1]),
        (of_week(MonthWeek.FIRST, Weekday.SUNDAY), [7]),
        (of_week(MonthWeek.SECOND, Weekday.MONDAY), [8]),
        (of_week(MonthWeek.THIRD, Weekday.WEDNESDAY), [17]),
        (of_week(MonthWeek.FOURTH, Weekday.SUNDAY), [28]),
        (of_week(MonthWeek.LAST, Weekday.MONDAY), [22]),
        (of_week(MonthWeek.LAST, Weekday.SUNDAY), [28]),
    ],
)
def test_february_2027_begins_on_a_monday(fields, expected):
    found = days_of(fields, date(2027, 2, 1), date(2027, 2, 28))

    assert [day.day for day in found] == expected


def test_in_a_shorter_month_the_last_day_takes_the_place_of_the_31st():
    found = days_of(monthly(31), date(2028, 1, 1), date(2028, 6, 30))

    assert [(day.month, day.day) for day in found] == [
        *((1, 31), (2, 29), (3, 31), (4, 30), (5, 31), (6, 30))
    ]


def test_a_last_weekday_may_be_the_fourth_or_the_fifth():
    found = days_of(of_week(MonthWeek.LAST, Weekday.MONDAY), date(2027, 1, 1), date(2027, 6, 30))

    assert [day.day for day in found] == [25, 22, 29, 26, 31, 28]


@pytest.mark.parametrize("fields", [monthly(31), monthly(15), FIRST_MONDAY])
def test_what_comes_once_a_month_comes_twelve_times_a_year(fields):
    found = days_of(fields, date(2027, 1, 1), date(2027, 12, 31))

    assert [day.month for day in found] == list(range(1, 13))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"cadence": Cadence.DAILY}, "every day"),
        ({"cadence": Cadence.WEEKDAYS}, "on weekdays"),
        ({"cadence": Cadence.WEEKLY, "weekday": Weekday.SATURDAY}, "on Saturdays"),
        (DAYS, "on Mondays and Thursdays"),
        ({"cadence": Cadence.DAYS, "days": 0b1010100}, "on Wednesdays, Fridays and Sundays"),
        ({"cadence": Cadence.DAYS, "days": 0b0000010}, "on Tuesdays"),
        ({"cadence": Cadence.DAYS, "days": 0b1111111}, "every day"),
        (FIRST_MONDAY, "on the first Monday of each month"),
        (of_week(MonthWeek.LAST, Weekday.FRIDAY), "on the last Friday of each month"),
        (monthly(1), "on the 1st of each month"),
        (monthly(2), "on the 2nd of each month"),
        (monthly(13), "on the 13th of each month"),
        (monthly(23), "on the 23rd of each month"),
        (monthly(30), "on the 30th of each month (or its last day)"),
        (monthly(31), "on the last day of each month"),
    ],
)
def test_readers_are_told_when_it_comes(fields, words):
    newsletter = Newsletter(wall_time=time(8), zone="Europe/Berlin", **fields)

    assert offers.comes(newsletter) == f"{words} at 08:00 (Europe/Berlin)"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (DAYS, "up to 2 mails a week"),
        ({"cadence": Cadence.DAYS, "days": 1}, "1 mail a week"),
        (FIRST_MONDAY, "1 mail a month"),
        (monthly(31), "1 mail a month"),
    ],
)
@pytest.mark.django_db
def test_without_history_the_rate_is_that_of_the_slots(fields, words):
    europe = make_topic("Europe")
    history = estimates.History(utc("2026-03-30 12:00"))

    assert estimates.rate(make_newsletter(**fields), [europe], [europe], history) == words


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (DAYS, "about 2 mails a week"),
        ({"cadence": Cadence.DAYS, "days": 1}, "about 1 mail a week"),
        (FIRST_MONDAY, "about 1 mail a month"),
        (monthly(15), "about 1 mail a month"),
    ],
)
@pytest.mark.django_db
def test_an_article_a_day_makes_as_many_mails_as_there_are_slots(fields, words):
    europe, now = make_topic("Europe"), utc("2026-03-30 12:00")
    for day in range(28):
        make_article(topics=[europe], published_at=now - timedelta(days=day))
    history = estimates.History(now)

    assert estimates.rate(make_newsletter(**fields), [europe], [europe], history) == words


@pytest.mark.django_db
def test_who_gives_only_an_address_gets_the_most_frequent_digest():
    names = ["At once", "Monthly", "Weekly", "Chosen days"]
    kinds = [
        {"cadence": Cadence.AT_ONCE, "wall_time": None},
        FIRST_MONDAY,
        {"cadence": Cadence.WEEKLY, "weekday": Weekday.SATURDAY},
        DAYS,
    ]
    for name, fields in zip(names, kinds, strict=True):
        make_newsletter(name, **fields)

    assert [offer.newsletter.name for offer in offers.public()] == [
        *("Chosen days", "Weekly", "Monthly", "At once")
    ]


@pytest.mark.django_db
def test_a_holiday_of_all_is_named_once_and_says_what_it_is():
    holiday = Holiday.objects.create(day=date(2027, 3, 29), name="Easter Monday")

    assert str(holiday) == "Easter Monday, 2027-03-29"
