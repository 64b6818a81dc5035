"""Two at once. Believed on PostgreSQL only: SQLite has one writer, and so no such moment."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from django.conf import settings
from django.db import connection, transaction

from subscribers import (
    addresses,
    confirmation,
    consent,
    erasure,
    moving,
    preferences,
    service_mails,
    signup,
)
from subscribers.models import (
    ConsentEvent,
    ConsentKind,
    Mailbox,
    ServiceMail,
    ServiceMailKind,
    Subscriber,
    SubscriberState,
    Subscription,
)
from tests.factories import make_newsletter, make_subscriber, make_subscription, make_topic

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(settings.IS_SQLITE, reason="SQLite has one writer at a time"),
]


def all_at_once(act: Callable[[], object], times: int = 6) -> list[object]:
    """Call it in as many threads and return what came out, exceptions included."""
    ready, results = threading.Barrier(times), []

    def run() -> None:
        connection.ensure_connection()
        ready.wait()
        try:
            results.append(act())
        except confirmation.LinkUsed as error:
            results.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_of_many_presses_on_one_link_one_confirms():
    place = make_subscription(confirmed=False)
    mail = ServiceMail.objects.create(
        subscriber=place.subscriber, kind=ServiceMailKind.CONFIRMATION
    )

    results = all_at_once(lambda: confirmation.confirm(mail, source="/confirm/"))

    assert sum(isinstance(result, Subscriber) for result in results) == 1
    assert len(results) == 6
    assert ConsentEvent.objects.filter(kind=ConsentKind.CONFIRMED).count() == 1


def test_many_spellings_at_once_are_three_mails_to_the_mailbox():
    daily, europe = make_newsletter(), make_topic("Europe")
    tags = iter(range(6))

    def sign_up():
        address = addresses.parse(f"ma.ra+{next(tags)}@example.org")
        signup.ask(address, newsletters=[daily], topics=[europe], source="/", wording=consent.FORM)

    assert all_at_once(sign_up) == [None] * 6

    assert ServiceMail.objects.count() == 3
    assert Mailbox.objects.get().unanswered == 3


def test_of_many_workers_one_claims_a_mail():
    place = make_subscription(confirmed=False)
    ServiceMail.objects.create(subscriber=place.subscriber, kind=ServiceMailKind.CONFIRMATION)

    results = all_at_once(service_mails._claim)

    assert sum(result is not None for result in results) == 1
    assert ServiceMail.objects.get().attempts == 1


def test_many_sign_ups_of_one_address_are_one_person_and_one_mail():
    daily, europe = make_newsletter(), make_topic("Europe")
    address = addresses.parse("mara@example.org")

    results = all_at_once(
        lambda: signup.ask(
            address, newsletters=[daily], topics=[europe], source="/", wording=consent.FORM
        )
    )

    assert results == [None] * 6
    assert Subscriber.objects.count() == 1
    assert Subscription.objects.count() == 1
    assert ServiceMail.objects.count() == 1


def while_it_commits(act: Callable[[], object], other: Callable[[], object]) -> object:
    """Call `other` in a thread while `act` is done and not committed; return what came out."""
    results = []

    def run() -> None:
        try:
            results.append(other())
        except Exception as error:  # noqa: BLE001  # the test looks at it
            results.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    with transaction.atomic():
        act()
        thread.start()
        while thread.is_alive() and not somebody_waits_for_us():
            time.sleep(0.01)
    thread.join()
    return results[0]


def somebody_waits_for_us() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = "
            "ANY(pg_blocking_pids(pid))"
        )
        return cursor.fetchone() is not None


def test_leaving_holds_though_two_people_become_one_at_that_moment():
    place = make_subscription(subscriber=make_subscriber("mara@old.example"))
    reader = make_subscription().subscriber
    moving.ask(reader, addresses.parse("mara@old.example"))
    mail = ServiceMail.objects.get(kind=ServiceMailKind.NEW_ADDRESS)
    stale = Subscription.objects.select_related("subscriber", "newsletter").get(pk=place.pk)

    ended = while_it_commits(
        lambda: moving.confirm(mail), lambda: preferences.leave(stale, source="one-click")
    )

    assert ended == place
    place.refresh_from_db()
    assert (place.subscriber, place.ended_by) == (reader, "one-click")
    assert ConsentEvent.objects.get(kind=ConsentKind.LEFT).subscriber == reader


def test_leaving_ends_what_the_other_person_had_of_the_same_newsletter():
    place = make_subscription(subscriber=make_subscriber("mara@old.example"))
    kept = make_subscription(place.newsletter)
    moving.ask(kept.subscriber, addresses.parse("mara@old.example"))
    mail = ServiceMail.objects.get(kind=ServiceMailKind.NEW_ADDRESS)
    stale = Subscription.objects.select_related("subscriber", "newsletter").get(pk=place.pk)

    while_it_commits(
        lambda: moving.confirm(mail), lambda: preferences.leave(stale, source="one-click")
    )

    kept.refresh_from_db()
    assert kept.ended_by == "one-click"
    assert not Subscription.objects.open().exists()


def test_leaving_finds_nothing_to_end_if_its_reader_is_erased_at_that_moment():
    place = make_subscription()
    stale = Subscription.objects.select_related("subscriber", "newsletter").get(pk=place.pk)

    ended = while_it_commits(
        lambda: erasure.erase(place.subscriber, source="preferences"),
        lambda: preferences.leave(stale, source="one-click"),
    )

    assert ended is None
    assert not ConsentEvent.objects.filter(kind=ConsentKind.LEFT).exists()


def test_a_save_writes_nothing_into_the_row_of_somebody_erased_at_that_moment():
    place = make_subscription()
    reader = place.subscriber
    manner = replace(preferences.manner_of(reader), hour=7, zone="Asia/Tokyo")

    refused = while_it_commits(
        lambda: erasure.erase(reader, source="preferences"),
        lambda: preferences.save(reader, {}, manner, None, source="preferences"),
    )

    assert isinstance(refused, preferences.Gone)
    reader.refresh_from_db()
    assert (reader.state, reader.hour, reader.zone) == (SubscriberState.ERASED, None, "")
    assert ConsentEvent.objects.latest("pk").kind == ConsentKind.ERASED
