"""The page of one subscriber: how things stand, and one history of everything, newest first."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from mailer.models import Delivery, DeliveryEvent, EventKind
from subscribers import consent, suppression, timeline
from subscribers.models import (
    ConsentEvent,
    ConsentKind,
    ServiceMail,
    ServiceMailKind,
    SubscriberImport,
    SubscriberNote,
    SuppressionReason,
)
from tests import factories

pytestmark = pytest.mark.django_db
HOSTILE = '<img src=x onerror=alert(1)>{{ 7*7 }}"\u202e'


def path(subscriber) -> str:
    return reverse("admin:subscribers_subscriber_change", args=[subscriber.pk])


def history(client, subscriber, **query) -> timeline.Page:
    return client.get(path(subscriber), query).context["history"]


def entries(page: timeline.Page) -> list[timeline.Entry]:
    return [entry for day in page.days for entry in day.entries]


def test_everything_that_happened_stands_in_one_history_newest_first(newsroom, admin_client):
    reader = newsroom.subscriber
    came = SubscriberImport.objects.create(name="march.csv", source="Fair, March")
    type(reader).objects.filter(pk=reader.pk).update(imported_by=came)
    SubscriberNote.objects.create(
        subscriber=reader, text="Called.", author=User.objects.get(username="admin")
    )

    shown = entries(history(admin_client, reader))

    assert {entry.source for entry in shown} == {
        *("consent", "mail", "import", "note", "edition", "event"),
    }
    assert [entry.at for entry in shown] == sorted((entry.at for entry in shown), reverse=True)


def test_the_words_that_were_agreed_to_can_be_read(newsroom, admin_client):
    page = admin_client.get(path(newsroom.subscriber)).content.decode()

    assert "In which words" in page
    assert consent.WORDINGS[consent.CONFIRM] in page


def test_a_history_is_read_in_pages_that_lose_nothing(admin_client):
    reader = factories.make_subscriber()
    noon = factories.utc("2026-03-02 12:00")
    same = [noon] * 70  # more at one instant than a page holds
    for at in [*same, *(noon - timedelta(hours=hour) for hour in range(70))]:
        ConsentEvent.objects.create(
            subscriber=reader, kind=ConsentKind.CHANGED, wording="none", source="x", at=at
        )
    ServiceMail.objects.create(subscriber=reader, kind=ServiceMailKind.WELCOME, asked_at=noon)

    pages = [history(admin_client, reader, page=number) for number in (1, 2, 3, 4)]

    seen = [(entry.source, entry.number) for page in pages for entry in entries(page)]
    assert [len(entries(page)) for page in pages] == [50, 50, 41, 0]
    assert [page.has_older for page in pages] == [True, True, False, False]
    assert len(set(seen)) == 141


@pytest.mark.parametrize("number", ["0", "-1", "x", "²", "99999999", "9" * 30, ""])
def test_a_page_that_makes_no_sense_still_answers(number, newsroom, admin_client):
    assert admin_client.get(path(newsroom.subscriber), {"page": number}).status_code == 200


def test_one_kind_can_be_read_alone(newsroom, admin_client):
    shown = entries(history(admin_client, newsroom.subscriber, only="edition"))

    assert [entry.source for entry in shown] == ["edition"]


def test_a_kind_nobody_knows_shows_all(newsroom, admin_client):
    shown = entries(history(admin_client, newsroom.subscriber, only="<script>"))

    assert len({entry.source for entry in shown}) > 1


def test_staff_read_only_the_kinds_they_may_see(newsroom, staff):
    client = staff("subscribers.view_subscriber", "subscribers.view_consentevent")

    shown = entries(history(client, newsroom.subscriber))
    alone = entries(history(client, newsroom.subscriber, only="edition"))

    assert {entry.source for entry in shown} == {"consent"}
    assert {entry.source for entry in alone} == {"consent"}


def test_a_history_takes_the_same_queries_however_long_it_is(
    newsroom, admin_client, django_assert_num_queries
):
    reader = newsroom.subscriber
    # Session, person, subscriber; suppression, subscriptions, topics; six sources.
    for _ in range(2):
        with django_assert_num_queries(13):
            admin_client.get(path(reader))
        for _ in range(30):
            consent.record(reader, ConsentKind.CHANGED, wording=consent.NONE, source="x")
            ServiceMail.objects.create(subscriber=reader, kind=ServiceMailKind.PREFERENCES)
            DeliveryEvent.objects.create(
                edition=newsroom.edition, subscriber=reader, kind=EventKind.DEFERRED
            )
            factories.make_subscription(subscriber=reader)


def test_whatever_strangers_wrote_is_only_text(newsroom, admin_client):
    reader = newsroom.subscriber
    type(reader).objects.filter(pk=reader.pk).update(name=HOSTILE, zone=HOSTILE[:40])
    suppression.suppress(reader.address_hash, SuppressionReason.OPERATOR, note=HOSTILE)
    came = SubscriberImport.objects.create(name=HOSTILE, source=HOSTILE)
    type(reader).objects.filter(pk=reader.pk).update(imported_by=came)
    consent.record(reader, ConsentKind.CHANGED, wording=consent.NONE, source=HOSTILE)
    ServiceMail.objects.filter(subscriber=reader).update(reason=HOSTILE[:40])
    Delivery.objects.filter(subscriber=reader).update(reason=HOSTILE[:40])
    DeliveryEvent.objects.filter(subscriber=reader).update(code=HOSTILE[:40], text=HOSTILE)
    SubscriberNote.objects.create(
        subscriber=reader, text=HOSTILE, author=User.objects.get(username="admin")
    )

    page = admin_client.get(path(reader)).content.decode()

    assert "<img src=x" not in page
    assert page.count("&lt;img src=x") >= 9
    assert "{{ 7*7 }}" in page
    for line in page.splitlines():  # what turns text stays inside its own
        assert "\u202e" not in line or "<bdi>" in line, line


def test_the_head_says_how_things_stand(admin_client):
    now = timezone.now()
    topic = factories.make_topic("Europe")
    reader = factories.make_subscriber(
        zone="Asia/Tokyo",
        hour=7,
        wants_text=True,
        paused_from=now,
        paused_until=now + timedelta(days=3),
    )
    factories.make_subscription(
        factories.make_newsletter("Daily"),
        subscriber=reader,
        topics=[topic],
        since=factories.utc("2026-03-02 08:00"),
    )
    page = admin_client.get(path(reader)).content.decode()

    for words in ("Paused until", "Asia/Tokyo", "7:00", "text only", "Daily", "2 Mar 2026"):
        assert words in page


def test_a_suppressed_reader_says_why_and_since_when(admin_client):
    reader = factories.make_subscriber()
    suppression.suppress(reader.address_hash, SuppressionReason.COMPLAINT)

    page = admin_client.get(path(reader)).content.decode()

    assert "the reader reported a mail as spam" in page
    assert "On no newsletter now." in page
    assert reverse("admin:subscribers_subscriber_suppress", args=[reader.pk]) not in page


def test_the_page_of_a_person_has_its_address_in_no_link(newsroom, admin_client):
    page = admin_client.get(path(newsroom.subscriber)).content.decode()

    assert newsroom.subscriber.address in page
    assert not [part for part in page.split('href="')[1:] if "@" in part.partition('"')[0]]


def test_nobody_is_there_under_a_wrong_number(admin_client):
    answer = admin_client.get(reverse("admin:subscribers_subscriber_change", args=[987654]))

    assert answer.status_code == 302
