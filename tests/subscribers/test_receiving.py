"""From the row that a page writes to what a worker makes of it."""

import threading
from datetime import timedelta

import pytest
from celery import current_app
from django.conf import settings as django_settings
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from iria_news import ephemeral
from subscribers import (
    addresses,
    consent,
    doorbell,
    receiving,
    service_mails,
    signup,
    suppression,
    tasks,
)
from subscribers.models import (
    ConsentEvent,
    RequestKind,
    ServiceMail,
    ServiceMailKind,
    SignUpRequest,
    Subscriber,
    Subscription,
    SuppressionReason,
)
from tests.factories import make_newsletter, make_subscriber, make_subscription, make_topic


@pytest.fixture
def receive(db):
    """Write a sign-up for one newsletter and one topic down."""
    daily, europe = make_newsletter("Daily"), make_topic("Europe")

    def write(address="mara@example.org", **fields):
        fields = {"newsletters": [daily], "topics": [europe], "wording": consent.FORM, **fields}
        signup.receive(addresses.parse(address), source="/subscribe/", **fields)

    return write


def test_a_request_is_one_row_until_a_worker_has_acted_on_it(receive):
    receive("Mara@example.org", language="de")
    assert not Subscriber.objects.exists()
    assert service_mails.due_exists()
    assert service_mails.number_due() == 1

    assert receiving.process() == 1

    assert not SignUpRequest.objects.exists()
    place = Subscription.objects.get()
    assert place.subscriber.address == "Mara@example.org"
    assert place.subscriber.language == "de"
    assert [topic.name for topic in place.topics.all()] == ["Europe"]
    event = ConsentEvent.objects.get()
    assert (event.source, event.wording) == ("/subscribe/", consent.FORM)
    assert ServiceMail.objects.get().kind == ServiceMailKind.CONFIRMATION


def test_writing_a_request_down_is_one_statement(receive, django_assert_num_queries):
    with django_assert_num_queries(1):
        receive()


def test_requests_are_acted_on_in_the_order_in_which_they_came(receive):
    for number in range(5):
        receive(f"mara{number}@example.org")

    assert receiving.process() == 5

    found = Subscriber.objects.order_by("pk").values_list("address", flat=True)
    assert list(found) == [f"mara{number}@example.org" for number in range(5)]


def test_a_poisoned_request_fails_alone_and_its_address_is_not_logged(receive, caplog):
    receive("first@example.org")
    receive("second@example.org")
    receive("third@example.org")
    poisoned = SignUpRequest.objects.get(address="second@example.org")
    SignUpRequest.objects.filter(pk=poisoned.pk).update(address="second@example\n.org")

    assert receiving.process() == 2

    assert set(Subscriber.objects.values_list("address", flat=True)) == {
        "first@example.org",
        "third@example.org",
    }
    assert SignUpRequest.objects.get().failed_at is not None
    assert f"Sign-up request {poisoned.pk} failed: BadAddress" in caplog.text
    assert "second" not in caplog.text
    assert not service_mails.due_exists() or ServiceMail.objects.due().exists()


def test_what_failed_is_undone_whole(receive, monkeypatch):
    def fail(_subscriber):
        raise RuntimeError("mara@example.org")

    monkeypatch.setattr(service_mails, "ask_to_confirm", fail)
    receive()
    receiving.process()

    assert SignUpRequest.objects.get().failed_at is not None
    assert not Subscriber.objects.exists()
    assert not ConsentEvent.objects.exists()


def test_what_failed_is_tried_again_after_an_hour_and_given_up_after_a_day(receive, caplog):
    receive()
    SignUpRequest.objects.update(failed_at=timezone.now() - timedelta(minutes=50))
    assert receiving.process() == 0
    SignUpRequest.objects.update(failed_at=timezone.now() - timedelta(minutes=70))
    assert receiving.process() == 1

    receive("late@example.org")
    SignUpRequest.objects.update(at=timezone.now() - timedelta(hours=25))
    assert receiving.process() == 0
    assert not SignUpRequest.objects.exists()
    assert "1 sign-up requests could not be acted on within a day" in caplog.text


def test_a_database_that_is_away_stops_the_worker_and_loses_nothing(receive, monkeypatch):
    def away(*_arguments, **_named):
        raise OperationalError("the server is gone")

    receive()
    with monkeypatch.context() as patched:
        patched.setattr(signup, "take_up", away)
        with pytest.raises(OperationalError):
            receiving.process()

    assert SignUpRequest.objects.get().failed_at is None
    assert receiving.process() == 1


def test_the_link_is_mailed_to_readers_only(db):
    reader = make_subscriber()
    for address in (reader.address, "nobody@example.org"):
        signup.receive(addresses.parse(address), kind=RequestKind.LINK, source="/preferences/")

    assert receiving.process() == 2

    mail = ServiceMail.objects.get()
    assert (mail.subscriber, mail.kind) == (reader, ServiceMailKind.PREFERENCES)


def test_unknown_words_are_refused_at_the_door(receive):
    with pytest.raises(ValueError, match="no wording"):
        receive(wording="vague")
    assert not SignUpRequest.objects.exists()


def test_a_very_long_source_is_cut(receive):
    receive()
    signup.receive(addresses.parse("a@example.org"), kind=RequestKind.LINK, source="/" + "x" * 500)
    assert max(map(len, SignUpRequest.objects.values_list("source", flat=True))) == 200


def test_the_task_acts_on_requests_and_sends_their_mails(receive, sink):
    receive()
    make_subscription()

    tasks.send_service_mails()

    (taken,) = sink.taken
    assert taken.recipient == "mara@example.org"
    assert not service_mails.due_exists()


def test_very_many_mails_are_left_for_another_task(db, sink, monkeypatch):
    rings = []
    monkeypatch.setattr(doorbell, "ring_after_commit", lambda: rings.append("ring"))
    monkeypatch.setattr(tasks, "MAILS_EACH", 2)
    monkeypatch.setattr(tasks, "TURNS", 2)
    for _ in range(5):
        place = make_subscription(confirmed=False)
        ServiceMail.objects.create(subscriber=place.subscriber, kind=ServiceMailKind.CONFIRMATION)

    tasks.send_service_mails()

    assert len(sink.taken) == 4
    assert rings == ["ring"]


# --- the bell -------------------------------------------------------------------------------------


@pytest.fixture
def rings(monkeypatch):
    """What would be sent to the broker."""
    found = []
    monkeypatch.setattr(
        current_app._get_current_object(), "send_task", lambda name, **_: found.append(name)
    )
    return found


def test_one_ring_at_a_time_is_on_its_way(receive, rings, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        for number in range(5):
            receive(f"mara{number}@example.org")
    assert rings == ["subscribers.tasks.send_service_mails"]

    doorbell.heard()
    with django_capture_on_commit_callbacks(execute=True):
        receive("late@example.org")
    assert len(rings) == 2


def test_the_bell_rings_the_task_that_there_is():
    assert tasks.send_service_mails.name == doorbell._service_mails.task


def test_a_lost_ring_silences_the_bell_for_seconds_only(rings):
    bell = doorbell._service_mails
    bell._ring()

    assert 0 < ephemeral.client().ttl(bell._rung) <= 5


def test_the_bell_is_heard_before_the_rows_are_read(db, monkeypatch):
    """Or somebody who asks in between would neither ring nor be seen."""
    order = []
    monkeypatch.setattr(doorbell, "heard", lambda: order.append("heard"))
    monkeypatch.setattr(receiving, "process", lambda: order.append("rows") or 0)
    monkeypatch.setattr(service_mails, "send_due", lambda at_most: 0)

    tasks.send_service_mails()

    assert order == ["heard", "rows"]


def test_without_redis_the_task_does_its_work(receive, sink, settings):
    receive()
    settings.CACHES = {
        "default": {**settings.CACHES["default"], "LOCATION": "unix:///nowhere/valkey.sock"}
    }

    tasks.send_service_mails()

    assert len(sink.taken) == 1


# --- two workers ----------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(django_settings.IS_SQLITE, reason="SQLite has one writer at a time")
def test_two_workers_act_on_each_request_once():
    daily, europe = make_newsletter("Daily"), make_topic("Europe")
    number = 60
    for each in range(number):
        SignUpRequest.objects.create(
            address=f"mara{each}@example.org",
            newsletters=[daily.pk],
            topics=[europe.pk],
            source="/",
            wording=consent.FORM,
        )
    done, ready = [], threading.Barrier(3)

    def work():
        connection.ensure_connection()
        ready.wait()
        try:
            done.append(receiving.process())
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert sum(done) == number
    assert Subscriber.objects.count() == number
    assert ConsentEvent.objects.count() == number
    assert ServiceMail.objects.count() == number
    assert not SignUpRequest.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(django_settings.IS_SQLITE, reason="SQLite has one writer at a time")
def test_a_request_in_the_hands_of_another_worker_holds_up_nobody(receive):
    receive("held@example.org")
    receive("free@example.org")
    held, let_go = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            SignUpRequest.objects.select_for_update().get(address="held@example.org")
            held.set()
            let_go.wait()
        connection.close()

    other = threading.Thread(target=hold)
    other.start()
    held.wait()
    try:
        assert receiving.process() == 1
        assert Subscriber.objects.get().address == "free@example.org"
    finally:
        let_go.set()
        other.join()
    assert receiving.process() == 1


@pytest.mark.parametrize("reason", SuppressionReason)
def test_a_suppressed_address_is_asked_to_confirm_like_an_unknown_one(receive, reason):
    address = addresses.parse("gone@example.org")
    suppression.suppress(address.hash, reason)
    receive("gone@example.org")
    receiving.process()

    assert ServiceMail.objects.get().kind == ServiceMailKind.CONFIRMATION
    assert suppression.is_suppressed(address.hash)
