"""A change of address, from the form to both mailboxes."""

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import time_machine
from django.core.cache import cache
from django.utils import timezone

from subscribers import addresses, links, moving, pausing, service_mails, suppression
from subscribers.models import (
    ConsentEvent,
    ServiceMail,
    ServiceMailKind,
    ServiceMailState,
    Subscriber,
    SubscriberState,
    Subscription,
    SuppressionReason,
)
from tests import scanner
from tests.factories import make_newsletter, make_subscriber, make_subscription, make_topic
from tests.message_rules import broken_rules
from tests.subscribers.conftest import link_in

pytestmark = pytest.mark.django_db
NEW = "mara@new.example"


def path_of(subscriber, at=None):
    return urlsplit(links.preferences_url(subscriber.pk, at or timezone.now())).path


def text_of(response):
    return " ".join(response.content.decode().split())


@pytest.fixture
def daily():
    reader = make_subscriber("mara@old.example")
    return make_subscription(
        make_newsletter("Daily"), subscriber=reader, topics=[make_topic("Europe")]
    )


def ask(client, reader, new=NEW):
    cache.clear()
    return client.post(f"{path_of(reader)}address/", {"email": new})


def mailed(sink):
    """Send what is due; the latest mail's words and its link to confirm the new address."""
    service_mails.send_due()
    message = sink.taken[-1].message
    return message, link_in(message.get_body(("plain",)).get_content(), "/address/")


def test_from_the_form_to_the_new_mailbox_and_a_word_to_the_old_one(client, daily, sink):
    reader = daily.subscriber
    old_link = path_of(reader, timezone.now() - timedelta(minutes=5))
    response = ask(client, reader)
    assert (response.status_code, response["Location"][-11:]) == (303, "?done=asked")
    message, link = mailed(sink)
    assert message["To"] == NEW
    assert "m•••@old.example" in message.get_body(("plain",)).get_content()
    page = text_of(client.get(link))
    assert "m•••@new.example" in page
    assert "Daily" in page
    assert Subscriber.objects.get().address == "mara@old.example"

    pressed = client.post(link)

    assert (pressed.status_code, pressed["Location"][-11:]) == (303, "?done=moved")
    landed = text_of(client.get(pressed["Location"]))
    assert "m•••@new.example" in landed
    assert "Download my data" in landed  # a fresh link
    reader.refresh_from_db()
    assert (reader.address, reader.address_key) == (NEW, NEW)
    assert Subscription.objects.active().get() == daily
    service_mails.send_due()
    told = sink.taken[-1].message
    assert told["To"] == "mara@old.example"
    assert "new.example" not in told.as_string()
    assert client.get(old_link).status_code == 404
    for again in (client.get(link), client.post(link)):
        assert again.status_code == 404


def test_the_mails_keep_the_rules_and_their_links_change_nothing(client, daily, sink):
    ask(client, daily.subscriber)
    message, link = mailed(sink)
    assert scanner.assert_links_change_nothing(message) == [link]
    client.post(link)
    service_mails.send_due()

    assert len(sink.taken) == 2
    for taken in sink.taken:
        envelope = {"sender": taken.sender, "recipient": taken.recipient}
        assert broken_rules(taken.raw, newsletter=False, now=timezone.now(), **envelope) == []


def test_the_answer_is_the_same_whoever_has_the_new_address(client, daily):
    known = make_subscription().subscriber.address
    pending = make_subscription(confirmed=False).subscriber.address
    stopped = make_subscription().subscriber
    suppression.suppress(stopped.address_hash, SuppressionReason.COMPLAINT)

    answers = set()
    for address in ("unknown@example.org", known, pending, stopped.address):
        ServiceMail.objects.all().delete()
        path = path_of(daily.subscriber, timezone.now().replace(microsecond=0))
        cache.clear()
        response = client.post(f"{path}address/", {"email": address})
        answers.add((response.status_code, response["Location"][-11:], response.content))

    assert len(answers) == 1


def test_a_suppressed_new_address_gets_no_mail_and_blocks_the_change(client, daily, sink):
    new = addresses.parse(NEW)
    ask(client, daily.subscriber)
    _, link = mailed(sink)
    suppression.suppress(new.hash, SuppressionReason.GONE)
    assert client.post(link).status_code == 404

    ServiceMail.objects.all().delete()
    ask(client, daily.subscriber)
    service_mails.send_due()

    assert len(sink.taken) == 1
    assert ServiceMail.objects.get().state == ServiceMailState.FAILED
    assert Subscriber.objects.get().address == "mara@old.example"


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("mara", "has no @ sign"),
        ("", "Enter your email address."),
        ("mara@old.example", "This is your address already."),
        ("a@b.example\r\nBcc: c@d.example", "has a line break in it"),
    ],
)
def test_a_mistake_is_a_sentence_and_keeps_what_was_typed(client, daily, typed, sentence):
    response = ask(client, daily.subscriber, typed)

    assert response.status_code == 422
    assert sentence in text_of(response)
    assert f'value="{typed}"' in response.content.decode()
    assert not ServiceMail.objects.exists()


def test_nobody_is_flooded_by_changes(client, daily):
    for _ in range(3):
        assert ask(client, daily.subscriber).status_code == 303

    response = ask(client, daily.subscriber)

    assert response.status_code == 422
    assert "several changes today" in text_of(response)
    assert ServiceMail.objects.unused().count() == 1  # the latest alone still works


def test_a_link_to_the_new_address_dies_after_three_days_and_with_a_newer_one(client, daily, sink):
    ask(client, daily.subscriber, "first@new.example")
    _, first = mailed(sink)
    ask(client, daily.subscriber)
    _, second = mailed(sink)

    assert client.post(first).status_code == 404
    with time_machine.travel(timezone.now() + timedelta(days=3, minutes=1)):
        assert client.post(second).status_code == 404
    assert Subscriber.objects.get().address == "mara@old.example"


def test_a_link_pressed_an_hour_later_changes_the_address_and_opens_no_preferences(
    client, daily, sink
):
    ask(client, daily.subscriber)
    _, link = mailed(sink)

    with time_machine.travel(timezone.now() + timedelta(minutes=61)):
        page = client.post(link)

    assert page.status_code == 200
    assert "Address changed." in text_of(page)
    assert 'href="/preferences/"' in text_of(page)
    assert "/preferences/a" not in text_of(page)
    assert Subscriber.objects.get().address == NEW


def test_open_confirmations_and_waiting_mails_end_with_the_old_address(client, daily, sink):
    wish = make_subscription(confirmed=False, subscriber=daily.subscriber)
    confirmation = ServiceMail.objects.create(
        subscriber=wish.subscriber, kind=ServiceMailKind.CONFIRMATION
    )
    ask(client, daily.subscriber)
    _, link = mailed(sink)
    waiting = ServiceMail.objects.create(
        subscriber=wish.subscriber, kind=ServiceMailKind.PREFERENCES
    )

    client.post(link)

    confirmation.refresh_from_db()
    waiting.refresh_from_db()
    assert confirmation.used_at is not None
    assert waiting.state == ServiceMailState.FAILED


def test_unsubscribing_by_an_old_mail_still_works_and_shows_no_new_address(client, daily, sink):
    ask(client, daily.subscriber)
    _, link = mailed(sink)
    client.post(link)
    path = urlsplit(links.unsubscribe_url(daily.pk)).path

    for response in (client.get(path), client.post(path), client.get(path)):
        assert response.status_code == 200
        assert "new.example" not in text_of(response)
    assert not Subscription.objects.active().exists()


def test_two_readers_become_one_with_all_newsletters_and_topics_of_both(client, daily, sink):
    europe, africa = make_topic("Europe"), make_topic("Africa")
    other = make_subscriber(NEW, hour=5)
    same = make_subscription(daily.newsletter, subscriber=other, topics=[africa])
    weekly = make_subscription(make_newsletter("Weekly"), subscriber=other, topics=[europe])
    make_subscription(confirmed=False, subscriber=other)
    pausing.pause(other, timezone.now() + timedelta(days=4), source="x")
    ask(client, daily.subscriber)
    _, link = mailed(sink)

    assert client.post(link).status_code == 303

    reader = Subscriber.objects.active().get()
    assert (reader.pk, reader.address, reader.hour) == (daily.subscriber_id, NEW, None)
    assert not pausing.is_paused(reader)
    assert set(Subscription.objects.active()) == {daily, weekly}
    assert {topic.name for topic in daily.topics.all()} == {"Europe", "Africa"}
    assert timezone.now() - weekly.follows.get().since < timedelta(minutes=1)
    emptied = Subscriber.objects.get(pk=other.pk)
    assert (emptied.state, emptied.address, emptied.hour) == (SubscriberState.ERASED, "", None)
    assert ConsentEvent.objects.filter(subscriber=reader, source__contains="pause").exists()
    # A link in an old mail to the new address ends what comes today.
    client.post(urlsplit(links.unsubscribe_url(same.pk)).path)
    assert Subscription.objects.active().get() == weekly


def test_another_spelling_of_the_same_address_is_taken_over(client, daily, sink):
    ask(client, daily.subscriber, "Mara@old.example")
    _, link = mailed(sink)

    assert client.post(link).status_code == 303
    assert Subscriber.objects.get().address == "Mara@old.example"


def test_when_an_address_was_changed_is_remembered_to_the_second(daily):
    assert moving.moved_at(daily.subscriber_id) is None
    assert not moving.is_before_move(daily.subscriber_id, timezone.now())
    ConsentEvent.objects.create(
        subscriber=daily.subscriber, kind="changed", wording="none", source=moving.MOVED
    )
    moved = moving.moved_at(daily.subscriber_id)

    this_second = moved.replace(microsecond=0)
    assert moving.is_before_move(daily.subscriber_id, this_second - timedelta(seconds=1))
    assert moving.is_before_move(daily.subscriber_id, this_second) is bool(moved.microsecond)
    assert not moving.is_before_move(daily.subscriber_id, this_second + timedelta(seconds=1))
