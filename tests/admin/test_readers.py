"""Subscribers and suppressions at the desk of operators."""

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from subscribers import suppression
from subscribers.models import Subscription, Suppression, SuppressionReason
from tests import factories

pytestmark = pytest.mark.django_db
FIND = "admin:subscribers_subscriber_find"
ADD = "admin:subscribers_suppression_add"


def test_an_address_finds_its_subscriber_in_any_spelling(admin_client):
    subscriber = factories.make_subscriber("Mara@Example.org")
    factories.make_subscriber("mara@example.org.example")

    answer = admin_client.post(reverse(FIND), {"address": " mara@EXAMPLE.org"})

    there = reverse("admin:subscribers_subscriber_change", args=[subscriber.pk])
    assert answer["Location"] == there
    assert "Mara@Example.org" in admin_client.get(there).content.decode()


def test_the_beginning_of_an_address_finds_those_it_begins(admin_client):
    found = [factories.make_subscriber(f"mara{n}@example.org") for n in range(2)]
    factories.make_subscriber("tom@example.org")

    answer = admin_client.post(reverse(FIND), {"address": "Mara"}, follow=True)

    [(there, _)] = answer.redirect_chain
    page = answer.content.decode()
    assert there.endswith(f"?pk__in={found[0].pk},{found[1].pk}")
    assert "mara1@example.org" in page
    assert "tom@example.org" not in page


@pytest.mark.parametrize("typed", ["", " ", "nobody@example.org", "%", "_"])
def test_what_finds_nobody_says_so(typed, admin_client):
    factories.make_subscriber("mara@example.org")

    answer = admin_client.post(reverse(FIND), {"address": typed}, follow=True)

    assert "No subscriber has an address that begins like this." in answer.content.decode()


def test_finding_is_for_those_who_may_see_subscribers(staff):
    assert staff("articles.view_article").post(reverse(FIND), {"address": "m"}).status_code == 403


def test_an_operator_stops_an_address_after_being_asked(admin_client):
    subscription = factories.make_subscription()
    subscriber = subscription.subscriber
    path = reverse("admin:subscribers_subscriber_suppress", args=[subscriber.pk])

    asked = admin_client.get(path).content.decode()
    assert f"Stop every mail to {subscriber.address}?" in asked
    assert not Suppression.objects.exists()
    admin_client.post(path, {"note": "Asked by letter"})
    admin_client.post(path, {"note": "Twice"})

    stopped = Suppression.objects.get()
    assert (stopped.reason, stopped.note) == (SuppressionReason.OPERATOR, "Asked by letter")
    assert not Subscription.objects.active().exists()


def test_a_note_never_holds_an_address(admin_client):
    subscriber = factories.make_subscriber()
    path = reverse("admin:subscribers_subscriber_suppress", args=[subscriber.pk])

    answer = admin_client.post(path, {"note": "mara@example.org wrote"})

    assert answer.status_code == 422
    assert "This looks like an address." in answer.content.decode()
    assert not Suppression.objects.exists()


def test_stopping_needs_the_right_to_add_a_suppression(staff):
    subscriber = factories.make_subscriber()
    client = staff("subscribers.view_subscriber")

    path = reverse("admin:subscribers_subscriber_suppress", args=[subscriber.pk])
    assert client.get(path).status_code == 403
    assert client.post(path).status_code == 403
    assert client.post(reverse(ADD), {"address": "mara@example.org"}).status_code == 403


def test_an_address_typed_in_is_kept_as_a_mark_only(admin_client):
    answer = admin_client.post(reverse(ADD), {"address": "Mara@example.org", "note": "By phone"})

    stopped = Suppression.objects.get()
    assert answer.status_code == 302
    assert stopped.reason == SuppressionReason.OPERATOR
    assert len(stopped.address_hash) == 64
    assert "mara" not in LogEntry.objects.get().object_repr.lower()


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("mara.example.org", "no @ sign"),
        ("known@example.org", "This address was stopped before. Its first reason stays."),
    ],
)
def test_an_address_that_cannot_be_stopped_is_answered_with_a_sentence(
    typed, sentence, admin_client
):
    known = factories.make_subscriber("known@example.org")
    suppression.suppress(known.address_hash, SuppressionReason.COMPLAINT)

    answer = admin_client.post(reverse(ADD), {"address": typed})

    assert sentence in answer.content.decode()
    assert Suppression.objects.get().reason == SuppressionReason.COMPLAINT
