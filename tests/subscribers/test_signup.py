import pytest

from subscribers import (
    addresses,
    confirmation,
    consent,
    preferences,
    service_mails,
    signup,
    suppression,
)
from subscribers.models import (
    Cadence,
    ConsentEvent,
    ConsentKind,
    ServiceMail,
    ServiceMailKind,
    Subscriber,
    SubscriberState,
    Subscription,
    Suppression,
    SuppressionReason,
)
from tests.factories import make_newsletter, make_subscriber, make_subscription, make_topic
from tests.subscribers.conftest import mails_are_older as later

pytestmark = pytest.mark.django_db


def ask(address="mara@example.org", *, newsletters, topics):
    signup.ask(
        addresses.parse(address),
        newsletters=newsletters,
        topics=topics,
        source="/subscribe/",
        wording=consent.FORM,
    )


def topics_of(subscription):
    return {topic.slug for topic in subscription.topics.all()}


def test_a_wish_is_kept_unconfirmed_with_its_consent_event_and_a_mail():
    daily, europe, africa = (
        make_newsletter("IRIA Daily"),
        make_topic("Europe"),
        make_topic("Africa"),
    )

    ask("Mara@example.org", newsletters=[daily], topics=[europe, africa])

    subscription = Subscription.objects.get()
    assert subscription.subscriber.address == "Mara@example.org"
    assert subscription.subscriber.state == SubscriberState.PENDING
    assert subscription.confirmed_at is None
    assert not Subscription.objects.active().exists()
    assert topics_of(subscription) == {"europe", "africa"}
    event = ConsentEvent.objects.get()
    assert (event.kind, event.newsletter) == (ConsentKind.ASKED, daily)
    assert (event.topics, event.source) == ("europe,africa", "/subscribe/")
    assert consent.WORDINGS[event.wording].startswith("By subscribing you ask us")
    assert ServiceMail.objects.get().kind == ServiceMailKind.CONFIRMATION


def test_a_subscription_follows_only_what_its_newsletter_carries():
    europe, africa = make_topic("Europe"), make_topic("Africa")
    report = make_newsletter("Africa Report", topics=[africa])

    ask(newsletters=[report], topics=[europe, africa])

    assert topics_of(Subscription.objects.get()) == {"africa"}


def test_a_second_sign_up_never_changes_what_a_mailed_link_begins():
    daily, weekly = make_newsletter(), make_newsletter(cadence=Cadence.WEEKLY, weekday=5)
    europe, africa = make_topic("Europe"), make_topic("Africa")
    ask(newsletters=[daily], topics=[europe])
    link = ServiceMail.objects.get()

    ask("MARA@example.org", newsletters=[weekly], topics=[africa])

    assert ServiceMail.objects.get() == link  # within 15 minutes no second mail is granted
    assert ConsentEvent.objects.count() == 1
    confirmation.confirm(link, source="/confirm/")
    subscription = Subscription.objects.active().get()
    assert subscription.newsletter == daily
    assert topics_of(subscription) == {"europe"}


def test_with_a_new_mail_the_wish_is_replaced_and_earlier_links_are_used_up():
    daily, weekly = make_newsletter(), make_newsletter(cadence=Cadence.WEEKLY, weekday=5)
    europe, africa = make_topic("Europe"), make_topic("Africa")
    ask(newsletters=[daily], topics=[europe])
    later(minutes=20)

    ask("MARA@example.org", newsletters=[weekly], topics=[africa])

    assert Subscriber.objects.count() == 1
    first, second = ServiceMail.objects.order_by("pk")
    with pytest.raises(confirmation.LinkUsed):
        confirmation.confirm(first, source="/confirm/")
    assert not Subscription.objects.active().exists()
    confirmation.confirm(second, source="/confirm/")
    subscription = Subscription.objects.get()
    assert subscription.newsletter == weekly
    assert topics_of(subscription) == {"africa"}


def test_replaced_wishes_count_as_unanswered():
    daily, europe = make_newsletter(), make_topic("Europe")
    for _ in range(9):
        ask(newsletters=[daily], topics=[europe])
        later(hours=25)

    assert ServiceMail.objects.count() == service_mails.UNANSWERED


def test_the_mail_me_my_link_form_leaves_earlier_links_working():
    ask(newsletters=[make_newsletter()], topics=[make_topic("Europe")])
    later(minutes=20)
    signup.ask_for_link(addresses.parse("mara@example.org"))

    first, _ = ServiceMail.objects.order_by("pk")
    confirmation.confirm(first, source="/confirm/")
    assert Subscription.objects.active().count() == 1


def test_a_readers_choices_stay_and_they_are_told_at_most_once_a_day():
    place = make_subscription(topics=[make_topic("Europe")])
    other = make_newsletter()

    for _ in range(3):
        ask(place.subscriber.address, newsletters=[other], topics=[make_topic("Africa")])

    assert Subscription.objects.get() == place
    assert topics_of(place) == {"europe"}
    assert ServiceMail.objects.get().kind == ServiceMailKind.PREFERENCES
    assert not ConsentEvent.objects.exists()


def test_somebody_who_left_everything_is_asked_to_confirm_anew():
    place = make_subscription(topics=[make_topic("Europe")])
    preferences.leave(place, source="page")

    ask(place.subscriber.address, newsletters=[place.newsletter], topics=[make_topic("Europe")])

    assert Subscription.objects.count() == 2
    assert not Subscription.objects.active().exists()
    mail = ServiceMail.objects.get()
    assert mail.kind == ServiceMailKind.CONFIRMATION
    confirmation.confirm(mail, source="/confirm/")
    assert Subscription.objects.active().count() == 1


@pytest.mark.parametrize("reason", SuppressionReason)
def test_only_a_confirmed_new_sign_up_ends_a_suppression(reason):
    place = make_subscription(topics=[make_topic("Europe")])
    address_hash = place.subscriber.address_hash
    suppression.suppress(address_hash, reason)

    ask(place.subscriber.address, newsletters=[place.newsletter], topics=[make_topic("Europe")])
    assert suppression.is_suppressed(address_hash)
    assert not Subscription.objects.active().exists()

    confirmation.confirm(ServiceMail.objects.get(), source="/confirm/")
    assert not Suppression.objects.exists()
    assert Subscription.objects.active().count() == 1


def test_a_suppressed_address_that_has_no_subscriber_can_sign_up():
    address = addresses.parse("gone@example.org")
    suppression.suppress(address.hash, SuppressionReason.ERASURE)

    ask("gone@example.org", newsletters=[make_newsletter()], topics=[make_topic("Europe")])

    assert ServiceMail.objects.get().subscriber.state == SubscriberState.PENDING
    assert suppression.is_suppressed(address.hash)


def test_the_preferences_link_is_mailed_to_readers_and_the_confirmation_to_the_pending():
    reader, pending = make_subscriber(), make_subscription(confirmed=False).subscriber

    for subscriber in (reader, pending):
        signup.ask_for_link(addresses.parse(subscriber.address))
        signup.ask_for_link(addresses.parse(subscriber.address))
    signup.ask_for_link(addresses.parse("nobody@example.org"))

    assert {(mail.subscriber, mail.kind) for mail in ServiceMail.objects.all()} == {
        (reader, ServiceMailKind.PREFERENCES),
        (pending, ServiceMailKind.CONFIRMATION),
    }
    assert ServiceMail.objects.count() == 2
    assert not Subscriber.objects.filter(address_key="nobody@example.org").exists()


@pytest.mark.parametrize("reason", SuppressionReason)
def test_nobody_can_have_a_link_mailed_to_whom_we_stopped_writing_to(reason, sink):
    reader, pending = make_subscription().subscriber, make_subscription(confirmed=False).subscriber
    asked_before = addresses.parse(make_subscription().subscriber.address)
    signup.ask_for_link(asked_before)
    for mark in (reader.address_hash, pending.address_hash, asked_before.hash):
        suppression.suppress(mark, reason)

    for address in (reader.address, pending.address):
        signup.ask_for_link(addresses.parse(address))

    assert ServiceMail.objects.count() == 1
    assert service_mails.send_due() == 0
    assert not sink.taken


def test_a_wording_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="no wording"):
        consent.record(make_subscriber(), ConsentKind.ASKED, wording="vague", source="/")


def test_every_wording_fits_its_column():
    assert all(len(version) <= 20 for version in consent.WORDINGS)


def test_very_many_topics_are_recorded_as_whole_slugs():
    topics = [make_topic(f"A rather long name of a topic {number}") for number in range(30)]
    event = consent.record(
        make_subscriber(), ConsentKind.ASKED, wording=consent.FORM, source="/", topics=topics
    )

    assert len(event.topics) <= 500
    assert event.topics.endswith("…")
    assert set(event.topics[:-1].split(",")) <= {topic.slug for topic in topics}
