"""Test 7: the database ends connections, stops, locks, or has no room; nothing is forgotten."""

import resource
import time

import pytest
from django.conf import settings

from tests.faults import audience, books, database
from tests.faults.workers import CONNECTIONS, PROCESSES, at_work

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]

on_postgresql = pytest.mark.skipif(settings.IS_SQLITE, reason="SQLite has no server")
on_sqlite = pytest.mark.skipif(not settings.IS_SQLITE, reason="only SQLite has one writer")


@on_postgresql
def test_terminated_connections_lose_and_double_nothing(pick, sink, workers, chance, note):
    edition = audience.going_out(pick(300, 20_000))
    workers.is_supervised = True
    workers.start(LEASE_SECONDS="10")
    workers.start_beat()
    for _ in range(pick(4, 60)):
        seen = sink.count()
        workers.wait_until(lambda seen=seen: sink.count() > seen)
        time.sleep(chance.uniform(0, 0.2))
        database.terminate_others()
    workers.wait_for_state(edition, seconds=pick(60, 600))
    note(books.check(edition, sink, copies_allowed=0))


@on_postgresql
def test_an_immediate_stop_and_restart_loses_and_doubles_nothing(
    transactional_db, pick, sink, own_redis, nursery, folder, chance, note
):
    place = folder / "postgresql"
    with (
        database.private_postgresql(place) as server,
        at_work(nursery, folder, sink, own_redis.url) as workers,
    ):
        workers.is_supervised = True
        sink.behave(delay=0.02)
        edition = audience.going_out(pick(300, 20_000))
        workers.start(LEASE_SECONDS="10")
        workers.start_beat()
        for _ in range(pick(2, 15)):
            seen = sink.count()
            workers.wait_until(lambda seen=seen: sink.count() > seen + 20)
            server.stop_at_once()
            time.sleep(chance.uniform(0, 1))
            server.start()
            database.connection.close()
        workers.wait_for_state(edition, seconds=pick(60, 600))
        note(books.check(edition, sink, copies_allowed=0))


@on_postgresql
def test_a_storm_of_locks_only_slows_things_down(pick, sink, workers, chance, note):
    edition = audience.going_out(pick(300, 20_000))
    workers.start(LEASE_SECONDS="20")
    workers.start_beat()
    workers.wait_until(lambda: sink.count() > 0)
    for _ in range(pick(5, 60)):
        database.lock(chance.choice(database.TABLES), chance.uniform(0.1, pick(0.6, 3)))
        time.sleep(chance.uniform(0, 0.2))
    workers.wait_for_state(edition, seconds=pick(60, 600))
    note(books.check(edition, sink, copies_allowed=0))


@on_sqlite
def test_a_long_exclusive_lock_only_slows_things_down(pick, sink, workers, note):
    edition = audience.going_out(pick(300, 20_000))
    workers.start(LEASE_SECONDS=pick("15", "60"))
    workers.start_beat()
    workers.wait_until(lambda: sink.count() >= 50)
    database.hold_the_write_lock(pick(10, 30))
    workers.wait_for_state(edition, seconds=pick(60, 600))
    note(books.check(edition, sink, copies_allowed=0))


@on_sqlite
def test_a_lock_beyond_the_lease_doubles_at_most_what_was_on_the_wire(pick, sink, workers, note):
    edition = audience.going_out(pick(300, 20_000))
    workers.start()
    workers.start()
    workers.start_beat()
    workers.wait_until(lambda: sink.count() >= 50)
    database.hold_the_write_lock(pick(5, 30))
    workers.wait_for_state(edition, seconds=pick(60, 600))
    note(books.check(edition, sink, copies_allowed=2 * CONNECTIONS * PROCESSES))


@on_sqlite
@pytest.mark.parametrize("seconds", [3, 45])
def test_with_a_full_disk_nothing_is_sent_that_cannot_be_recorded(
    seconds, pick, sink, workers, note
):
    """Results are kept for 30 seconds; then a worker gives up, and its rows are in doubt."""
    if seconds > 30 and pick(True, False):
        pytest.skip("longer than the patience of a worker: only in the storm form")
    edition = audience.going_out(pick(300, 20_000))
    workers.is_supervised = True
    sending = workers.start(LEASE_SECONDS="8")
    workers.start_beat()
    workers.wait_until(lambda: sink.count() >= 50)
    sending.limit(resource.RLIMIT_FSIZE, 1024)  # bytes: no write goes through
    time.sleep(0.3)  # what was on the wire arrives
    before = sink.count()
    time.sleep(seconds)
    assert sink.count() <= before + CONNECTIONS * PROCESSES
    sending.limit(resource.RLIMIT_FSIZE, resource.RLIM_INFINITY)
    workers.wait_for_state(edition, seconds=pick(60, 600))
    allowed = 0 if seconds < 8 else CONNECTIONS * PROCESSES
    note(books.check(edition, sink, copies_allowed=allowed))
