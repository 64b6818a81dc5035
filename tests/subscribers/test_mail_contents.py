"""What service mails say: welcome, with the latest edition if there is one."""

import pytest
from django.utils import timezone

from subscribers import mail_contents, service_mails, suppression
from subscribers.models import ServiceMail, ServiceMailKind, ServiceMailState, SuppressionReason
from tests import scanner
from tests.factories import make_newsletter, make_subscriber, make_subscription, make_topic
from tests.message_rules import broken_rules

pytestmark = pytest.mark.django_db
SITE = "https://news.ir-ia.example"


@pytest.fixture
def place():
    return make_subscription(
        make_newsletter("IRIA Daily"),
        subscriber=make_subscriber("mara@example.org"),
        topics=[make_topic("Europe")],
    )


def welcome(place):
    return ServiceMail.objects.create(
        subscriber=place.subscriber, kind=ServiceMailKind.WELCOME, newsletter=place.newsletter
    )


def words_of(message):
    return " ".join(message.get_body(("plain",)).get_content().split())


def test_a_welcome_says_what_comes_and_when_and_keeps_the_rules(place, sink):
    make_subscription(make_newsletter("IRIA Weekly"), subscriber=place.subscriber)
    welcome(place)

    service_mails.send_due()

    [taken] = sink.taken
    assert taken.message["Subject"] == "Welcome to IRIA Daily"
    words = words_of(taken.message)
    assert "IRIA Daily. It comes every day at 06:00 (UTC). Topics: all." in words
    assert "IRIA Weekly" in words
    assert "In the latest" not in words
    envelope = {"sender": taken.sender, "recipient": taken.recipient}
    assert broken_rules(taken.raw, newsletter=False, now=timezone.now(), **envelope) == []
    assert "<img" not in taken.message.as_string()
    [link] = scanner.assert_links_change_nothing(taken.message)
    assert link.startswith("/preferences/")


def test_a_welcome_brings_the_latest_edition_of_its_newsletter(place, sink, monkeypatch):
    asked = []

    def latest(newsletter, topics):
        asked.append((newsletter.name, [topic.name for topic in topics]))
        return mail_contents.LatestEdition(
            f"{SITE}/editions/x/",
            [mail_contents.Item("Ships & <ice>", f"{SITE}/articles/i/", "Cold.")],
        )

    monkeypatch.setattr(mail_contents, "latest_edition", latest)
    welcome(place)

    service_mails.send_due()

    message = sink.taken[0].message
    assert asked == [("IRIA Daily", ["Europe"])]
    assert "Ships & <ice> Cold. https://news.ir-ia.example/articles/i/" in words_of(message)
    assert "Ships &amp; &lt;ice&gt;" in message.get_body(("html",)).get_content()
    envelope = {"sender": sink.taken[0].sender, "recipient": sink.taken[0].recipient}
    assert broken_rules(sink.taken[0].raw, newsletter=False, now=timezone.now(), **envelope) == []


def test_who_left_or_was_stopped_since_is_not_welcomed(place, sink):
    suppression.suppress(place.subscriber.address_hash, SuppressionReason.GONE)
    mail = welcome(place)

    service_mails.send_due()

    mail.refresh_from_db()
    assert (mail.state, mail.reason) == (ServiceMailState.FAILED, "not needed")
    assert sink.taken == []


def test_every_kind_of_service_mail_says_something():
    assert set(mail_contents.CONTENTS) == set(ServiceMailKind)
