"""Test 6: a ring says nothing but "look"; it may come five times, or not at all."""

import pytest

from tests.faults import audience, books

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]


def send_all(workers, sink, pick, rings: dict) -> None:
    edition = audience.approved(pick(200, 20_000), articles=3)
    workers.start(("rings", rings))
    workers.start(("rings", rings))
    workers.start_beat(("rings", rings))
    workers.wait_for_state(edition, seconds=pick(60, 600))
    books.check(edition, sink, copies_allowed=0)


def test_each_ring_five_times_changes_nothing(pick, sink, workers):
    send_all(workers, sink, pick, {"times": 5})


def test_half_of_the_rings_dropped_changes_nothing(pick, sink, workers, chance):
    send_all(workers, sink, pick, {"dropped": 0.5, "seed": chance.randrange(10**6)})


def test_two_beats_change_nothing(pick, sink, workers):
    workers.start_beat()
    send_all(workers, sink, pick, {})
