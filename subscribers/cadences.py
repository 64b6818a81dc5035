"""On which days a newsletter comes, and how one says so. Knows neither clocks nor holidays."""

from calendar import monthrange
from collections.abc import Collection
from datetime import date

from django.utils import dates
from django.utils.translation import gettext, gettext_noop

from iria_news import languages
from subscribers.models import Cadence, MonthWeek, Newsletter, Weekday

WEEKDAYS = 5  # Monday to Friday
A_WEEK = 7
MONTHS_A_WEEK = 12 * A_WEEK / 365.25
SHORTEST_MONTH, LONGEST_MONTH = 28, 31
EACH = {
    Weekday.MONDAY: gettext_noop("Mondays"),
    Weekday.TUESDAY: gettext_noop("Tuesdays"),
    Weekday.WEDNESDAY: gettext_noop("Wednesdays"),
    Weekday.THURSDAY: gettext_noop("Thursdays"),
    Weekday.FRIDAY: gettext_noop("Fridays"),
    Weekday.SATURDAY: gettext_noop("Saturdays"),
    Weekday.SUNDAY: gettext_noop("Sundays"),
}
WEEKS = {
    MonthWeek.FIRST: gettext_noop("first"),
    MonthWeek.SECOND: gettext_noop("second"),
    MonthWeek.THIRD: gettext_noop("third"),
    MonthWeek.FOURTH: gettext_noop("fourth"),
    MonthWeek.LAST: gettext_noop("last"),
}
# By the last digit; 0 stands for all that are not here.
ORDINALS = {
    0: gettext_noop("{number}th"),
    1: gettext_noop("{number}st"),
    2: gettext_noop("{number}nd"),
    3: gettext_noop("{number}rd"),
}
# A change of one of these gives a newsletter other slots.
FIELDS = {
    *("cadence", "days", "weekday", "month_day", "month_week", "wall_time", "zone"),
    "is_active",
}


def is_day_of(newsletter: Newsletter, day: date) -> bool:
    """Whether it comes on this day of its zone, holidays apart. What comes at once: on any day."""
    if newsletter.cadence == Cadence.WEEKDAYS:
        return day.weekday() < WEEKDAYS
    if newsletter.cadence == Cadence.DAYS:
        return Weekday(day.weekday()) in chosen(newsletter)
    if newsletter.cadence == Cadence.WEEKLY:
        return day.weekday() == newsletter.weekday
    if newsletter.cadence == Cadence.MONTHLY:
        return _is_day_of_month(newsletter, day)
    return True


def _is_day_of_month(newsletter: Newsletter, day: date) -> bool:
    last = monthrange(day.year, day.month)[1]
    if newsletter.month_week is None:
        return newsletter.month_day is not None and day.day == min(newsletter.month_day, last)
    if day.weekday() != newsletter.weekday:
        return False
    if newsletter.month_week == MonthWeek.LAST:
        return day.day > last - A_WEEK
    return (day.day - 1) // A_WEEK + 1 == newsletter.month_week


def chosen(newsletter: Newsletter) -> list[Weekday]:
    """The weekdays of a cadence of chosen weekdays, from Monday on."""
    return [weekday for weekday in Weekday if newsletter.days >> weekday & 1]


def slots_a_week(newsletter: Newsletter) -> float | None:
    """How many slots a week has on average; None for what comes at once."""
    if newsletter.cadence == Cadence.DAYS:
        return len(chosen(newsletter))
    return {
        Cadence.AT_ONCE: None,
        Cadence.DAILY: A_WEEK,
        Cadence.WEEKDAYS: WEEKDAYS,
        Cadence.WEEKLY: 1,
        Cadence.MONTHLY: MONTHS_A_WEEK,
    }[Cadence(newsletter.cadence)]


def gets_other_slots(changed: Collection[str]) -> bool:
    """Whether a change of these fields moves slots, so that those before it mean nothing."""
    return not FIELDS.isdisjoint(changed)


def in_words(newsletter: Newsletter) -> str:
    """Its days as the end of a sentence: "on Mondays and Thursdays"."""
    if newsletter.cadence == Cadence.WEEKLY and newsletter.weekday is not None:
        return _on_each([Weekday(newsletter.weekday)])
    if newsletter.cadence == Cadence.WEEKDAYS:
        return gettext("on weekdays")
    if newsletter.cadence == Cadence.DAYS:
        return _on_each(chosen(newsletter))
    if newsletter.cadence == Cadence.MONTHLY:
        return _month_in_words(newsletter)
    return gettext("every day")


def _on_each(weekdays: list[Weekday]) -> str:
    if len(weekdays) == A_WEEK:
        return gettext("every day")
    names = [gettext(EACH[weekday]) for weekday in weekdays]
    return gettext("on {weekdays}").format(weekdays=languages.listed(names))


def _month_in_words(newsletter: Newsletter) -> str:
    if newsletter.month_week is not None and newsletter.weekday is not None:
        return gettext("on the {week} {weekday} of each month").format(
            week=gettext(WEEKS[MonthWeek(newsletter.month_week)]),
            weekday=dates.WEEKDAYS[newsletter.weekday],
        )
    day = newsletter.month_day or 1
    if day == LONGEST_MONTH:
        return gettext("on the last day of each month")
    if day > SHORTEST_MONTH:
        words = gettext("on the {day} of each month (or its last day)")
    else:
        words = gettext("on the {day} of each month")
    return words.format(day=_ordinal(day))


def _ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st."""
    is_teen = number // 10 == 1
    words = ORDINALS.get(0 if is_teen else number % 10, ORDINALS[0])
    return gettext(words).format(number=number)
