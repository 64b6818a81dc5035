"""Adding a reader by hand: the mailbox is asked, and nobody gets a newsletter by it."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.urls import reverse

from subscribers import addresses, consent, suppression
from subscribers.models import (
    ConsentEvent,
    ConsentKind,
    ServiceMail,
    ServiceMailKind,
    Subscriber,
    SubscriberState,
    Subscription,
    SuppressionReason,
)
from tests import factories
from tests.admin.test_every_page import all_rows

pytestmark = pytest.mark.django_db
ADD = "admin:subscribers_subscriber_add"
SOURCE = "Paper form, conference of May 2026"


@pytest.fixture
def choice(db: None) -> dict[str, object]:
    """What is posted for one newsletter and one of its two topics."""
    europe = factories.make_topic("Europe")
    factories.make_topic("Asia")
    newsletter = factories.make_newsletter("IRIA Daily")
    return {
        "address": "Mara@example.org",
        "newsletters": [newsletter.pk],
        "topics": [europe.pk],
        "source": SOURCE,
    }


def test_an_address_is_added_as_pending_and_asked_to_confirm(choice, admin_client):
    answer = admin_client.post(reverse(ADD), choice, follow=True)

    subscriber = Subscriber.objects.get()
    assert subscriber.address == "Mara@example.org"
    assert subscriber.state == SubscriberState.PENDING
    assert not Subscription.objects.active().exists()
    assert ServiceMail.objects.get().kind == ServiceMailKind.CONFIRMATION
    event = ConsentEvent.objects.get()
    assert (event.kind, event.source) == (ConsentKind.ASKED, f"staff: {SOURCE}")
    assert (event.wording, event.topics) == (consent.NONE, "europe")
    assert "They get a mail that asks for confirmation." in answer.content.decode()
    line = LogEntry.objects.get()
    assert "mara" not in (line.object_repr + line.change_message).lower()
    assert line.user == User.objects.get(username="admin")


def test_no_topic_ticked_means_all(choice, admin_client):
    admin_client.post(reverse(ADD), {**choice, "topics": []})

    assert ConsentEvent.objects.get().topics == "asia,europe"


def test_who_is_with_us_stays_as_they_are(choice, admin_client):
    factories.make_subscription(subscriber=factories.make_subscriber("mara@example.org"))
    before = all_rows()

    page = admin_client.post(reverse(ADD), choice, follow=True).content.decode()

    assert "Nothing was changed: this address is on a newsletter already." in page
    assert all_rows() == before


def test_who_is_suppressed_stays_so(choice, admin_client):
    known = factories.make_subscriber("mara@example.org")
    suppression.suppress(known.address_hash, SuppressionReason.COMPLAINT)
    before = all_rows()

    page = admin_client.post(reverse(ADD), choice, follow=True).content.decode()

    assert "Nothing was changed: we stopped writing to this address." in page
    assert all_rows() == before


def test_who_was_erased_stays_so(choice, admin_client):
    suppression.suppress(addresses.parse("mara@example.org").hash, SuppressionReason.ERASURE)
    before = all_rows()

    page = admin_client.post(reverse(ADD), choice, follow=True).content.decode()

    assert "Only its owner can come back" in page
    assert all_rows() == before


def test_adding_twice_sends_one_mail(choice, admin_client):
    admin_client.post(reverse(ADD), choice)
    before = all_rows()

    page = admin_client.post(reverse(ADD), choice, follow=True).content.decode()

    assert "this address was asked in the last 15 minutes" in page
    assert all_rows() == before


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("address", "mara.example.org", "no @ sign"),
        (
            "address",
            "mara@example.org\r\nBcc: x@example.org",
            "has a line break in it",
        ),
        ("newsletters", [], "Tick at least one newsletter"),
        ("newsletters", [987654], "not one of the available choices"),
        ("source", "", "Say where and when this person agreed"),
        ("source", "phone", "Say it in a sentence"),
        ("source", "Form of\r\nMay 2026, Berlin", "There is a line break in it."),
        ("source", "Form of May \u202e2026", "turns the direction of text"),
        ("source", "By mail from mara@example.org", "This looks like an address."),
        ("source", "x" * 191, "at most 190 characters"),
    ],
)
def test_what_cannot_be_added_is_answered_with_a_sentence(
    field, value, sentence, choice, admin_client
):
    answer = admin_client.post(reverse(ADD), {**choice, field: value})

    page = answer.content.decode()
    assert answer.status_code == 422
    assert sentence in page
    assert not Subscriber.objects.exists()


def test_a_private_newsletter_is_not_offered_here(choice, admin_client):
    private = factories.make_newsletter("Client report", is_private=True)

    assert "Client report" not in admin_client.get(reverse(ADD)).content.decode()
    answer = admin_client.post(reverse(ADD), {**choice, "newsletters": [private.pk]})
    assert answer.status_code == 422


def test_a_newsletter_without_the_topics_is_pointed_out(choice, admin_client):
    other = factories.make_newsletter("Arctic", topics=[factories.make_topic("Arctic")])

    answer = admin_client.post(reverse(ADD), {**choice, "newsletters": [other.pk]})

    assert answer.status_code == 422
    assert "Arctic carries none of these topics." in answer.content.decode()


def test_adding_needs_the_right_to_add(choice, staff):
    client = staff("subscribers.view_subscriber", "subscribers.change_subscriber")

    assert client.get(reverse(ADD)).status_code == 403
    assert client.post(reverse(ADD), choice).status_code == 403
    assert not Subscriber.objects.exists()


def test_who_may_add_but_not_see_gets_the_sentence(choice, staff):
    client = staff("subscribers.add_subscriber")

    page = client.post(reverse(ADD), choice, follow=True)

    assert page.status_code == 200
    assert "They get a mail that asks for confirmation." in page.content.decode()
