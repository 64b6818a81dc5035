"""Test 9: a worker's clock is an hour off, or jumps; leases know the database's clock only."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from mailer import tasks
from mailer.models import Batch, BatchState
from tests.faults import audience, books
from tests.faults.workers import LEASE_SECONDS

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]

HOUR = 3600
SHORT = "tick,freeze,render,confirm,default"


def wrong_by(seconds: float, folder) -> tuple:
    file = folder / f"clock-{seconds}-{time.monotonic_ns()}"
    file.write_text(str(seconds))
    return file, ("clock", {"file": str(file)})


def check_leases() -> int:
    """Whoever wrote them, they end within a lease of now; the test's clock is the database's."""
    found = 0
    for until in Batch.objects.filter(state=BatchState.LEASED).values_list(
        "leased_until", flat=True
    ):
        assert abs(until - timezone.now()) <= timedelta(seconds=LEASE_SECONDS + 5)
        found += 1
    return found


@pytest.mark.parametrize("hours", [1, -1])
def test_a_worker_an_hour_off_keeps_its_leases_and_nobody_elses(
    hours, pick, folder, sink, workers, note
):
    edition = audience.going_out(pick(300, 20_000))
    _, wrong = wrong_by(hours * HOUR, folder)
    workers.start(wrong, queues="send")
    workers.ring(tasks.send)  # without the end that beat's and our rings have
    workers.wait_until(lambda: sink.count() > 0)
    assert check_leases()
    workers.start(queues=f"send,{SHORT}")
    workers.start_beat()
    workers.wait_for_state(edition, seconds=pick(60, 600))
    note(books.check(edition, sink, copies_allowed=0))


def test_a_clock_that_jumps_during_leases_changes_nothing(
    pick, folder, sink, workers, chance, note
):
    edition = audience.going_out(pick(300, 20_000))
    sink.behave(delay=0.08)  # so that there is time for some jumps
    file, wrong = wrong_by(0, folder)
    workers.start(wrong)
    workers.start()
    workers.start_beat()
    jumps = 0
    while not (workers.wait_until(lambda: sink.count() > 0) or sink.count() >= pick(250, 19_000)):
        file.write_text(str(chance.choice([-HOUR, 0, HOUR])))
        jumps += 1
        time.sleep(chance.uniform(0.1, 0.3))
        check_leases()
    workers.wait_for_state(edition, seconds=pick(60, 600))
    assert jumps > 1
    note((f"{jumps} jumps", books.check(edition, sink, copies_allowed=0)))
