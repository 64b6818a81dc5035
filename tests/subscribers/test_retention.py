from datetime import timedelta

import pytest
from django.utils import timezone

from subscribers import erasure, moving, retention, tasks
from subscribers.models import (
    ConsentEvent,
    ConsentKind,
    Leaving,
    ServiceMail,
    ServiceMailKind,
    ServiceMailState,
    Subscriber,
    SubscriberState,
    Subscription,
)
from tests.factories import make_newsletter, make_subscriber, make_subscription

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


# --- who left, and who was erased ----------------------------------------------------------------


def test_reasons_for_leaving_are_kept_for_a_year():
    newsletter = make_newsletter()
    for days in (364, 366):
        Leaving.objects.create(newsletter=newsletter, reason="often", on=days_ago(days).date())

    assert retention.forget(timezone.now())["reasons for leaving"] == 1


def make_event(subscriber, days, **fields):
    fields = {"kind": ConsentKind.CONFIRMED, "wording": "none", "source": "/", **fields}
    return ConsentEvent.objects.create(subscriber=subscriber, at=days_ago(days), **fields)


def test_consent_is_kept_while_mail_goes_out_and_a_month_after(settings):
    reader = make_subscription().subscriber
    left = make_subscription(ended_at=days_ago(30), ended_by="page").subscriber
    for subscriber in (reader, left):
        make_event(subscriber, 400)
    make_event(left, 30, kind=ConsentKind.LEFT)
    what = "consent events of people who left"

    assert retention.forget(timezone.now())[what] == 0
    assert retention.forget(days_ago(-2))[what] == 2  # the clock moved on by two days
    assert ConsentEvent.objects.get().subscriber == reader
    settings.CONSENT_KEPT_DAYS = 365
    make_event(left, 40, kind=ConsentKind.LEFT)
    assert retention.forget(timezone.now())[what] == 0


def test_when_an_address_was_changed_is_kept_while_an_old_link_could_be_used():
    left = make_subscription(ended_at=days_ago(100), ended_by="page").subscriber
    make_event(left, 100, source=moving.MOVED)

    retention.forget(timezone.now())
    assert moving.moved_at(left.pk)
    retention.forget(days_ago(-81))
    assert not moving.moved_at(left.pk)


def test_the_file_of_an_erased_person_goes_like_any_other_and_leftovers_at_once():
    erased = make_subscriber()
    erasure.erase(erased, source="preferences")
    make_mail(erased)

    counts = retention.forget(timezone.now())
    assert counts["rows of erased people"] == 1
    assert ConsentEvent.objects.count() == 1
    retention.forget(days_ago(-32))
    assert not ConsentEvent.objects.exists()
    assert Subscriber.objects.get().state == SubscriberState.ERASED


@pytest.mark.parametrize(("asked_days_ago", "stays"), [(2, True), (8, False)])
def test_a_wish_of_a_reader_waits_for_the_mail_that_an_import_put_off(asked_days_ago, stays):
    now = timezone.now()
    wish = make_subscription(
        subscriber=make_subscriber(), confirmed=False, since=now - timedelta(days=10)
    )
    ServiceMail.objects.create(
        subscriber=wish.subscriber,
        kind=ServiceMailKind.CONFIRMATION,
        asked_at=now - timedelta(days=asked_days_ago),
    )

    retention.forget(now)

    assert Subscription.objects.filter(pk=wish.pk).exists() is stays
