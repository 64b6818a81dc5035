"""Test 12: servers that cut, split, glue and say goodbye in the middle; no reader pays for it."""

import pytest

from mailer.models import Delivery, DeliveryEvent
from tests.faults import audience, books

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]


def send_all(pick, sink, workers, readers, **behaviour):
    sink.behave(delay=0, **behaviour)
    edition = audience.going_out(readers)
    workers.start()
    workers.start_beat()
    workers.wait_for_state(edition, seconds=pick(60, 900))
    return edition


def check_nothing_happened(edition, sink) -> None:
    """Not even an attempt was counted."""
    books.check(edition, sink, copies_allowed=0)
    assert not DeliveryEvent.objects.filter(edition=edition).exists()
    attempts = Delivery.objects.filter(edition=edition).values_list("attempts", flat=True)
    assert set(attempts) == {1}


@pytest.mark.parametrize("messages", [1, 7, 100])
def test_a_server_may_close_after_some_messages(messages, pick, sink, workers):
    readers = pick(3 * messages + 40, 20_000)
    edition = send_all(pick, sink, workers, readers, close_after=messages)
    check_nothing_happened(edition, sink)


def test_replies_may_come_byte_by_byte(pick, sink, workers):
    check_nothing_happened(send_all(pick, sink, workers, pick(100, 5_000), bytewise=True), sink)


def test_replies_may_come_all_at_once(pick, sink, workers):
    check_nothing_happened(send_all(pick, sink, workers, pick(100, 20_000), glued=True), sink)


def test_a_goodbye_within_a_pipelined_group_only_delays_its_message(pick, sink, workers):
    sink.behave(delay=0, goodbye_every=pick(15, 100))
    edition = audience.going_out(pick(100, 20_000))
    workers.start()
    workers.start_beat()

    def is_done() -> bool:
        audience.let_waits_be_over(edition)
        edition.refresh_from_db()
        return edition.state == "done"

    workers.wait_until(is_done, pick(60, 900))
    figures = books.check(edition, sink, copies_allowed=0)
    assert figures.accepted == figures.deliveries
    attempts = Delivery.objects.filter(edition=edition).values_list("attempts", flat=True)
    assert set(attempts) == {1}  # a server that closes is no fault of a recipient
