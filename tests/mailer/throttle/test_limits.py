"""What holds for a server and its lanes at one moment."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db.models.functions import Now

from mailer.models import LaneHour, Throttle, WarmUpDay
from mailer.throttle import clock, hours, limits, warm_up
from tests.mailer.throttle.conftest import results, server

pytestmark = pytest.mark.django_db


def make(domain: str = "", **fields) -> Throttle:
    return Throttle.objects.create(server="relay", domain=domain, **fields)


def past(sent: int, *, hours_ago: int, domain: str = "") -> None:
    hour = clock.hour_of(clock.now()) - timedelta(hours=hours_ago)
    LaneHour.objects.create(server="relay", domain=domain, hour=hour, sent=sent)


def test_with_nothing_set_nothing_is_limited():
    standing = limits.read(server())

    assert standing.is_free
    assert standing.server == limits.Limit()


def test_an_operators_rate_wins_over_the_settings_and_the_factor_applies_to_both():
    assert limits.read(server(rate=40)).server.rate == 40
    make(factor=0.5)
    assert limits.read(server(rate=40)).server.rate == 20
    Throttle.objects.update(rate_limit=8)
    assert limits.read(server(rate=40)).server.rate == 4


def test_a_lane_has_only_its_own_rate_until_it_is_slowed_down():
    make("example.org", connection_limit=2)
    make("example.net", rate_limit=30)

    lanes = limits.read(server(rate=40)).lanes

    assert (lanes["example.org"].rate, lanes["example.org"].connections) == (0, 2)
    assert (lanes["example.net"].rate, lanes["example.net"].burst) == (30, 3)


def test_a_slowed_lane_without_a_rate_goes_at_a_share_of_its_best_hour():
    make("example.org", factor=0.5)
    assert limits.read(server()).lanes["example.org"].rate == limits.UNKNOWN_RATE / 2

    past(3_600 * 24, hours_ago=3, domain="example.org")
    past(3_600, hours_ago=2, domain="example.org")
    past(3_600 * 99, hours_ago=25, domain="example.org")

    assert limits.read(server()).lanes["example.org"].rate == 12
    assert limits.read(server(rate=10)).lanes["example.org"].rate == 5


def test_a_quiet_lane_is_not_all_but_stopped_by_one_cut():
    make("example.org", factor=0.5)
    past(3, hours_ago=3, domain="example.org")

    assert limits.read(server()).lanes["example.org"].rate == limits.SLOWEST_BASE / 2


def test_the_least_of_all_daily_limits_holds():
    WarmUpDay.objects.create(server="relay", day=clock.now().date(), messages=50)
    assert limits.read(server(per_day=400)).server.per_day == 50
    make(daily_limit=20)
    assert limits.read(server(per_day=400)).server.per_day == 20
    assert limits.read(server(per_day=9)).server.per_day == 9


def test_what_is_left_today_is_counted_from_this_utc_day_alone():
    make("example.org", daily_limit=100)
    results("example.org", sent=30, deferred=7)
    yesterday = clock.day_of(clock.now()) - timedelta(hours=1)
    LaneHour.objects.create(server="relay", domain="example.org", hour=yesterday, sent=60)
    results("example.org", name="other", sent=60)

    standing = limits.read(server(per_day=35))

    assert standing.lanes["example.org"].left_today == 70
    assert standing.server.left_today == 5


@pytest.mark.parametrize(
    ("today", "allowed"),
    [
        ("2026-11-20", 50),  # before the plan: as on its first day
        ("2026-11-22", 50),
        ("2026-11-23", 75),
        ("2026-11-24", 75),  # left out
        ("2026-11-25", 112),
        ("2026-11-26", None),  # over
    ],
)
def test_a_warm_up_plan_limits_each_day_to_its_own_volume(today, allowed):
    for day, messages in [(22, 50), (23, 75), (25, 112)]:
        WarmUpDay.objects.create(server="relay", day=date(2026, 11, day), messages=messages)

    assert limits._planned("relay", date.fromisoformat(today)) == allowed
    assert limits._planned("other", date.fromisoformat(today)) is None


def test_the_day_changes_at_midnight_utc():
    before = datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC)

    assert clock.seconds_to_midnight(before) == 1
    assert clock.day_of(before + timedelta(seconds=1)) == datetime(2026, 11, 23, tzinfo=UTC)


def test_a_suspended_lane_opens_by_itself_and_a_held_one_does_not():
    make("example.org", resume_at=Now() + timedelta(minutes=15), reason="Too fast.")
    make("example.net", is_held=True)
    make("example.com", resume_at=Now() - timedelta(seconds=1))

    lanes = limits.read(server()).lanes

    assert 880 < lanes["example.org"].closed_for <= 900
    assert lanes["example.org"].reason == "Too fast."
    assert lanes["example.net"].closed_for == limits.HELD
    assert lanes["example.com"].closed_for == 0


@pytest.mark.parametrize("number", [1, 40])
def test_reading_takes_as_many_queries_for_any_number_of_lanes(number, django_assert_num_queries):
    make()
    for place in range(number):
        make(f"lane{place}.example", factor=0.5)
        past(9, hours_ago=1, domain=f"lane{place}.example")
        WarmUpDay.objects.create(
            server="relay",
            day=date(2026, 1, 1 + place % 28 + 0) + timedelta(days=place * 28),
            messages=5,
        )

    with django_assert_num_queries(4):
        history = limits.read(server()).history
    with django_assert_num_queries(1):
        limits.read(server(), history)


def test_workers_add_to_one_row_for_each_lane_and_hour(django_assert_num_queries):
    with django_assert_num_queries(2):
        hours.add("relay", {("b.example", "sent"): 3, ("a.example", "gone"): 2})
    hours.add("relay", {("b.example", "sent"): 4, ("b.example", "refused"): 1})

    assert hours.this_hour("relay", "b.example") == hours.Hour(sent=7, refused=1)
    assert hours.this_hour("relay", "a.example") == hours.Hour(failed=2, gone=2)
    assert hours.this_hour("relay", "") == hours.Hour(sent=7, refused=1, failed=2, gone=2)
    assert LaneHour.objects.count() == 3


def test_numbers_of_more_than_a_month_ago_are_forgotten():
    past(1, hours_ago=24 * 32)
    past(1, hours_ago=24 * 30)

    assert hours.forget_old() == 1
    assert LaneHour.objects.count() == 1


def test_a_plan_grows_by_its_factor_and_ends_where_it_shall():
    days = warm_up.plan(start=date(2026, 12, 30), first=50, factor=1.5, until=200)

    assert days == [
        (date(2026, 12, 30), 50),
        (date(2026, 12, 31), 75),
        (date(2027, 1, 1), 112),
        (date(2027, 1, 2), 168),
        (date(2027, 1, 3), 200),
    ]


@pytest.mark.parametrize(
    "numbers",
    [
        {"first": 0, "factor": 1.5, "until": 10},
        {"first": 20, "factor": 1.5, "until": 10},
        {"first": 5, "factor": 1.0, "until": 10},
        {"first": 1_000, "factor": 1.001, "until": 10_000_000},
    ],
)
def test_a_plan_that_cannot_be_is_refused(numbers):
    with pytest.raises(warm_up.BadPlan):
        warm_up.plan(start=date(2026, 12, 1), **numbers)


def test_a_new_plan_replaces_the_old_one_of_its_server_only():
    warm_up.replace("relay", [(date(2026, 12, 1), 1), (date(2026, 12, 2), 2)])
    warm_up.replace("other", [(date(2026, 12, 1), 1)])

    assert warm_up.replace("relay", [(date(2026, 12, 2), 9)]) == 2
    kept = WarmUpDay.objects.values_list("server", "day__day", "messages")
    assert list(kept) == [("other", 1, 1), ("relay", 2, 9)]
