"""Test 14: one bad row, one bad article, one small machine; everybody else gets their mail."""

import resource
import time

import pytest
from django.utils import timezone

from mailer import editions
from mailer.models import Batch, Delivery, DeliveryState, Edition
from subscribers import preferences, suppression
from subscribers.models import Newsletter, Subscriber, Subscription, SuppressionReason
from tests.faults import audience, books
from tests.faults.workers import CONNECTIONS, PROCESSES, state
from tests.mailer.editions import frozen

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]


def someone(edition: Edition, number: int = 3) -> Subscriber:
    return Subscriber.objects.filter(deliveries__edition=edition).order_by("pk")[number]


def delivery(edition: Edition, person: Subscriber) -> Delivery:
    return Delivery.objects.get(edition=edition, subscriber=person)


def others_are_sent(edition: Edition, person: Subscriber) -> bool:
    rows = Delivery.objects.filter(edition=edition).exclude(subscriber=person)
    return not rows.exclude(state=DeliveryState.SENT).exists()


def test_a_value_that_cannot_stand_in_a_message_fails_alone(pick, sink, workers):
    edition = audience.going_out(pick(100, 5_000))
    bad = someone(edition)
    Subscriber.objects.filter(pk=bad.pk).update(name="two\r\nlines")
    workers.start()
    workers.start_beat()
    workers.wait_for_state(edition)

    row = delivery(edition, bad)
    assert (row.state, row.reason) == (DeliveryState.FAILED, "unbuildable: BadHeader")
    assert others_are_sent(edition, bad)
    books.check(edition, sink, copies_allowed=0)


def test_an_address_at_which_the_server_hangs_up_is_never_sent_and_expires(pick, sink, workers):
    edition = audience.going_out(pick(100, 5_000))
    bad = someone(edition)
    sink.behave(hang_up_at={bad.address: "rcpt"}, delay=0)
    workers.start()
    workers.start_beat()
    workers.wait_until(lambda: others_are_sent(edition, bad))
    for _ in range(3):
        audience.let_waits_be_over(edition)
    assert delivery(edition, bad).state in {DeliveryState.PENDING, DeliveryState.SENDING}
    Edition.objects.filter(pk=edition.pk).update(expires_at=timezone.now())
    audience.let_waits_be_over(edition)
    workers.wait_for_state(edition)

    row = delivery(edition, bad)
    assert (row.state, row.reason) == (DeliveryState.FAILED, "expired")
    books.check(edition, sink, copies_allowed=0)


def test_an_address_that_always_ends_in_doubt_goes_out_three_times_at_most(pick, sink, workers):
    edition = audience.going_out(pick(100, 5_000))
    bad = someone(edition)
    sink.behave(hang_up_at={bad.address: "dot"}, delay=0)
    workers.start()
    workers.start_beat()

    def is_done() -> bool:
        audience.let_waits_be_over(edition)
        return state(edition) == "done"

    workers.wait_until(is_done)
    assert delivery(edition, bad).state == DeliveryState.UNCERTAIN
    assert others_are_sent(edition, bad)
    figures = books.check(edition, sink, copies_allowed=2)
    assert figures.copies == 2


def test_a_message_that_kills_its_worker_is_found_and_set_aside_alone(pick, sink, workers, note):
    edition = audience.going_out(pick(100, 3_000))
    bad = someone(edition)
    workers.start(("poison", {"subscriber_id": bad.pk}))  # its pool starts a child anew each time
    workers.start_beat()
    workers.wait_for_state(edition, seconds=pick(90, 300))

    assert delivery(edition, bad).state == DeliveryState.UNCERTAIN
    assert others_are_sent(edition, bad)
    assert not Batch.objects.filter(edition=edition, state="stuck").exists()
    assert bad.address not in {mail.recipient for mail in sink.accepted}
    note(books.check(edition, sink, copies_allowed=3 * 3))  # three deaths of one process


def test_a_message_that_cannot_be_rendered_stops_its_edition_before_the_first_mail(
    pick, sink, workers
):
    bad = audience.approved(pick(50, 5_000))
    good = audience.approved(pick(50, 5_000))
    name = bad.newsletter.name
    Newsletter.objects.filter(pk=bad.newsletter_id).update(name="two\r\nlines")
    workers.start()
    workers.start_beat()
    workers.wait_for_state(good)
    workers.wait_for_state(bad, "paused")

    bad.refresh_from_db()
    good.refresh_from_db()
    assert "cannot be built" in bad.reason
    books.check(good, sink, copies_allowed=0)
    assert sink.count() == good.candidates

    Newsletter.objects.filter(pk=bad.newsletter_id).update(name=name)
    assert editions.resume(bad)
    workers.wait_for_state(bad)
    books.check(bad, sink, copies_allowed=0)


def test_a_worker_without_memory_loses_nothing(pick, sink, workers, note):
    edition = audience.going_out(pick(300, 20_000))
    poor = workers.start()
    workers.start_beat()
    for _ in range(pick(1, 10)):
        seen = sink.count()
        workers.wait_until(lambda seen=seen: sink.count() > seen + 20)
        poor.limit(resource.RLIMIT_AS, 1)  # byte: from now on each request for more is refused
        time.sleep(pick(2, 5))
        poor.limit(resource.RLIMIT_AS, resource.RLIM_INFINITY)
    workers.start()

    def is_done() -> bool:
        audience.let_waits_be_over(edition)  # after an error of its own a batch waits a minute
        return state(edition) == "done"

    workers.wait_until(is_done, pick(60, 600))
    bound = pick(1, 10) * CONNECTIONS * PROCESSES  # if it died of it
    note(books.check(edition, sink, copies_allowed=bound))


def test_people_who_leave_after_the_freeze_get_nothing(pick, sink, workers):
    edition = frozen(audience.newsletter_with(pick(100, 5_000)))
    leaving, suppressed, erased = (someone(edition, number) for number in (2, 5, 7))
    place = Subscription.objects.get(subscriber=leaving, newsletter=edition.newsletter)
    preferences.leave(place, source="test")
    suppression.suppress(suppressed.address_hash, SuppressionReason.COMPLAINT)
    Subscriber.objects.filter(pk=erased.pk).update(state="erased")
    gone = {leaving.pk: "unsubscribed", suppressed.pk: "suppressed", erased.pk: "erased"}
    workers.start()
    workers.start_beat()
    workers.wait_for_state(edition)

    skipped = Delivery.objects.filter(edition=edition, state=DeliveryState.SKIPPED)
    assert dict(skipped.values_list("subscriber_id", "reason")) == gone
    addresses = {leaving.address, suppressed.address, erased.address}
    assert not addresses & {mail.recipient for mail in sink.accepted}
    books.check(edition, sink, copies_allowed=0)
