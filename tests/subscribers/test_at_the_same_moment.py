"""Two at once. Believed on PostgreSQL only: SQLite has one writer, and so no such moment."""

import threading
from collections.abc import Callable

import pytest
from django.conf import settings
from django.db import connection

from subscribers import addresses, confirmation, consent, service_mails, signup
from subscribers.models import (
    ConsentEvent,
    ConsentKind,
    ServiceMail,
    ServiceMailKind,
    Subscriber,
    Subscription,
)
from tests.factories import make_newsletter, make_subscription, make_topic

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
