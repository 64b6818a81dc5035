from datetime import timedelta

import pytest
from django.utils import timezone

from subscribers import confirmation, consent, preferences, suppression
from subscribers.models import (
    ConsentEvent,
    ConsentKind,
    ServiceMail,
    ServiceMailKind,
    SubscriberState,
    Subscription,
    SuppressionReason,
)
from tests.factories import make_newsletter, make_subscriber, make_subscription, make_topic

pytestmark = pytest.mark.django_db


def make_mail(subscriber, **fields):
    return ServiceMail.objects.create(
        subscriber=subscriber, kind=ServiceMailKind.CONFIRMATION, **fields
    )


def test_confirming_makes_a_reader_whose_topics_count_from_now():
    place = make_subscription(
        confirmed=False,
        topics=[make_topic("Europe")],
        since=timezone.now() - timedelta(days=2),
    )
    before = timezone.now() - timedelta(seconds=2)

    reader = confirmation.confirm(make_mail(place.subscriber), source="/confirm/")

    place.refresh_from_db()
    assert reader.state == SubscriberState.ACTIVE
    assert reader.confirmed_at >= before
    assert place.confirmed_at >= before
    assert place.follows.get().since >= before
    event = ConsentEvent.objects.get()
    assert (event.kind, event.newsletter) == (ConsentKind.CONFIRMED, place.newsletter)
    assert (event.topics, event.wording) == ("europe", consent.CONFIRM)


def test_a_second_press_changes_nothing():
    place = make_subscription(confirmed=False)
    mail = make_mail(place.subscriber)
    confirmation.confirm(mail, source="/confirm/")
    confirmed_at = Subscription.objects.get().confirmed_at

    with pytest.raises(confirmation.LinkUsed):
        confirmation.confirm(mail, source="/confirm/")

    assert Subscription.objects.get().confirmed_at == confirmed_at
    assert ConsentEvent.objects.count() == 1


def test_the_other_mails_of_the_same_wish_are_used_up_too():
    place = make_subscription(confirmed=False)
    first, second = make_mail(place.subscriber), make_mail(place.subscriber)
    confirmation.confirm(second, source="/confirm/")

    with pytest.raises(confirmation.LinkUsed):
        confirmation.confirm(first, source="/confirm/")


def test_a_link_is_dead_after_an_unsubscription():
    reader = make_subscriber()
    make_subscription(confirmed=False, subscriber=reader)
    mail = make_mail(reader)
    preferences.leave_all(reader, source="preferences")

    with pytest.raises(confirmation.LinkUsed):
        confirmation.confirm(mail, source="/confirm/")

    assert not Subscription.objects.active().exists()


def test_a_link_is_dead_after_a_suppression():
    place = make_subscription(confirmed=False)
    mail = make_mail(place.subscriber)
    suppression.suppress(place.subscriber.address_hash, SuppressionReason.GONE)

    with pytest.raises(confirmation.LinkUsed):
        confirmation.confirm(mail, source="/confirm/")

    assert suppression.is_suppressed(place.subscriber.address_hash)


def test_a_link_with_no_wish_behind_it_stays_as_it_was():
    mail = make_mail(make_subscriber())

    with pytest.raises(confirmation.LinkUsed):
        confirmation.confirm(mail, source="/confirm/")

    mail.refresh_from_db()
    assert mail.used_at is None


def test_a_link_is_dead_if_its_person_is_gone_since_it_was_opened():
    place = make_subscription(confirmed=False)
    mail = make_mail(place.subscriber)
    place.subscriber.delete()  # as the undoing of an import and the clean-up of old wishes do

    with pytest.raises(confirmation.LinkUsed):
        confirmation.confirm(mail, source="/confirm/")


def test_the_mail_with_a_preferences_link_confirms_nothing():
    place = make_subscription(confirmed=False)
    mail = ServiceMail.objects.create(subscriber=place.subscriber, kind=ServiceMailKind.PREFERENCES)

    with pytest.raises(confirmation.LinkUsed):
        confirmation.confirm(mail, source="/confirm/")


def test_somebody_who_confirms_again_stays_a_reader_since_the_first_time():
    reader = make_subscriber()
    since = reader.confirmed_at
    make_subscription(make_newsletter(), confirmed=False, subscriber=reader)

    assert confirmation.confirm(make_mail(reader), source="/confirm/").confirmed_at == since
