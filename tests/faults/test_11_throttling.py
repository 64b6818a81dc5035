"""Test 11: one domain says "slower"; it gets its mail more slowly, and nobody else does."""

import time

import pytest

from mailer.models import Delivery, DeliveryState, EditionState
from tests.faults import audience, books
from tests.faults.workers import state

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]

SLOW = "slow.example.org"
PENDING = [DeliveryState.PENDING, DeliveryState.SENDING]


def open_rows(edition, **conditions):
    return Delivery.objects.filter(edition=edition, state__in=PENDING, **conditions)


def test_a_domain_that_throttles_neither_fails_nor_holds_up_the_others(pick, sink, workers, note):
    domains = [SLOW, "a.example.org", "b.example.org", "c.example.org"]
    edition = audience.going_out(pick(40, 20_000), domains=domains)
    sink.behave(rates={SLOW: pick(4, 50)}, delay=0.02)
    workers.start()
    workers.start_beat()
    others = open_rows(edition).exclude(subscriber__address__endswith=SLOW)
    workers.wait_until(lambda: not others.exists(), pick(20, 300))

    deadline = time.monotonic() + pick(40, 1_800)
    while state(edition) != EditionState.DONE:
        assert state(edition) == EditionState.SENDING, "one slow domain pauses nothing"
        assert time.monotonic() < deadline, f"{open_rows(edition).count()} wait for ever"
        time.sleep(0.5)
        audience.let_waits_be_over(edition)
    assert not Delivery.objects.filter(edition=edition, state=DeliveryState.FAILED).exists()
    assert edition.events.filter(kind="deferred").exists(), "the domain never had to object"
    note(books.check(edition, sink, copies_allowed=0))
