"""Test 13: people pause, resume and cancel, and deploys stop workers, at any moment."""

import itertools
import time

import pytest
from django.db.models import F

from mailer import editions
from mailer.models import Delivery, DeliveryState, Edition
from tests.faults import audience, books
from tests.faults.workers import CONNECTIONS, PROCESSES, state

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]

IN_FLIGHT = CONNECTIONS * PROCESSES  # messages of one worker


def test_pauses_resumes_and_rolling_stops_double_nobody(pick, sink, workers, chance, note):
    edition = audience.going_out(pick(400, 20_000))
    workers.start_beat()
    current = workers.start()
    workers.wait_until(lambda: sink.count() > 0)
    pauses, stops, until = 0, 0, time.monotonic() + pick(6, 120)
    turns = itertools.cycle(["pause", "stop", "pause"])
    while time.monotonic() < until and state(edition) != "done":
        time.sleep(chance.uniform(0.1, 0.4))
        if next(turns) == "pause":
            pauses += editions.pause(edition, reason="for a moment")
            paused_at, length = time.monotonic(), chance.uniform(0, 0.5)
            time.sleep(length)
            late = [mail for mail in sink.accepted if mail.at > paused_at]
            assert len(late) <= 2 * IN_FLIGHT
            editions.resume(edition)
        else:
            following = workers.start()
            workers.stop(current)
            current, stops = following, stops + 1
    editions.resume(edition)
    workers.wait_for_state(edition, seconds=pick(60, 600))

    figures = books.check(edition, sink, copies_allowed=0)
    assert figures.in_doubt == 0
    assert pauses
    assert stops
    note((f"{pauses} pauses, {stops} stops", figures))


def test_nothing_leaves_after_a_cancel_but_what_is_on_the_wire(pick, sink, workers, chance, note):
    edition = audience.going_out(pick(300, 20_000))
    sink.behave(delay=0.03)
    workers.start()
    workers.start()
    workers.start_beat()
    enough = chance.randint(20, pick(150, 10_000))
    workers.wait_until(lambda: sink.count() >= enough)
    assert editions.cancel(edition, reason="a mistake")
    cancelled_at = time.monotonic()
    open_rows = Delivery.objects.filter(
        edition=edition, state__in=[DeliveryState.PENDING, DeliveryState.SENDING]
    )
    workers.wait_until(lambda: not open_rows.exists(), pick(60, 300))

    figures = books.check(edition, sink, copies_allowed=0)
    late = [mail for mail in sink.accepted if mail.at > cancelled_at]
    assert len(late) <= 2 * IN_FLIGHT
    cancelled = Delivery.objects.filter(edition=edition, state=DeliveryState.CANCELLED).count()
    assert cancelled + figures.accepted == figures.deliveries
    assert cancelled > 0
    note((f"{len(late)} on the wire", figures))


def test_a_changed_mind_while_the_audience_is_written_down_sends_nothing(pick, sink, workers):
    edition = audience.approved(pick(100, 20_000))
    workers.start()
    workers.start_beat()
    workers.wait_until(lambda: state(edition) != "approved")
    if not editions.cancel(edition, reason="a mistake"):
        pytest.fail("the edition was at rest within a moment of being approved")
    Edition.objects.filter(pk=edition.pk).update(priority=F("priority") + 1)
    other = audience.going_out(20)  # what comes after it is not held up
    workers.wait_for_state(other)
    assert state(edition) == "cancelled"
    people = set(
        Delivery.objects.filter(edition=edition).values_list("subscriber__address", flat=True)
    )
    assert len({mail.recipient for mail in sink.accepted} & people) <= IN_FLIGHT
    books.check(other, sink, copies_allowed=0)
