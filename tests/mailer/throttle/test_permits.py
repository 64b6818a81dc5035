"""The rate that all workers share, as Redis sees it; and what is left of it without Redis."""

import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from redis import Redis
from redis.exceptions import RedisError

from mailer.throttle import permits
from mailer.throttle.buckets import COMMON, Bucket
from mailer.throttle.local_permits import LocalPermits
from mailer.throttle.permits import Permits

NOBODY = "unix:///nonexistent/valkey.sock"


@pytest.fixture
def ours(settings) -> Permits:
    return Permits(settings.REDIS_URL)


@dataclass
class Seen:
    """Permits, and between which instants of Redis's own clock it gave them."""

    after: float
    before: float
    granted: int


def seen_by_redis(client: Redis, bucket: Bucket, *, want: int = 1) -> Seen:
    script = client.register_script(permits.SCRIPT)
    with client.pipeline(transaction=True) as together:
        together.time()
        values = [repr(bucket.rate), bucket.burst, "", -1, 0, 0, 0]
        keys = [f"{permits.PREFIX}:{bucket.name}"]
        script(keys, [*values, want, *[COMMON] * want], client=together)
        together.time()
        began, (flags, *_waits), ended = together.execute()
    return Seen(began[0] + began[1] / 1e6, ended[0] + ended[1] / 1e6, flags.count(b"1"))


def assert_within(seen: list[Seen], *, rate: float, most_at_once: int) -> None:
    """In no window, from one grant to another, more than the rate and `most_at_once` allow."""
    seen = sorted((one for one in seen if one.granted), key=lambda one: one.after)
    for place, first in enumerate(seen):
        total = 0
        for last in seen[place:]:
            total += last.granted
            assert total <= most_at_once + rate * (last.before - first.after) + 0.001


@given(
    rate=st.floats(min_value=0.5, max_value=5_000),
    burst=st.integers(min_value=1, max_value=20),
    wants=st.lists(st.integers(min_value=1, max_value=30), min_size=2, max_size=12),
    clients=st.integers(min_value=1, max_value=4),
)
@effort(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_window_lets_more_through_than_burst_and_rate(redis, rate, burst, wants, clients):
    redis.flushdb()
    bucket = Bucket("shared", rate, burst)
    grants: list[Seen] = []

    def client() -> None:
        for want in wants:
            grants.append(seen_by_redis(redis, bucket, want=want))  # noqa: PERF401

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(grants) == clients * len(wants)
    assert_within(grants, rate=rate, most_at_once=burst)


def test_an_emptied_redis_lets_one_message_more_through(redis):
    bucket = Bucket("emptied", 200.0, 1)
    grants = [seen_by_redis(redis, bucket, want=9) for _ in range(20)]
    redis.flushall()
    grants += [seen_by_redis(redis, bucket, want=9) for _ in range(20)]

    assert_within(grants, rate=200.0, most_at_once=2)


def test_an_emptied_redis_gives_no_burst(redis, ours):
    for _ in range(3):
        assert ours.take("emptied", rate=0.01, burst=50, want=50).granted == 1
        redis.flushall()


def test_after_a_silence_the_burst_is_there(ours):
    ours.take("quiet", rate=100.0, burst=5, want=1)
    time.sleep(0.06)  # five more have come due

    assert ours.take("quiet", rate=100.0, burst=5, want=9).granted == 5


def test_the_wait_is_as_long_as_said(redis, ours):
    assert ours.take("waiting", rate=2.0, burst=1, want=1).granted == 1
    refused = ours.take("waiting", rate=2.0, burst=1, want=1)
    assert refused.granted == 0
    assert 0 < refused.wait <= 0.5

    time.sleep(refused.wait)

    assert ours.take("waiting", rate=2.0, burst=1, want=1).granted == 1


def test_a_new_rate_acts_at_once_on_what_the_old_one_left_behind(ours):
    ours.take("changed", rate=0.001, burst=1, want=1)
    assert ours.take("changed", rate=0.001, burst=1, want=1).wait > 900

    faster = ours.take("changed", rate=1_000.0, burst=1, want=1)

    assert faster.granted == 1 or faster.wait <= 0.001


def test_a_smaller_burst_leaves_no_debt_and_a_greater_one_gives_nothing(ours):
    ours.take("burst", rate=0.001, burst=1_000, want=1_000)
    assert ours.take("burst", rate=1_000.0, burst=1, want=1).wait <= 0.001

    ours.take("grown", rate=0.001, burst=1, want=1)
    assert ours.take("grown", rate=0.001, burst=1_000, want=1_000).granted == 0


def test_a_clock_that_goes_back_neither_stalls_nor_gives_more(redis, ours):
    ours.take("back", rate=10.0, burst=1, want=1)
    key = f"{permits.PREFIX}:back"
    redis.hincrby(key, "at", 3_600_000_000)  # written when the clock was an hour ahead

    refused = ours.take("back", rate=10.0, burst=1, want=1)

    assert refused.granted == 0
    assert refused.wait <= 0.1


def test_a_bucket_is_one_key_that_expires(redis, ours):
    for number in range(50):
        ours.take("one", rate=1_000.0, burst=3, want=number % 5)

    assert redis.keys() == [f"{permits.PREFIX}:one".encode()]
    assert 0 < redis.ttl(f"{permits.PREFIX}:one") <= 172_801


def test_a_message_takes_from_its_server_and_its_lane_or_from_neither(ours):
    server, slow, fast = Bucket("s", 0.01, 3), Bucket("s:slow", 0.01, 1), Bucket("s:fast", 0.01, 9)
    ours.ask([server, slow, fast], [], most=9)
    permits_left = Bucket("s", 0.01, 3, returned=2)  # as if the silence had been long
    fast_left = Bucket("s:fast", 0.01, 9, returned=8)

    answer = ours.ask([permits_left, slow, fast_left], [1, 1, 2, 0, 2], most=9)

    assert answer.granted == [True, False, True, True, False]
    assert [wait > 0 for wait in answer.waits] == [True, True, False]


def test_no_more_are_granted_than_there_is_room_for(ours):
    free = Bucket("free", per_day=100, day="2026-11-22")

    answer = ours.ask([free], [COMMON] * 5, most=2)

    assert answer.granted == [True, True, False, False, False]
    assert answer.waits == [0.0]


def test_the_days_messages_are_counted_together_and_start_anew_at_midnight(settings):
    workers = [Permits(settings.REDIS_URL) for _ in range(3)]
    today = Bucket("day", day="2026-11-22", per_day=10, sent=4)

    granted = [sum(worker.ask([today], [COMMON] * 3, most=3).granted) for worker in workers]
    used_up = workers[0].ask([today], [COMMON], most=1)
    tomorrow = Bucket("day", day="2026-11-23", per_day=10)

    assert granted == [3, 3, 0]
    assert used_up.waits == [float("inf")]
    assert sum(workers[0].ask([tomorrow], [COMMON] * 20, most=20).granted) == 10


def test_what_was_not_taken_or_never_left_does_not_use_up_the_day(ours):
    today = Bucket("day", day="2026-11-22", per_day=2)
    ours.ask([today], [COMMON] * 2, most=2)
    back = Bucket("day", day="2026-11-22", per_day=2, unaccepted=1, returned=1)

    assert sum(ours.ask([back], [COMMON] * 3, most=3).granted) == 2


def test_an_emptied_redis_counts_the_day_from_what_the_database_knows(redis, ours):
    ours.ask([Bucket("day", day="2026-11-22", per_day=10)], [COMMON] * 9, most=9)
    redis.flushall()
    known = Bucket("day", day="2026-11-22", per_day=10, sent=8)

    assert sum(ours.ask([known], [COMMON] * 9, most=9).granted) == 2


def test_without_redis_each_worker_keeps_to_its_share(settings, caplog):
    settings.SENDING_WORKERS = 4
    alone = Permits(NOBODY)
    began = time.monotonic()
    granted = 0
    while time.monotonic() - began < 0.2:
        granted += alone.take("share", rate=200.0, burst=8, want=10).granted
    passed = time.monotonic() - began

    assert 1 <= granted <= 2 + 50.0 * passed
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_redis_is_left_in_peace_for_a_while_and_then_used_again(redis, settings, monkeypatch):
    ours = Permits(settings.REDIS_URL)
    calls = []
    script = ours._script

    def failing(**given):
        calls.append(given)
        raise RedisError

    ours._script = failing
    for _ in range(10):
        ours.take("pause", rate=10.0, burst=1, want=1)
    assert len(calls) == 1
    assert not redis.keys()

    ours._script = script
    monkeypatch.setattr(ours, "_away_until", 0.0)
    ours.take("pause", rate=10.0, burst=1, want=1)
    assert redis.keys()


def test_a_redis_that_hangs_is_not_asked_again_for_a_while(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "silent.sock"))
        listener.listen()
        listener.setblocking(False)
        ours = Permits(f"unix://{tmp_path}/silent.sock")
        for _ in range(100):
            ours.take("hang", rate=10.0, burst=1, want=1)

        listener.accept()[0].close()
        with pytest.raises(BlockingIOError):
            listener.accept()


SENDER = """
import sys, time
import django; django.setup()
from mailer.throttle.permits import Permits
ours, until, granted = Permits(sys.argv[1]), time.monotonic() + 0.8, 0
while time.monotonic() < until:
    grant = ours.take("processes", rate=100.0, burst=1, want=2)
    granted += grant.granted
    time.sleep(min(grant.wait, 0.02))
print(granted)
"""


def test_two_processes_share_one_rate(redis, settings):
    began = redis.time()
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", SENDER, settings.REDIS_URL], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    granted = [int(worker.communicate()[0]) for worker in workers]
    ended = redis.time()

    passed = ended[0] - began[0] + (ended[1] - began[1]) / 1e6
    assert all(granted)
    assert sum(granted) <= 1 + 100.0 * passed


@given(
    questions=st.lists(
        st.tuples(
            st.floats(min_value=0, max_value=2),
            st.lists(st.integers(min_value=0, max_value=1), max_size=6),
        ),
        min_size=2,
        max_size=20,
    ),
    rate=st.floats(min_value=0.5, max_value=20),
    burst=st.integers(min_value=1, max_value=5),
)
def test_alone_the_same_rule_holds(questions, rate, burst):
    alone, now, grants = LocalPermits(), 0.0, []
    buckets = [Bucket("all", rate, burst), Bucket("lane", rate / 2, burst)]
    for later, messages in questions:
        now += later
        answer = alone.ask(buckets, messages, most=100, now=now)
        grants.append(Seen(now, now, sum(answer.granted)))
        in_lane = [own for own, may in zip(messages, answer.granted, strict=True) if may and own]
        assert len(in_lane) <= burst
    assert_within(grants, rate=rate, most_at_once=burst)
