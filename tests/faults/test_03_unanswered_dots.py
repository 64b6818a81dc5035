"""Test 3: the server has the message, and its answer never comes."""

import pytest

from mailer.models import Delivery, DeliveryState
from subscribers.models import InDoubt
from tests.faults import audience, books

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]

PATIENCE = {
    "iria_news.smtp.dialogue:FINAL_REPLY_TIMEOUT": 1
}  # seconds, where the product waits 600


def open_rows(edition):
    return Delivery.objects.filter(
        edition=edition, state__in=[DeliveryState.PENDING, DeliveryState.SENDING]
    )


@pytest.mark.parametrize("how", ["reset", "close", "silent"])
def test_a_message_without_an_answer_is_in_doubt_and_its_newsletter_decides(
    how, pick, sink, workers, note
):
    readers = pick(100, 10_000)
    holding = audience.going_out(readers, in_doubt=InDoubt.HOLD)
    resending = audience.going_out(readers, in_doubt=InDoubt.RESEND)
    sink.behave(unanswered_every=pick(12, 100), unanswered_how=how, delay=0)
    workers.start(("constants", PATIENCE))
    workers.start_beat()
    workers.wait_for_state(holding, seconds=pick(60, 600))
    workers.wait_until(lambda: not open_rows(resending).exclude(reason="no answer").exists())

    in_doubt = open_rows(resending).count()
    held = Delivery.objects.filter(edition=holding, state=DeliveryState.UNCERTAIN).count()
    assert in_doubt + held == sink.count() // pick(12, 100) > 0
    assert sink.count() == 2 * readers  # no blind retry

    sink.behave(unanswered_every=0)
    audience.let_waits_be_over(resending)
    workers.wait_for_state(resending)
    at_hold = books.check(holding, sink, copies_allowed=0)
    at_resend = books.check(resending, sink, copies_allowed=in_doubt)
    assert at_resend.copies == in_doubt
    assert (at_hold.uncertain, at_resend.uncertain) == (held, 0)
    note((at_hold, at_resend))
