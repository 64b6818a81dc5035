"""Whoever is erased is nowhere any more, and nothing brings them back."""

import json
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from mailer.models import DeliveryEvent, Edition
from subscribers import consent, erasure, inbound, links, passport, preferences, suppression
from subscribers.models import (
    ConsentEvent,
    ConsentKind,
    ServiceMail,
    ServiceMailKind,
    SignUpRequest,
    Subscriber,
    SubscriberNote,
    SubscriberState,
    Suppression,
    SuppressionReason,
    WebhookEvent,
)
from tests import scanner
from tests.factories import make_newsletter, make_subscriber, make_subscription, make_topic

pytestmark = pytest.mark.django_db
ADDRESS = "Mara.Planted@erase.example"


def make_edition(newsletter):
    now = timezone.now()
    return Edition.objects.create(
        newsletter=newsletter, slot=now, slug="daily-1", due_at=now, expires_at=now
    )


def text_of(response):
    return " ".join(response.content.decode().split())


@pytest.fixture
def folder(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    return tmp_path


@pytest.fixture
def planted(folder):
    """A person in every table and file that could hold one."""
    reader = make_subscriber(ADDRESS, name="Mara Planted", zone="Asia/Tokyo", hour=7)
    place = make_subscription(
        make_newsletter("Daily"), subscriber=reader, topics=[make_topic("Europe")]
    )
    left = make_subscription(subscriber=reader)
    preferences.leave(left, source="page", wording=consent.LEAVE)
    consent.record(
        reader, ConsentKind.ASKED, wording=consent.NONE, source=f"staff: letter of {ADDRESS}"
    )
    ServiceMail.objects.create(subscriber=reader, kind=ServiceMailKind.PREFERENCES)
    ServiceMail.objects.create(
        subscriber=reader, kind=ServiceMailKind.OLD_ADDRESS, to_address=ADDRESS
    )
    SignUpRequest.objects.create(address=ADDRESS.lower(), source="/")
    author = User.objects.create(username="editor")
    SubscriberNote.objects.create(subscriber=reader, text=f"{ADDRESS} called.", author=author)
    WebhookEvent.objects.create(
        uid="msg_1", kind="subscriber.confirmed", subscriber=reader, payload={"address": ADDRESS}
    )
    DeliveryEvent.objects.create(
        edition=make_edition(place.newsletter),
        subscriber=reader,
        kind="failed",
        text=f"550 <{ADDRESS}> over quota",
    )
    inbound.receive(f"From: {ADDRESS.upper()}\r\n\r\nHello".encode())
    inbound.receive(b"From: somebody@else.example\r\n\r\nHello")
    return place


def traces(folder):
    """Where the address, its key or the name still stands: tables and files."""
    wanted = [ADDRESS.lower(), "mara planted"]
    found = [
        table
        for table, rows in scanner.dump().items()
        if any(word in json.dumps(rows, ensure_ascii=False).lower() for word in wanted)
    ]
    files = [path for path in Path(folder).rglob("*") if path.is_file()]
    for path in files:
        content = path.read_bytes().lower()
        found += [path.name for word in wanted if word.encode() in content]
    return found


def test_an_erased_person_stands_in_no_table_and_no_file(client, planted, folder):
    reader = planted.subscriber
    assert len(traces(folder)) >= 7
    path = urlsplit(links.preferences_url(reader.pk, timezone.now())).path

    asked = client.get(f"{path}erase/")
    assert "Erase everything about you?" in text_of(asked)
    assert len(traces(folder)) >= 7
    answer = client.post(f"{path}erase/")

    assert "Done. You are erased." in text_of(answer)
    assert traces(folder) == []
    reader.refresh_from_db()
    assert reader.state == SubscriberState.ERASED
    assert reader.hour is None
    assert ConsentEvent.objects.filter(subscriber=reader, kind=ConsentKind.ERASED).count() == 1
    assert len(list((folder / "inbound").iterdir())) == 1


def test_every_link_of_an_erased_person_leads_to_the_proper_page(client, planted):
    reader, now = planted.subscriber, timezone.now()
    mail = ServiceMail.objects.create(subscriber=reader, kind=ServiceMailKind.CONFIRMATION)
    bad = [
        links.preferences_url(reader.pk, now),
        links.confirm_url(mail.pk, now),
        links.new_address_url(mail.pk, now),
        links.undo_url(planted.pk, now),
        links.less_url(planted.pk, now, "weekly"),
    ]
    unsubscribe = urlsplit(links.unsubscribe_url(planted.pk)).path

    erasure.erase(reader, source="preferences")

    for url in bad:
        for method in (client.get, client.post):
            response = method(urlsplit(url).path)
            assert response.status_code == 404
            assert "This link no longer works" in text_of(response)
    for method in (client.get, client.post, client.post):
        response = method(unsubscribe)
        assert response.status_code == 200
        assert "Done. This newsletter has stopped." in text_of(response)


def test_the_mark_outlives_the_person_and_whatever_was_said_before(planted):
    reader = planted.subscriber
    suppression.suppress(reader.address_hash, SuppressionReason.COMPLAINT, note="seen by staff")

    assert erasure.erase(reader, source="preferences")

    mark = Suppression.objects.get()
    assert (mark.address_hash, mark.reason, mark.note) == (
        reader.address_hash,
        SuppressionReason.ERASURE,
        "",
    )
    with pytest.raises(suppression.NotYoursToLift):
        suppression.lift_by_operator(mark)
    assert not erasure.erase(reader, source="preferences")


def test_other_people_stay_as_they_are(planted):
    neighbour = make_subscription(planted.newsletter).subscriber
    SignUpRequest.objects.create(address="neighbour@example.org", source="/")

    erasure.erase(planted.subscriber, source="preferences")

    neighbour.refresh_from_db()
    assert neighbour.address
    assert neighbour.subscriptions.active().count() == 1
    assert SignUpRequest.objects.count() == 1


def test_every_column_of_a_person_is_emptied():
    columns = {field.name for field in Subscriber._meta.concrete_fields}

    assert {*erasure.NOBODY, "id", "created_at"} == columns


def test_an_erased_person_may_come_back_as_somebody_new(client, planted):
    erasure.erase(planted.subscriber, source="preferences")

    again = make_subscriber(ADDRESS)

    assert again.pk != planted.subscriber_id
    assert suppression.is_suppressed(again.address_hash)


def test_the_file_of_ones_data_holds_all_that_is_known(client, planted):
    reader = planted.subscriber
    path = urlsplit(links.preferences_url(reader.pk, timezone.now())).path

    response = client.post(f"{path}data/")

    assert response["Content-Disposition"].startswith("attachment")
    assert "no-store" in response["Cache-Control"]
    file = json.loads(response.content)
    assert file["person"]["address"] == ADDRESS
    assert file["how_mails_are_sent"]["time_zone"] == "Asia/Tokyo"
    daily = next(each for each in file["newsletters"] if each["newsletter"] == "Daily")
    assert daily["topics"][0]["topic"] == "Europe"
    kinds = {event["what"]: event["words_shown"] for event in file["consent"]}
    assert kinds["left"] == consent.WORDINGS[consent.LEAVE]
    assert {mail["kind"] for mail in file["service_mails"]} == {"preferences", "old_address"}
    assert file["notes_of_staff"][0]["text"] == f"{ADDRESS} called."
    assert "over quota" in file["answers_of_mail_servers"][0]["text"]
    assert file["editions"] == []


def test_the_file_tells_nothing_about_anybody_else(planted):
    make_subscription(subscriber=make_subscriber("neighbour@example.org"))

    assert b"neighbour" not in passport.as_json(planted.subscriber)


def test_an_older_link_hands_nothing_out(client, planted):
    path = urlsplit(
        links.preferences_url(planted.subscriber_id, timezone.now() - timedelta(minutes=61))
    ).path

    for page in ("data", "erase"):
        response = client.post(f"{path}{page}/")
        assert (response.status_code, response["Location"]) == (303, f"{path}?done=old")
    assert Subscriber.objects.get(pk=planted.subscriber_id).address == ADDRESS
