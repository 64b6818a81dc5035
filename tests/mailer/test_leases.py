import contextlib
import select
from collections.abc import Iterator
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.db import connection
from django.utils import timezone

from mailer import editions
from mailer.deliveries import leases, prepared, reaping
from mailer.deliveries.exchanger import Exchanger
from mailer.deliveries.exchanging import Accepted, Exchange, Request
from mailer.deliveries.outcomes import Outcome
from mailer.models import Batch, BatchState, Delivery, DeliveryEvent, DeliveryState, Edition
from subscribers.models import InDoubt, Subscriber, SubscriberState, Subscription, Suppression
from tests.mailer.editions import daily, sending, states

pytestmark = pytest.mark.django_db(transaction=True)


def started(readers: int = 3, **fields) -> tuple[Edition, leases.Lease, list[leases.Waiting]]:
    edition = sending(daily(readers, **fields))
    lease = leases.claim("w1")
    assert lease is not None
    return edition, lease, leases.waiting(lease)


def exchange(lease, results=(), wanted=()) -> Exchange:
    """As the loop does it; on PostgreSQL that is one statement in the background."""
    accepted = [result for result in results if isinstance(result, Accepted)]
    outcomes = [result for result in results if isinstance(result, Outcome)]
    exchanger = Exchanger()
    exchanger.begin(Request([lease], accepted, outcomes, wanted))
    while (done := exchanger.result()) is None:
        select.select([exchanger.fileno], [], [])
    return done


def sent(row: leases.Waiting) -> Accepted:
    return Accepted(row.edition_id, row.subscriber_id, row.batch_id)


def lapse(batch_id: int) -> None:
    Batch.objects.filter(pk=batch_id).update(leased_until=timezone.now() - timedelta(seconds=1))


def test_a_batch_is_leased_once():
    _, lease, rows = started()

    assert leases.claim("w2") is None
    assert len(rows) == 3
    assert lease.number == 1


def test_an_intent_is_committed_before_anything_leaves_and_comes_with_the_address():
    edition, lease, rows = started()

    done = exchange(lease, [], rows[:2])

    assert {intent.subscriber_id for intent in done.intents} == {r.subscriber_id for r in rows[:2]}
    assert all("@example.org" in intent.address for intent in done.intents)
    assert states(edition) == {"sending": 2, "pending": 1}


def test_an_intent_is_given_once():
    _, lease, rows = started()
    exchange(lease, [], rows[:1])

    assert exchange(lease, [], rows[:1]).intents == []


@pytest.mark.parametrize("way", ["unsubscribed", "suppressed", "erased"])
def test_nothing_leaves_after_permission_ended(way):
    edition, lease, rows = started(readers=2)
    person = Subscriber.objects.get(pk=rows[0].subscriber_id)
    if way == "unsubscribed":
        Subscription.objects.filter(subscriber=person).update(ended_at=timezone.now())
    elif way == "suppressed":
        Suppression.objects.create(address_hash=person.address_hash, reason="complaint")
    else:
        Subscriber.objects.filter(pk=person.pk).update(
            state=SubscriberState.ERASED, address="", address_key=None, address_hash=""
        )

    done = exchange(lease, [], rows)
    refused = leases.refusals(rows[:1])
    exchange(lease, refused, [])

    assert [intent.subscriber_id for intent in done.intents] == [rows[1].subscriber_id]
    row = Delivery.objects.get(edition=edition, subscriber=person)
    assert (row.state, row.reason) == ("skipped", way)


@pytest.mark.parametrize("stop", ["pause", "cancel"])
def test_from_the_commit_of_pause_or_cancel_on_no_intent_is_given(stop):
    edition, lease, rows = started()
    getattr(editions, stop)(edition, reason="by a person")

    assert exchange(lease, [], rows).intents == []
    assert leases.refusals(rows) == []  # they are not skipped: they wait, or become cancelled


def test_a_lost_lease_writes_nothing_but_what_was_accepted():
    edition, lease, rows = started()
    exchange(lease, [], rows[:2])
    lapse(lease.batch_id)
    reaping.reap()
    second = leases.claim("w2")

    failed = Outcome(edition.pk, rows[1].subscriber_id, lease.batch_id, DeliveryState.FAILED, "x")
    done = exchange(lease, [sent(rows[0]), failed], rows[2:])

    assert done.held == set()
    assert done.intents == []
    assert states(edition) == {"sent": 1, "pending": 2}
    assert not leases.release(lease)
    assert second is not None


def test_accepted_wins_over_every_later_word():
    edition, lease, rows = started(readers=1)
    exchange(lease, [], rows)
    exchange(lease, [sent(rows[0])], [])
    again = Outcome(edition.pk, rows[0].subscriber_id, lease.batch_id, DeliveryState.FAILED, "x")

    exchange(lease, [again], [])

    assert states(edition) == {"sent": 1}


def test_a_dead_workers_batch_comes_back_and_its_mail_in_doubt_first():
    edition, lease, rows = started()
    last = rows[-1]
    exchange(lease, [], [last])
    lapse(lease.batch_id)

    assert reaping.reap() == 1
    assert reaping.reap() == 0

    again = leases.claim("w2")
    assert (again.number, again.losses) == (2, 1)
    first = leases.waiting(again)[0]
    assert (first.subscriber_id, first.suspect) == (last.subscriber_id, True)
    assert list(DeliveryEvent.objects.values_list("kind", flat=True)) == ["resent"]
    assert states(edition) == {"pending": 3}


def test_a_newsletter_that_holds_leaves_the_mail_in_doubt_to_a_person():
    edition, lease, rows = started(in_doubt=InDoubt.HOLD)
    exchange(lease, [], rows[:1])
    lapse(lease.batch_id)

    reaping.reap()

    assert states(edition) == {"uncertain": 1, "pending": 2}


def test_a_row_that_kills_its_worker_is_set_aside_after_two_re_sends():
    edition, _, rows = started(readers=2)
    poison = rows[0].subscriber_id
    for _ in range(3):
        lease = Batch.objects.get()
        Batch.objects.update(state=BatchState.LEASED, leased_until=timezone.now())
        Delivery.objects.filter(subscriber_id=poison).update(state=DeliveryState.SENDING)
        lapse(lease.pk)
        reaping.reap()

    assert states(edition) == {"uncertain": 1, "pending": 1}


def test_a_batch_that_no_worker_survives_is_stuck_after_five_losses():
    _, lease, _ = started()
    for _ in range(5):
        Batch.objects.update(state=BatchState.LEASED)
        lapse(lease.batch_id)
        reaping.reap()

    batch = Batch.objects.get()
    assert (batch.state, batch.losses) == (BatchState.STUCK, 5)
    assert leases.claim("w2") is None


def test_an_owner_that_wakes_in_time_keeps_its_batch():
    _, lease, _ = started()

    assert exchange(lease).held == {lease.batch_id}
    assert reaping.reap() == 0


def test_a_released_batch_is_ready_when_its_first_retry_is_due():
    edition, lease, rows = started(readers=2)
    exchange(lease, [], rows)
    exchange(lease, [sent(rows[0])], [])
    later = Outcome(
        edition.pk,
        rows[1].subscriber_id,
        lease.batch_id,
        DeliveryState.PENDING,
        "4.2.1",
        retry_minutes=5,
    )
    exchange(lease, [later], [])

    assert leases.release(lease)

    batch = Batch.objects.get()
    assert batch.state == BatchState.READY
    wait = (batch.not_before - timezone.now()).total_seconds()
    assert 290 < wait <= 300
    assert batch.sent == 1
    assert leases.claim("w1") is None


def test_a_row_that_was_not_tried_does_not_wait_for_one_that_was_deferred():
    edition, lease, rows = started(readers=2)
    exchange(lease, [], rows[:1])
    later = Outcome(
        edition.pk,
        rows[0].subscriber_id,
        lease.batch_id,
        DeliveryState.PENDING,
        retry_minutes=5,
    )
    exchange(lease, [later])
    leases.release(lease)  # in mid-batch, as a worker does that was asked to stop

    again = leases.claim("w2")

    assert again is not None
    assert [row.subscriber_id for row in leases.waiting(again)] == [rows[1].subscriber_id]


@pytest.mark.parametrize("readers", [2, 60])
def test_an_exchange_takes_the_same_statements_for_any_batch(readers):
    _, lease, rows = started(readers)
    exchange(lease, [], rows[:1])
    statements: list[str] = []

    with counting(statements):
        done = exchange(lease, [sent(rows[0])], rows[1:])

    # PostgreSQL: one. SQLite: begin, lease, outcome, intent, addresses, end.
    assert len(statements) == (1 if connection.vendor == "postgresql" else 6)
    assert len(done.intents) == readers - 1


@contextlib.contextmanager
def counting(statements: list[str]) -> Iterator[None]:
    """What reaches the database besides Django's cursors, which log nothing here."""
    if connection.vendor == "sqlite":
        connection.connection.set_trace_callback(statements.append)
        yield
        connection.connection.set_trace_callback(None)
        return
    start = prepared.Prepared.start
    with patch.object(
        prepared.Prepared,
        "start",
        lambda self, values: (statements.append(""), start(self, values)),
    ):
        yield
