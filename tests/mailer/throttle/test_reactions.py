"""Slower, suspended, open again: what answers of a server do to its lanes."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now

from mailer.models import Throttle
from mailer.throttle import limits, operators, reactions
from tests.mailer.throttle.conftest import lane, minutes_pass, results, server

pytestmark = pytest.mark.django_db
ORG = "example.org"


def slow(times: int = 1) -> None:
    """So many throttle replies, a minute apart."""
    for _ in range(times):
        assert reactions.slow_down("relay", ORG, "421 4.7.28 too fast")
        minutes_pass(1)


def closed_minutes(domain: str = ORG) -> float:
    standing = limits.read(server())
    limit = standing.lanes[domain] if domain else standing.server
    return limit.closed_for / 60


def test_a_throttle_reply_halves_the_speed_of_its_lane_alone():
    slow()

    assert lane(ORG).factor == 0.5
    assert lane(ORG).reason == "421 4.7.28 too fast"
    assert Throttle.objects.count() == 1


def test_a_wave_of_throttle_replies_is_one_reason(django_assert_num_queries):
    reactions.slow_down("relay", ORG, "too fast")

    with django_assert_num_queries(1):
        assert not reactions.slow_down("relay", ORG, "too fast")
    minutes_pass(0.51)
    assert reactions.slow_down("relay", ORG, "too fast")
    assert lane(ORG).factor == 0.25


def test_the_third_cut_in_ten_minutes_suspends_for_longer_each_time():
    for minutes in (15, 30, 60, 60):
        slow(2)
        assert closed_minutes() == 0
        assert reactions.slow_down("relay", ORG, "too fast")
        assert minutes - 0.1 < closed_minutes() <= minutes
        assert not reactions.slow_down("relay", ORG, "too fast")
        minutes_pass(minutes + 0.1)
        assert closed_minutes() == 0


def test_three_cuts_in_more_than_ten_minutes_suspend_nothing():
    for _ in range(3):
        slow()
        minutes_pass(6)

    assert closed_minutes() == 0
    assert lane(ORG).factor == 0.125


def test_a_lane_is_never_slower_than_a_64th():
    Throttle.objects.create(server="relay", domain=ORG, factor=1 / 64)
    slow()

    assert lane(ORG).factor == 1 / 64


def test_each_five_quiet_minutes_give_back_a_tenth_however_often_it_ticks():
    slow()
    assert reactions.recover() == 0
    minutes_pass(5)
    for _ in range(3):
        reactions.recover()
    assert lane(ORG).factor == pytest.approx(0.6)
    minutes_pass(5)
    reactions.recover()
    assert lane(ORG).factor == pytest.approx(0.7)


def test_a_lane_at_full_rate_again_has_its_past_forgotten():
    slow(3)
    assert lane(ORG).suspensions == 1
    for _ in range(15):
        minutes_pass(5)
        reactions.recover()

    assert not Throttle.objects.exists()


def test_suspended_minutes_are_not_quiet_ones():
    slow(3)
    minutes_pass(14.5)
    reactions.recover()
    assert lane(ORG).factor == 0.125
    minutes_pass(5)
    reactions.recover()
    assert lane(ORG).factor == pytest.approx(0.225)


def test_what_an_operator_set_stays_when_a_lane_recovers():
    operators.set_rate("relay", ORG, 5, by="mara")
    operators.set_rate("relay", "example.net", None, by="mara")
    slow()
    for _ in range(9):
        minutes_pass(5)
        reactions.recover()

    assert (lane(ORG).rate_limit, lane(ORG).factor, lane(ORG).reason) == (5, 1, "")
    assert lane("example.net").factor == 1


def test_a_single_refusal_pauses_no_lane():
    results(ORG, sent=200, refused=1)
    assert not reactions.refuses_us("relay", ORG, "550 5.7.1 blocked")
    results(ORG, refused=20)  # 21 of 221: not a tenth
    assert not reactions.refuses_us("relay", ORG, "550 5.7.1 blocked")
    assert not Throttle.objects.exists()


def test_refusals_of_more_than_a_tenth_pause_their_lane_for_an_hour():
    results(ORG, sent=5, refused=3)

    assert reactions.refuses_us("relay", ORG, "550 5.7.1 blocked: reader@example.org")

    assert 59.9 < closed_minutes() <= 60
    assert lane(ORG).reason == (
        "3 of 8 mails of this hour refused because of us: 550 5.7.1 blocked: (address)"
    )
    assert not reactions.refuses_us("relay", ORG, "again")
    minutes_pass(70)
    reactions.recover()
    assert not Throttle.objects.exists()


@pytest.mark.parametrize(
    ("counted", "slowed"),
    [
        ({"sent": 10, "deferred": 19}, False),
        ({"sent": 180, "deferred": 20}, False),
        ({"sent": 170, "deferred": 20}, True),
    ],
)
def test_transient_refusals_slow_a_lane_only_if_frequent_and_never_suspend_it(counted, slowed):
    results(ORG, **counted)
    for _ in range(4):
        assert reactions.transient("relay", ORG, "451 4.7.1 greylisted") is slowed
        assert not reactions.transient("relay", ORG, "451 4.7.1 greylisted")
        minutes_pass(5)

    assert not slowed or (closed_minutes(), lane(ORG).factor) == (0, 1 / 16)


def test_five_failed_sessions_in_a_row_open_the_breaker_and_longer_each_time():
    for _ in range(4):
        assert not reactions.session_failed("relay", "connection refused")
        assert closed_minutes("") == 0
    for seconds in (30, 60, 120, 240, 480, 900, 900):
        assert reactions.session_failed("relay", "connection refused")
        assert seconds - 5 < closed_minutes("") * 60 <= seconds
        assert not reactions.session_failed("relay", "on its way already")
        minutes_pass(seconds / 60 + 0.01)
        assert limits.read(server()).is_trial


def test_a_session_between_failures_starts_the_count_anew():
    for _ in range(4):
        reactions.session_failed("relay", "refused")
    reactions.session_worked("relay")

    assert not reactions.session_failed("relay", "refused")
    assert lane().failures == 1


def test_one_worker_tries_a_broken_server_and_its_answer_decides():
    for _ in range(5):
        reactions.session_failed("relay", "refused")
    assert not reactions.begin_trial("relay")
    minutes_pass(0.6)

    assert reactions.begin_trial("relay")
    assert not reactions.begin_trial("relay")
    assert reactions.session_failed("relay", "refused", on_trial=True)
    assert 55 < closed_minutes("") * 60 <= 60

    minutes_pass(1.1)
    assert reactions.begin_trial("relay")
    assert reactions.session_worked("relay")
    assert (lane().failures, closed_minutes(""), lane().reason) == (0, 0, "")


def test_a_trial_whose_worker_died_is_another_ones_after_half_a_minute():
    Throttle.objects.create(server="relay", failures=5)
    assert reactions.begin_trial("relay")
    minutes_pass(0.51)

    assert reactions.begin_trial("relay")


def test_a_session_that_works_does_not_write(django_assert_num_queries, caplog):
    Throttle.objects.create(server="relay", resume_at=Now() + timedelta(minutes=15), reason="Slow")

    assert not reactions.session_worked("relay")

    assert lane().reason == "Slow"


def test_a_server_that_a_person_suspended_is_held_until_a_person_releases_it():
    assert operators.suspend("relay", "", by="mara")
    assert not operators.suspend("relay", "", by="mara")
    minutes_pass(600)
    reactions.recover()
    reactions.session_worked("relay")
    assert closed_minutes("") == limits.HELD / 60

    assert operators.release("relay", "", by="mara")
    assert closed_minutes("") == 0
    assert not operators.release("relay", "", by="mara")


def test_a_person_suspends_without_end_and_releases_at_the_speed_it_had():
    slow(3)
    assert operators.suspend("relay", ORG, by="mara", reason="asked by their postmaster")
    assert not operators.suspend("relay", ORG, by="tom")
    assert lane(ORG).reason == "Suspended by mara: asked by their postmaster"

    assert operators.release("relay", ORG, by="tom")

    assert (closed_minutes(), lane(ORG).factor, lane(ORG).suspensions) == (0, 0.125, 0)


def test_a_rate_above_nothing_is_asked_for():
    for rate in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="above 0"):
            operators.set_rate("relay", ORG, rate, by="mara")


@pytest.mark.django_db(transaction=True)
def test_each_change_is_logged_once_without_an_address(caplog):
    for _ in range(3):
        reactions.slow_down("relay", ORG, "450 slow down reader@example.org")

    assert caplog.messages == [
        "lane relay/example.org: slowed down to 0.500 of its rate: 450 slow down (address)"
    ]


@pytest.mark.django_db(transaction=True)
def test_workers_that_see_the_same_trouble_at_once_cut_once():
    done: list[bool] = []

    def worker() -> None:
        done.append(reactions.slow_down("relay", ORG, "too fast"))
        connection.close()

    threads = [threading.Thread(target=worker) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(done) == [False, False, False, True]
    assert lane(ORG).factor == 0.5
