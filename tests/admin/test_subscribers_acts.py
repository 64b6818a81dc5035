"""What staff do about one reader: each act asks, needs its own right, and is written down."""

import json

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.urls import reverse

from subscribers import consent, service_mails, suppression
from subscribers.models import (
    ConsentEvent,
    ConsentKind,
    ServiceMail,
    ServiceMailKind,
    Subscriber,
    SubscriberNote,
    SubscriberState,
    Subscription,
    Suppression,
    SuppressionReason,
)
from tests import factories
from tests.admin.test_every_page import all_rows

pytestmark = pytest.mark.django_db
RIGHTS = {
    "suppress": "subscribers.add_suppression",
    "mail_link": "subscribers.mail_link_to_subscriber",
    "end": "subscribers.end_subscription",
    "download": "subscribers.download_subscriber",
    "erase": "subscribers.erase_subscriber",
    "write_note": "subscribers.add_subscribernote",
    "delete_note": "subscribers.delete_subscribernote",
}
BY_POST_ONLY = {"write_note", "delete_note"}


def act(name: str, subscriber: Subscriber) -> str:
    return reverse(f"admin:subscribers_subscriber_{name}", args=[subscriber.pk])


@pytest.fixture
def reader(db: None) -> Subscriber:
    newsletter = factories.make_newsletter("IRIA Daily")
    return factories.make_subscription(newsletter).subscriber


@pytest.fixture
def admin(admin_client) -> User:
    return User.objects.get(username="admin")


@pytest.mark.parametrize("name", RIGHTS)
def test_an_act_needs_its_own_right_and_the_right_to_see_readers(name, reader, staff):
    others = sorted(set(RIGHTS.values()) - {RIGHTS[name]})
    nearly = staff("subscribers.view_subscriber", *others)
    before = all_rows()

    assert nearly.get(act(name, reader)).status_code in {403, 405}
    assert nearly.post(act(name, reader), {"asked": "1"}).status_code == 403
    assert all_rows() == before


@pytest.mark.parametrize("name", RIGHTS)
def test_who_may_not_see_readers_cannot_act_on_them(name, reader, staff):
    assert staff(RIGHTS[name]).post(act(name, reader), {"text": "x"}).status_code == 403


@pytest.mark.parametrize("name", RIGHTS)
def test_with_exactly_its_right_the_act_is_open(name, reader, staff):
    client = staff("subscribers.view_subscriber", RIGHTS[name])

    expected = 405 if name in BY_POST_ONLY else 200
    assert client.get(act(name, reader)).status_code == expected


@pytest.mark.parametrize("name", sorted(set(RIGHTS) - BY_POST_ONLY))
def test_asking_changes_nothing(name, reader, admin_client):
    before = all_rows()

    for _ in range(2):
        assert reader.address in admin_client.get(act(name, reader)).content.decode()

    assert all_rows() == before


def test_the_page_offers_only_what_one_may_do(reader, staff):
    client = staff("subscribers.view_subscriber", RIGHTS["erase"])

    page = client.get(
        reverse("admin:subscribers_subscriber_change", args=[reader.pk])
    ).content.decode()

    offered = {name for name in RIGHTS if act(name, reader) in page}
    assert offered == {"erase"}


def test_what_staff_did_is_kept_with_their_name_and_without_the_address(
    reader, admin_client, admin
):
    place = reader.subscriptions.get()
    admin_client.post(act("write_note", reader), {"text": f"Wrote from {reader.address}"})
    admin_client.post(act("mail_link", reader))
    admin_client.post(act("end", reader), {"place": place.pk})
    admin_client.post(act("download", reader))
    admin_client.post(act("suppress", reader))
    admin_client.post(act("erase", reader), {"asked": "True", "number": reader.pk})

    lines = LogEntry.objects.order_by("pk")
    assert [line.change_message for line in lines] == [
        "Wrote a note.",
        "Had the preferences link mailed.",
        "Ended IRIA Daily on request.",
        "Downloaded all we know of them.",
        "Stopped every mail.",
        "Erased on request.",
    ]
    for line in lines:
        assert line.user == admin
        assert line.object_repr == f"Subscriber {reader.pk}"
        assert reader.address not in line.change_message


# --- the preferences link ---


def test_the_link_is_mailed_to_its_owner_at_most_once_in_a_while(reader, admin_client):
    first = admin_client.post(act("mail_link", reader), follow=True).content.decode()
    second = admin_client.post(act("mail_link", reader), follow=True).content.decode()

    assert "The link is on its way." in first
    assert "No mail was sent: one went there in the last 15 minutes" in second
    mail = ServiceMail.objects.get()
    assert (mail.kind, mail.subscriber) == (ServiceMailKind.PREFERENCES, reader)


@pytest.mark.parametrize("how", ["pending", "suppressed"])
def test_no_link_is_mailed_where_no_mail_may_go(how, reader, admin_client):
    if how == "pending":
        reader = factories.make_subscription(confirmed=False).subscriber
    else:
        suppression.suppress(reader.address_hash, SuppressionReason.COMPLAINT)

    page = admin_client.post(act("mail_link", reader), follow=True).content.decode()

    assert "No mail was sent: they have not confirmed yet" in page
    assert not ServiceMail.objects.exists()


# --- ending ---


def test_a_subscription_ends_on_request_and_the_others_go_on(reader, admin_client):
    weekly = factories.make_subscription(subscriber=reader)
    daily = reader.subscriptions.exclude(pk=weekly.pk).get()

    page = admin_client.post(act("end", reader), {"place": daily.pk}, follow=True)

    assert "Ended: no more IRIA Daily." in page.content.decode()
    assert list(Subscription.objects.active()) == [weekly]
    event = ConsentEvent.objects.get()
    assert (event.kind, event.source) == (ConsentKind.LEFT, "staff")
    assert Subscription.objects.get(pk=daily.pk).ended_by == "staff"


@pytest.mark.parametrize("place", ["", "x", "987654", "another's"])
def test_what_is_no_subscription_of_theirs_is_refused(place, reader, admin_client):
    another = factories.make_subscription()
    place = another.pk if place == "another's" else place

    answer = admin_client.post(act("end", reader), {"place": place})

    assert answer.status_code == 422
    assert Subscription.objects.active().count() == 2


def test_who_is_on_nothing_has_nothing_to_end(admin_client):
    reader = factories.make_subscriber()

    assert (
        "There is no subscription to end." in admin_client.get(act("end", reader)).content.decode()
    )
    assert admin_client.post(act("end", reader)).status_code in {200, 422}


# --- their data ---


def test_the_file_holds_what_is_known_and_is_kept_by_no_cache(reader, admin_client, admin):
    SubscriberNote.objects.create(subscriber=reader, text="Called.", author=admin)

    answer = admin_client.post(act("download", reader))

    assert answer["Content-Disposition"] == f'attachment; filename="subscriber-{reader.pk}.json"'
    assert "no-store" in answer["Cache-Control"]
    known = json.loads(answer.content)
    assert known["person"]["address"] == reader.address
    assert "Called." in answer.content.decode()


# --- erasing ---


def test_erasing_asks_twice_and_takes_the_number(reader, admin_client):
    first = admin_client.get(act("erase", reader)).content.decode()
    second = admin_client.post(act("erase", reader)).content.decode()
    slip = admin_client.post(act("erase", reader), {"asked": "True", "number": "7,7"})

    assert "Go on to erase 1 person" in first
    assert f"To erase, type {reader.pk}" in second
    assert slip.status_code == 422
    assert "Nobody was erased." in slip.content.decode()
    assert Subscriber.objects.get(pk=reader.pk).state == SubscriberState.ACTIVE

    done = admin_client.post(
        act("erase", reader), {"asked": "True", "number": reader.pk}, follow=True
    ).content.decode()

    assert "This person was erased." in done
    assert reader.address not in done
    assert Subscriber.objects.get(pk=reader.pk).state == SubscriberState.ERASED
    assert Suppression.objects.get().reason == SuppressionReason.ERASURE


@pytest.mark.parametrize("name", RIGHTS)
def test_nothing_can_be_done_about_who_was_erased(name, reader, admin_client):
    admin_client.post(act("erase", reader), {"asked": "True", "number": reader.pk})
    before = all_rows()

    assert admin_client.post(act(name, reader), {"text": "x", "asked": "1"}).status_code == 404
    assert all_rows() == before


# --- notes ---


def test_a_note_is_kept_with_its_author_and_shown_in_the_history(reader, admin_client, admin):
    page = admin_client.post(
        act("write_note", reader), {"text": " Called.\r\nWants less.\u2028Nice. "}, follow=True
    ).content.decode()

    note = SubscriberNote.objects.get()
    assert (note.text, note.author) == ("Called.\nWants less.\nNice.", admin)
    assert "admin wrote" in page
    assert "Wants less." in page


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "The note is empty."),
        ("   \r\n ", "The note is empty."),
        ("safe \u202egnp.exe", "turns the direction of text"),
        ("a\0b", "Null characters are not allowed."),
        ("x" * 1001, "at most 1000 characters"),
    ],
)
def test_a_note_that_cannot_be_kept_comes_back_with_a_sentence(
    text, sentence, reader, admin_client
):
    answer = admin_client.post(act("write_note", reader), {"text": text})

    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert not SubscriberNote.objects.exists()


def test_one_deletes_notes_of_ones_own_only(reader, staff, admin):
    client = staff(
        "subscribers.view_subscriber", *RIGHTS.values(), "subscribers.view_subscribernote"
    )
    me = User.objects.get(username="mara")
    mine = SubscriberNote.objects.create(subscriber=reader, text="Mine.", author=me)
    theirs = SubscriberNote.objects.create(subscriber=reader, text="Theirs.", author=admin)
    elsewhere = SubscriberNote.objects.create(
        subscriber=factories.make_subscriber(), text="Elsewhere.", author=me
    )
    page = client.get(reverse("admin:subscribers_subscriber_change", args=[reader.pk]))
    assert page.content.decode().count("Delete 1 note") == 1

    for number in (mine.pk, theirs.pk, elsewhere.pk, "x", "", "9" * 25):
        client.post(act("delete_note", reader), {"note": number})

    assert set(SubscriberNote.objects.all()) == {theirs, elsewhere}
    assert LogEntry.objects.get().change_message == "Deleted a note of their own."


def test_no_mail_carries_a_note(reader, admin_client, sink):
    admin_client.post(act("write_note", reader), {"text": "Zebra crossing."})
    admin_client.post(act("mail_link", reader))

    assert service_mails.send_due() == 1
    assert b"Zebra" not in sink.taken[0].raw


def test_consent_by_staff_names_words_that_nobody_was_shown(reader, admin_client):
    admin_client.post(act("suppress", reader))
    admin_client.post(act("erase", reader), {"asked": "True", "number": reader.pk})

    kinds = ConsentEvent.objects.values_list("kind", flat=True)
    assert {"suppressed", "erased"} <= set(kinds)
    assert set(ConsentEvent.objects.values_list("wording", flat=True)) == {consent.NONE}
