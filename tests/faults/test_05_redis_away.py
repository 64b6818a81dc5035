"""Test 5: Redis is only a doorbell, and may be away, empty, full or silent."""

import signal
import time
from collections.abc import Callable

import pytest
import redis

from tests.faults import audience, books
from tests.faults.conftest import OwnRedis
from tests.faults.proxy import Proxy, between

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]

WITHIN = 60  # seconds after it is back, everything goes on


@pytest.fixture
def network(own_redis):
    with between(own_redis.socket) as proxy:
        yield proxy


@pytest.fixture
def workers(workers, network):
    """They reach Redis over TCP, through the proxy."""
    workers.environment["REDIS_URL"] = f"redis://127.0.0.1:{network.port}/0"
    return workers


def tell(server: OwnRedis, *command: str) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.execute_command(*command)


Strike = Callable[[OwnRedis, Proxy], object]
FAULTS: dict[str, tuple[Strike, Strike]] = {
    "flushed": (lambda server, proxy: tell(server, "FLUSHALL"), lambda server, proxy: None),
    "killed": (lambda server, proxy: server.kill(), lambda server, proxy: server.start()),
    "stopped": (
        lambda server, proxy: server.process.send_signal(signal.SIGSTOP),
        lambda server, proxy: server.process.send_signal(signal.SIGCONT),
    ),
    "full": (
        lambda server, proxy: tell(server, "CONFIG", "SET", "maxmemory", "1"),
        lambda server, proxy: tell(server, "CONFIG", "SET", "maxmemory", "0"),
    ),
    "black-holed": (lambda server, proxy: proxy.swallow(), lambda server, proxy: proxy.pass_on()),
    "cut off": (lambda server, proxy: proxy.reset(), lambda server, proxy: proxy.reset()),
}


@pytest.mark.parametrize("fault", list(FAULTS))
def test_mail_flows_again_when_redis_does(fault, pick, sink, workers, own_redis, network, note):
    strike, heal = FAULTS[fault]
    workers.is_supervised = True  # Celery's worker ends when a Redis without memory refuses it
    under_way = audience.going_out(pick(200, 20_000))
    workers.start()
    workers.start_beat()
    workers.wait_until(lambda: sink.count() >= 30)
    strike(own_redis, network)
    not_begun = audience.approved(pick(50, 2_000))
    time.sleep(pick(2, 60))
    heal(own_redis, network)

    back = time.monotonic()
    workers.wait_for_state(not_begun, seconds=WITHIN + pick(0, 300))
    seconds = time.monotonic() - back
    workers.wait_for_state(under_way, seconds=pick(30, 300))
    figures = [books.check(each, sink, copies_allowed=0) for each in (under_way, not_begun)]
    note(f"done {seconds:.1f} s after it was back, {workers.restarts} restarts, {figures}")
