"""Test 4: a worker sleeps longer than its lease, another does its work, it wakes up."""

import signal
import time

import pytest
from django.db import connection

from tests.faults import audience, books
from tests.faults.workers import CONNECTIONS, LEASE_SECONDS, PROCESSES

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]


def test_a_worker_frozen_beyond_its_lease_writes_nothing_but_what_was_accepted(
    pick, sink, workers, chance, note
):
    readers, rounds = pick(250, 20_000), pick(1, 10)
    edition = audience.going_out(readers)
    frozen = workers.start()
    workers.start_beat()
    workers.wait_until(lambda: sink.count() >= 40)
    awake = workers.start()
    for round_ in range(rounds):
        time.sleep(chance.uniform(0, 0.3))
        frozen.signal_group(signal.SIGSTOP)
        enough = min(sink.count() + 30, readers - 10)
        if connection.vendor == "postgresql":  # the others go on at once, then take its batches
            workers.wait_until(lambda enough=enough: sink.count() >= enough)
        # Frozen in mid-transaction it holds SQLite's only write lock, and all must wait.
        time.sleep(2 * LEASE_SECONDS)
        frozen.signal_group(signal.SIGCONT)
        if round_ < rounds - 1:
            frozen, awake = awake, frozen
    workers.wait_for_state(edition, seconds=pick(60, 600))

    bound = rounds * CONNECTIONS * PROCESSES
    note(books.check(edition, sink, copies_allowed=bound))
