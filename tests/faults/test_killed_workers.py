"""G1 to G3 with real processes: killed, frozen, stopped; Redis flushed; rings doubled."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
import redis
from django.conf import settings
from django.db import connection

from iria_news.embedded import valkey
from mailer import ledger
from mailer.models import Delivery, Edition
from tests.faults.workers import CONNECTIONS, LEASE_SECONDS, at_work, state, wait_until
from tests.mailer.editions import daily, open_now

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]

READERS = 400


@pytest.fixture
def own_redis(tmp_path: Path):
    """A Redis-compatible server that the test may flush and kill."""
    server = subprocess.Popen(valkey.command(tmp_path), stdout=subprocess.DEVNULL)
    while not (tmp_path / valkey.SOCKET).exists():
        time.sleep(0.01)
    yield f"unix://{tmp_path / valkey.SOCKET}"
    server.terminate()
    server.wait()


@pytest.fixture
def workers(tmp_path, sink, own_redis):
    sink.script.delay = 0.01  # so that there is something on the wire when we strike
    with at_work(tmp_path, sink, own_redis) as them:
        them.start_beat()
        yield them


def check_books(edition: Edition, sink, *, copies_allowed: int) -> None:
    """What was frozen was sent, once each but for the allowed copies, and the rows say so."""
    books = ledger.read(edition.pk)
    assert books.settled, str(books)
    assert books.by_state["sent"] == books.deliveries == READERS
    due = set(
        Delivery.objects.filter(edition=edition).values_list("subscriber__address", flat=True)
    )
    copies = Counter(taken.recipient for taken in sink.taken)
    assert set(copies) == due
    assert sum(copies.values()) - len(copies) <= copies_allowed
    for address, number in copies.items():
        if number > 1:  # the same message, recognisable as such
            assert len({taken.message_id for taken in sink.to(address)}) == 1


def test_a_killed_worker_loses_nobody_and_doubles_at_most_one_for_each_connection(sink, workers):
    edition = open_now(daily(READERS))
    first = workers.start()
    for at in (60, 180, 300):
        wait_until(lambda at=at: len(sink.taken) >= at, workers)
        workers.kill(first)
        first = workers.start()
    wait_until(lambda: state(edition) == "done", workers, seconds=90)

    check_books(edition, sink, copies_allowed=workers.kills * 2 * CONNECTIONS)


def test_clean_stops_double_nobody(sink, workers):
    edition = open_now(daily(READERS))
    current = workers.start()
    for at in (60, 180, 300):
        wait_until(lambda at=at: len(sink.taken) >= at, workers)
        workers.stop(current)
        current = workers.start()
    wait_until(lambda: state(edition) == "done", workers)

    check_books(edition, sink, copies_allowed=0)


def test_a_flushed_redis_and_doubled_rings_change_nothing(sink, workers, own_redis):
    edition = open_now(daily(READERS))
    workers.start()
    workers.start()
    workers.start_beat()
    client = redis.Redis.from_url(own_redis)
    for at in (50, 150, 250, 350):
        wait_until(lambda at=at: len(sink.taken) >= at, workers)
        client.flushall()
    client.close()
    wait_until(lambda: state(edition) == "done", workers)

    check_books(edition, sink, copies_allowed=0)


def test_a_worker_frozen_beyond_its_lease_writes_nothing_but_what_was_accepted(sink, workers):
    edition = open_now(daily(READERS))
    frozen = workers.start()
    wait_until(lambda: len(sink.taken) >= 60, workers)
    workers.signal(frozen, signal.SIGSTOP)
    workers.start()
    if connection.vendor == "postgresql":
        wait_until(lambda: len(sink.taken) >= 300, workers, seconds=LEASE_SECONDS + 40)
    else:  # frozen in mid-transaction it holds SQLite's only write lock, and all must wait
        time.sleep(3 * LEASE_SECONDS)
    workers.signal(frozen, signal.SIGCONT)
    wait_until(lambda: state(edition) == "done", workers)

    check_books(edition, sink, copies_allowed=2 * CONNECTIONS)


def test_a_worker_killed_at_random_while_freezing_and_rendering_changes_nothing(sink, workers):
    edition = open_now(daily(READERS, articles=6))
    chance = random.Random(os.environ.get("PYTEST_XDIST_WORKER", "x"))
    for _ in range(4):
        victim = workers.start()
        time.sleep(chance.uniform(1.2, 3.5))
        workers.kill(victim)
    workers.start()
    wait_until(lambda: state(edition) == "done", workers, seconds=90)

    check_books(edition, sink, copies_allowed=workers.kills * 2 * CONNECTIONS)
    assert settings.LEASE_SECONDS == 60  # the short lease is this test's, not the product's
