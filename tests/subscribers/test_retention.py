from datetime import timedelta

import pytest
from django.utils import timezone

from subscribers import retention, tasks
from subscribers.models import (
    ConsentEvent,
    ConsentKind,
    ServiceMail,
    ServiceMailKind,
    ServiceMailState,
    Subscriber,
    SubscriberState,
    Subscription,
)
from tests.factories import make_subscriber, make_subscription

pytestmark = pytest.mark.django_db


def days_ago(days):
    return timezone.now() - timedelta(days=days)


def make_mail(subscriber, **fields):
    return ServiceMail.objects.create(
        subscriber=subscriber, kind=ServiceMailKind.CONFIRMATION, **fields
    )


def test_who_never_confirmed_is_forgotten_after_seven_days_with_every_trace():
    old = make_subscription(confirmed=False, since=days_ago(7.1)).subscriber
    make_mail(old, asked_at=days_ago(7.1))
    ConsentEvent.objects.create(
        subscriber=old, kind=ConsentKind.ASKED, wording="x", source="/", at=days_ago(7.1)
    )
    young = make_subscription(confirmed=False, since=days_ago(6.9)).subscriber
    reader = make_subscriber(created_at=days_ago(400))

    assert retention.forget(timezone.now())["unconfirmed subscribers"] == 1

    assert set(Subscriber.objects.all()) == {young, reader}
    assert not ConsentEvent.objects.exists()
    assert not ServiceMail.objects.exists()
    assert not any(retention.forget(timezone.now()).values())


def test_a_moved_clock_forgets_whoever_is_pending_today():
    make_subscription(confirmed=False, since=timezone.now())

    assert retention.forget(timezone.now())["unconfirmed subscribers"] == 0
    assert retention.forget(days_ago(-7.1))["unconfirmed subscribers"] == 1


def test_who_asked_again_has_seven_days_from_the_last_mail():
    pending = make_subscription(confirmed=False, since=days_ago(9)).subscriber
    make_mail(pending, asked_at=days_ago(1))

    retention.forget(timezone.now())

    assert Subscriber.objects.get() == pending


def test_a_readers_unconfirmed_wish_is_forgotten_and_the_reader_stays():
    reader = make_subscription().subscriber
    make_subscription(confirmed=False, subscriber=reader, since=days_ago(8))

    assert retention.forget(timezone.now())["unconfirmed subscriptions"] == 1

    assert Subscriber.objects.get().state == SubscriberState.ACTIVE
    assert Subscription.objects.active().count() == 1


def test_settled_service_mails_are_forgotten_after_a_month_by_the_hourly_task():
    reader = make_subscriber()
    make_mail(reader, state=ServiceMailState.SENT, asked_at=days_ago(31))
    kept = [
        make_mail(reader, state=ServiceMailState.SENT, asked_at=days_ago(29)),
        make_mail(reader, state=ServiceMailState.WAITING, asked_at=days_ago(31)),
    ]

    tasks.housekeep()

    assert list(ServiceMail.objects.order_by("pk")) == kept
