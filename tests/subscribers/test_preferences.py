from datetime import timedelta

import pytest
from django.utils import timezone

from subscribers import confirmation, preferences, suppression, wishes
from subscribers.models import (
    ConsentEvent,
    ConsentKind,
    ServiceMail,
    ServiceMailKind,
    Subscription,
    Suppression,
    SuppressionReason,
)
from tests.factories import make_newsletter, make_subscriber, make_subscription, make_topic

pytestmark = pytest.mark.django_db


def test_choosing_ends_joins_and_changes_topics_in_one_go():
    europe, africa = make_topic("Europe"), make_topic("Africa")
    daily = make_subscription(make_newsletter("Daily"), topics=[europe])
    reader = daily.subscriber
    dropped = make_subscription(make_newsletter("Alerts"), subscriber=reader, topics=[europe])
    weekly = make_newsletter("Weekly")

    preferences.choose(
        reader, {daily.newsletter: [europe, africa], weekly: [africa]}, source="preferences"
    )

    active = Subscription.objects.active()
    assert {place.newsletter.name for place in active} == {"Daily", "Weekly"}
    dropped.refresh_from_db()
    assert dropped.ended_by == "preferences"
    kinds = ConsentEvent.objects.order_by("pk").values_list("kind", "newsletter__name", "topics")
    assert list(kinds) == [
        (ConsentKind.LEFT, "Alerts", ""),
        (ConsentKind.CHANGED, "Daily", "europe,africa"),
        (ConsentKind.CHANGED, "Weekly", "africa"),
    ]


def test_a_topic_that_stays_keeps_its_date_and_a_new_one_counts_from_now():
    europe, africa = make_topic("Europe"), make_topic("Africa")
    place = make_subscription(topics=[europe])
    since = place.follows.get().since

    preferences.choose(place.subscriber, {place.newsletter: [europe, africa]}, source="preferences")

    assert place.follows.get(topic=europe).since == since
    assert timezone.now() - place.follows.get(topic=africa).since < timedelta(minutes=1)


def test_the_same_choice_again_records_nothing():
    place = make_subscription(topics=[make_topic("Europe")])

    preferences.choose(
        place.subscriber, {place.newsletter: [make_topic("Europe")]}, source="preferences"
    )

    assert not ConsentEvent.objects.exists()
    assert Subscription.objects.count() == 1


def test_choosing_what_was_only_asked_for_confirms_it():
    reader = make_subscriber()
    place = make_subscription(confirmed=False, subscriber=reader, topics=[make_topic("Europe")])

    preferences.choose(reader, {place.newsletter: [make_topic("Europe")]}, source="preferences")

    assert Subscription.objects.active().get() == place


def test_a_save_leaves_what_waits_for_its_answer_alone():
    europe = make_topic("Europe")
    daily = make_subscription(topics=[europe])
    reader = daily.subscriber
    offered = make_subscription(confirmed=False, subscriber=reader, topics=[europe])
    invitation = ServiceMail.objects.create(
        subscriber=reader, kind=ServiceMailKind.INVITATION, newsletter=offered.newsletter
    )

    preferences.choose(reader, {daily.newsletter: [europe]}, source="preferences")

    assert not ConsentEvent.objects.exists()
    assert confirmation.confirm(invitation, source="/confirm/") == reader
    assert set(Subscription.objects.active()) == {daily, offered}


def test_leaving_one_newsletter_takes_back_no_invitation_to_another():
    place = make_subscription(topics=[make_topic("Europe")])
    reader = place.subscriber
    offered = make_subscription(confirmed=False, subscriber=reader)
    fields = {"subscriber": reader, "kind": ServiceMailKind.INVITATION}
    to_another = ServiceMail.objects.create(newsletter=offered.newsletter, **fields)
    to_this = ServiceMail.objects.create(newsletter=place.newsletter, **fields)
    wish = ServiceMail.objects.create(subscriber=reader, kind=ServiceMailKind.CONFIRMATION)

    preferences.leave(place, source="one-click")

    assert set(ServiceMail.objects.unused()) == {to_another}
    assert {to_this, wish} == set(ServiceMail.objects.filter(used_at__isnull=False))
    assert not wishes.wish(reader).exists()


def test_what_we_stopped_cannot_be_switched_on_by_the_preferences():
    place = make_subscription(topics=[make_topic("Europe")])
    reader = place.subscriber
    suppression.suppress(reader.address_hash, SuppressionReason.COMPLAINT)

    with pytest.raises(preferences.Suppressed):
        preferences.choose(reader, {place.newsletter: [make_topic("Europe")]}, source="x")

    assert not Subscription.objects.active().exists()


def test_leaving_says_when_and_how_and_a_second_time_changes_nothing():
    place = make_subscription()

    ended = preferences.leave(place, source="one-click")
    again = preferences.leave(place, source="page")

    assert (ended, ended.ended_by) == (place, "one-click")
    assert (again.ended_at, again.ended_by) == (ended.ended_at, "one-click")
    assert ConsentEvent.objects.get().kind == ConsentKind.LEFT


def test_the_link_of_an_earlier_time_ends_what_the_person_gets_today():
    first = make_subscription(ended_at=timezone.now() - timedelta(days=9), ended_by="page")
    second = make_subscription(first.newsletter, subscriber=first.subscriber)

    assert preferences.leave(first, source="one-click") == second
    assert not Subscription.objects.active().exists()


def test_leaving_one_newsletter_leaves_the_others_and_other_people_alone():
    place = make_subscription()
    same_person = make_subscription(subscriber=place.subscriber)
    same_newsletter = make_subscription(place.newsletter)

    preferences.leave(place, source="page")

    assert set(Subscription.objects.active()) == {same_person, same_newsletter}


def test_leaving_everything_counts_what_it_ended():
    place = make_subscription()
    make_subscription(subscriber=place.subscriber)
    stranger = make_subscription()

    assert preferences.leave_all(place.subscriber, source="preferences") == 2
    assert preferences.leave_all(place.subscriber, source="preferences") == 0
    assert Subscription.objects.active().get() == stranger


def test_undoing_brings_back_the_same_topics_since_the_same_dates():
    place = make_subscription(topics=[make_topic("Europe")])
    since = place.follows.get().since
    ended = preferences.leave(place, source="page")

    assert preferences.rejoin(ended, source="undo")

    assert Subscription.objects.active().get() == place
    assert place.follows.get().since == since
    assert ConsentEvent.objects.filter(kind=ConsentKind.CHANGED).count() == 1


def test_there_is_nothing_to_undo_for_who_never_left_or_was_stopped_by_us():
    still_there = make_subscription()
    never_confirmed = make_subscription(confirmed=False)
    never_confirmed = preferences.leave(never_confirmed, source="page")
    stopped = make_subscription()
    suppression.suppress(stopped.subscriber.address_hash, SuppressionReason.GONE)
    stopped.refresh_from_db()
    closed = make_subscription(make_newsletter(is_active=False))
    closed = preferences.leave(closed, source="page")
    back = preferences.leave(make_subscription(), source="page")
    make_subscription(back.newsletter, subscriber=back.subscriber)

    for place in (still_there, never_confirmed, stopped, closed, back):
        assert not preferences.rejoin(place, source="undo")


def test_a_suppression_ends_everything_and_keeps_its_first_reason():
    place = make_subscription()
    address_hash = place.subscriber.address_hash

    assert suppression.suppress(address_hash, SuppressionReason.COMPLAINT)
    assert not suppression.suppress(address_hash, SuppressionReason.GONE)

    assert Suppression.objects.get().reason == SuppressionReason.COMPLAINT
    assert Subscription.objects.get().ended_by == "complaint"
    assert ConsentEvent.objects.get().kind == ConsentKind.SUPPRESSED


def test_an_operator_may_lift_a_complaint_and_nothing_else():
    for reason in SuppressionReason:
        suppression.suppress(f"{reason:>064}", reason)

    for mark in Suppression.objects.all():
        if mark.reason == SuppressionReason.COMPLAINT:
            assert suppression.lift_by_operator(mark)
            assert not suppression.lift_by_operator(mark)
        else:
            with pytest.raises(suppression.NotYoursToLift):
                suppression.lift_by_operator(mark)

    assert Suppression.objects.count() == len(SuppressionReason) - 1
