"""Which rows leave, which wait in place, which are put away, and when a server is shut."""

import time
from collections import Counter
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.db.models.functions import Now

from mailer.models import LaneHour, Throttle
from mailer.throttle import gate, hours, limits, operators, reactions
from mailer.throttle.choosing import KEPT_IN_PLACE, LANE_AGAIN, LOOK_AT, SERVER_AGAIN
from mailer.throttle.gate import Gate
from mailer.throttle.permits import Permits
from tests.mailer.throttle.conftest import lane, minutes_pass, server

pytestmark = pytest.mark.django_db
ORG, NET = "example.org", "example.net"


def make(domain: str = "", **fields) -> None:
    Throttle.objects.create(server="relay", domain=domain, **fields)


def rows(*domains: str) -> list[tuple[int, str]]:
    return list(enumerate(domains))


def pick(ours: Gate, waiting, *, room: int = 10, in_flight=None):
    return ours.pick(waiting, domain=lambda row: row[1], in_flight=in_flight or {}, room=room)


def domains(picked) -> Counter[str]:
    return Counter(domain for _number, domain in picked.rows)


@pytest.fixture
def nobody_asked(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("Redis was asked for permits")

    monkeypatch.setattr(Permits, "ask", refuse)


def test_with_nothing_to_limit_the_first_rows_leave_and_redis_is_not_asked(nobody_asked):
    looked_at = []

    def waiting():
        for row in rows(*[ORG] * 1_000):
            looked_at.append(row)
            yield row

    picked = pick(Gate(server()), waiting(), room=4)

    assert picked.rows == rows(ORG, ORG, ORG, ORG)
    assert (picked.passed_over, picked.wait, picked.closed_for) == ([], 0, 0)
    assert len(looked_at) == 4


def test_a_turn_without_limits_asks_the_database_once_in_a_quarter_of_a_second(
    django_assert_num_queries, monkeypatch
):
    ours = Gate(server())
    ours.look()
    with django_assert_num_queries(0):
        for _ in range(200):
            pick(ours, rows(ORG))
    ours._looked_at -= gate.LOOK_EVERY
    with django_assert_num_queries(1):
        pick(ours, rows(ORG))


def test_never_more_leave_than_the_server_has_permits_for(redis):
    ours = Gate(server(rate=0.01))  # the next comes after 100 s

    assert len(pick(ours, rows(*[ORG] * 9)).rows) == 1
    again = pick(ours, rows(*[ORG] * 9))

    assert again.rows == again.passed_over == []
    assert 2 < again.closed_for <= SERVER_AGAIN
    assert "rate of 0.01 messages a second" in again.closed_reason


def test_short_waits_leave_all_rows_in_place():
    ours = Gate(server(rate=0.6))
    picked = pick(ours, rows(*[ORG] * 9))
    again = pick(ours, rows(*[ORG] * 9))

    assert len(picked.rows) == 1
    assert 0 < picked.wait <= 1.67
    assert (again.rows, again.passed_over, again.closed_for) == ([], [], 0)
    assert 0 < again.wait <= 1.67


def test_a_worker_that_waits_for_a_permit_does_not_ask_again(monkeypatch):
    ours = Gate(server(rate=0.6))
    pick(ours, rows(ORG, ORG))
    monkeypatch.setattr(Permits, "ask", lambda *_args, **_kwargs: pytest.fail("asked"))

    assert 0 < pick(ours, rows(ORG)).wait <= 1.67


def test_a_slow_lane_slows_no_other():
    make(ORG, rate_limit=0.001)
    waiting = rows(*[ORG] * 300, *[NET] * 20)

    picked = pick(Gate(server()), waiting, room=10)

    assert domains(picked) == {ORG: 1, NET: 9}


def test_a_suspended_lane_is_passed_over_and_the_others_leave():
    make(ORG, resume_at=Now() + timedelta(seconds=90))
    make(NET, is_held=True)

    picked = pick(Gate(server()), rows(ORG, "example.com", NET, ORG, "example.com"))

    assert domains(picked) == {"example.com": 2}
    waits = {domain: seconds for (_number, domain), seconds in picked.passed_over}
    assert 85 < waits[ORG] <= 90
    assert waits[NET] == LANE_AGAIN
    assert len(picked.passed_over) == 3


def test_rows_beyond_a_short_wait_come_back_when_the_rate_reaches_them():
    make(ORG, rate_limit=1)
    picked = pick(Gate(server()), rows(*[ORG] * 11))

    assert len(picked.rows) == 1
    assert 0 < picked.wait <= 1
    assert Counter(seconds for _row, seconds in picked.passed_over) == {4: 2, 6: 2, 8: 2, 10: 2}


def test_later_rows_of_a_slow_lane_come_back_after_those_that_were_put_away_before():
    make(ORG, rate_limit=1)
    ours = Gate(server())
    first = [seconds for _row, seconds in pick(ours, rows(*[ORG] * 11)).passed_over]
    second = [seconds for _row, seconds in pick(ours, rows(*[ORG] * 11)).passed_over]

    assert max(first) == 10
    assert min(second) >= 10
    assert max(pick(ours, rows(*[ORG] * 500)).passed_over)[1] <= LANE_AGAIN


def test_permits_are_left_for_the_other_lanes_of_a_limited_server():
    make(ORG, rate_limit=0.001)
    ours = Gate(server(rate=1_000, burst=6))
    pick(ours, rows(ORG))
    time.sleep(0.01)  # the burst is there

    assert domains(pick(ours, rows(*[ORG] * 5, *[NET] * 5), room=6)) == {NET: 5}


def test_a_lane_keeps_to_its_connections_and_the_others_use_the_rest(nobody_asked):
    make(ORG, connection_limit=2)
    ours = Gate(server())

    assert domains(pick(ours, rows(*[ORG] * 9, NET), room=5)) == {ORG: 2, NET: 1}
    busy = pick(ours, rows(*[ORG] * 9, NET), room=5, in_flight={ORG: 1})
    assert domains(busy) == {ORG: 1, NET: 1}
    assert (busy.passed_over, busy.wait) == ([], 0)


def test_too_many_rows_for_busy_connections_do_not_hide_the_others(nobody_asked):
    make(ORG, connection_limit=1)

    picked = pick(Gate(server()), rows(*[ORG] * 150, NET), in_flight={ORG: 1})

    assert domains(picked) == {NET: 1}
    assert len(picked.passed_over) == 150 - KEPT_IN_PLACE


def test_a_choice_stops_looking_at_some_point():
    make(ORG, rate_limit=1)
    looked_at = Counter()

    def waiting():
        for row in rows(*[ORG] * 100_000):
            looked_at["rows"] += 1
            yield row

    pick(Gate(server()), waiting())

    assert looked_at["rows"] == LOOK_AT


def test_many_slow_lanes_in_front_hide_no_other_for_long():
    for number in range(100):
        make(f"slow{number}.example", rate_limit=0.001)
    ours = Gate(server())
    slow = [f"slow{number}.example" for number in range(100)]
    pick(ours, rows(*slow), room=100)
    waiting = rows(*slow, *[NET] * 9)

    first = pick(ours, waiting, room=5)

    assert domains(first) == {NET: 5}


def test_a_look_that_ended_early_and_found_little_is_soon_repeated():
    for number in range(100):
        make(f"slow{number}.example", rate_limit=0.001)
    one, other = Gate(server()), Gate(server())
    slow = [f"slow{number}.example" for number in range(100)]
    pick(one, rows(*slow), room=100)

    first = pick(other, rows(*slow, NET), room=5)
    left = [row for row in rows(*slow, NET) if row not in dict(first.passed_over)]

    assert 0 < first.wait < 0.01
    assert domains(pick(other, left, room=5)) == {NET: 1}


def test_a_server_keeps_to_its_connections():
    make(connection_limit=3)
    ours = Gate(server())

    assert len(pick(ours, rows(*[ORG] * 9), in_flight={NET: 1}).rows) == 2
    assert pick(ours, rows(ORG), in_flight={NET: 3}).rows == []


def test_a_suspended_server_is_shut_with_its_reason(nobody_asked):
    operators.suspend("relay", "", by="mara", reason="a wrong password")
    ours = Gate(server(rate=5))

    picked = pick(ours, rows(ORG))

    assert picked.closed_for == SERVER_AGAIN
    assert "a wrong password" in picked.closed_reason
    assert ours.closed() == (picked.closed_for, picked.closed_reason)


def test_the_days_last_message_shuts_the_server_until_midnight():
    ours = Gate(server(per_day=3))

    assert len(pick(ours, rows(*[ORG] * 9)).rows) == 3
    shut = pick(ours, rows(*[ORG] * 9))

    assert 0 < shut.closed_for <= SERVER_AGAIN
    assert shut.closed_reason == "Today's 3 messages are used up; it goes on at 00:00 UTC."


def test_the_day_of_a_lane_ends_for_that_lane_alone():
    make(ORG, daily_limit=2)
    picked = pick(Gate(server()), rows(*[ORG] * 5, NET))

    assert domains(picked) == {ORG: 2, NET: 1}
    assert len(picked.passed_over) == 3
    assert all(0 < seconds <= LANE_AGAIN for _row, seconds in picked.passed_over)


def test_two_workers_share_a_day_and_what_was_deferred_does_not_count():
    one, other = Gate(server(per_day=4)), Gate(server(per_day=4))
    assert len(pick(one, rows(*[ORG] * 3)).rows) == 3
    one.note(ORG, "sent")
    one.note(ORG, "sent")
    one.note(ORG, "deferred")

    assert len(pick(one, rows(*[ORG] * 1)).rows) == 1
    assert len(pick(other, rows(*[ORG] * 3)).rows) == 1


def test_a_picked_row_that_did_not_leave_gives_its_permit_back():
    ours = Gate(server(rate=1.5))
    pick(ours, rows(ORG))
    ours.give_back(ORG)
    ours._memory.without_permit.clear()

    assert len(pick(ours, rows(ORG)).rows) == 1


def test_a_changed_rate_acts_at_the_next_look(redis):
    ours = Gate(server(rate=0.6))
    pick(ours, rows(ORG))
    assert pick(ours, rows(ORG)).wait > 1

    operators.set_rate("relay", "", 10_000, by="mara")
    ours._looked_at -= gate.LOOK_EVERY
    time.sleep(0.001)

    assert len(pick(ours, rows(ORG)).rows) == 1


def test_a_lane_that_is_suspended_stops_at_the_next_look():
    ours = Gate(server())
    assert pick(ours, rows(ORG)).rows
    operators.suspend("relay", ORG, by="mara")
    ours._looked_at -= gate.LOOK_EVERY

    assert not pick(ours, rows(ORG)).rows


def test_a_server_on_trial_gets_one_message_of_one_worker():
    make(failures=5, resume_at=Now() - timedelta(seconds=1), reason="5 sessions failed")
    one, other = Gate(server()), Gate(server())
    assert other.look().is_trial

    assert len(pick(one, rows(*[ORG] * 5)).rows) == 1
    one.look(force=True)
    assert pick(one, rows(*[ORG] * 5), in_flight={ORG: 1}).rows == []
    assert (
        pick(other, rows(ORG)).closed_reason == "Another worker tries it again: 5 sessions failed"
    )
    other.look(force=True)
    assert pick(other, rows(ORG)).closed_for > 20

    one.session_worked()
    other.look(force=True)
    assert len(pick(other, rows(*[ORG] * 5)).rows) == 5


def test_a_failed_trial_shuts_the_server_for_twice_as_long():
    for _ in range(5):
        reactions.session_failed("relay", "refused")
    minutes_pass(0.51)
    ours = Gate(server())
    pick(ours, rows(ORG))

    assert ours.session_failed("refused")

    assert 30 < ours.closed()[0] <= 60
    assert not ours.on_trial
    assert lane().failures == 6


def test_sessions_that_work_ask_nobody(django_assert_num_queries):
    ours = Gate(server())
    ours.look()
    with django_assert_num_queries(0):
        ours.session_worked()


def test_results_are_written_every_few_seconds_or_when_asked(django_assert_num_queries):
    ours = Gate(server())
    for kind in ("sent", "sent", "deferred", "refused", "failed", "gone"):
        ours.note(ORG, kind)
    with django_assert_num_queries(0):
        ours.flush()
    ours._flushed_at -= gate.FLUSH_EVERY
    with django_assert_num_queries(2):
        ours.flush()
    with django_assert_num_queries(0):
        ours.flush(force=True)

    assert hours.this_hour("relay", ORG) == hours.Hour(2, 1, 1, 2, 1)


def test_while_the_database_is_away_the_old_limits_hold_and_results_are_kept(monkeypatch):
    def away(*_args, **_kwargs):
        raise OperationalError

    ours = Gate(server(rate=1_000))
    ours.look()
    ours.note(ORG, "sent")
    with monkeypatch.context() as broken:
        broken.setattr(limits, "read", away)
        broken.setattr(hours, "add", away)
        ours.flush(force=True)
        assert ours.look(force=True).server.rate == 1_000
        with pytest.raises(OperationalError):
            Gate(server()).look()
    ours.flush(force=True)

    assert LaneHour.objects.get(domain=ORG).sent == 1
