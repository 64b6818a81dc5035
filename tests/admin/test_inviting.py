"""Inviting to a private newsletter: paste, look, invite; and names that are safe in every mail."""

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from iria_news.articles.models import Topic
from subscribers import suppression
from subscribers.models import (
    Newsletter,
    ServiceMail,
    ServiceMailKind,
    Subscriber,
    Subscription,
    SuppressionReason,
)
from tests import factories
from tests.admin.test_every_page import all_rows

pytestmark = pytest.mark.django_db
INVITE = "admin:subscribers_newsletter_invite"
INVITED = "admin:subscribers_newsletter_invited"


@pytest.fixture
def private(db: None) -> Newsletter:
    factories.make_topic("Europe")
    return factories.make_newsletter("Client report", is_private=True)


@pytest.fixture
def pasted(private) -> str:
    """One of each kind: two to invite, one reader, one suppressed, one wrong."""
    factories.make_subscription(private, subscriber=factories.make_subscriber("in@example.org"))
    stopped = factories.make_subscriber("stopped@example.org")
    suppression.suppress(stopped.address_hash, SuppressionReason.COMPLAINT)
    readers = "a@example.org, b@example.org;in@example.org\r\nstopped@example.org"
    return f"{readers}\n\n wrong \nA@EXAMPLE.org"


def test_looking_says_in_numbers_what_would_happen_and_writes_nothing(
    private, pasted, admin_client
):
    before = all_rows()

    answer = admin_client.post(reverse(INVITE, args=[private.pk]), {"addresses": pasted})

    look = answer.context["look"]
    page = answer.content.decode()
    assert (look.invited, look.already, look.suppressed, len(look.invalid)) == (2, 1, 1, 1)
    assert "Invite 2 people" in page
    assert "Nobody has been invited yet." in page
    assert "The address “wrong” has no @ sign." in page
    assert all_rows() == before


def test_inviting_does_what_was_shown(private, pasted, admin_client):
    path = reverse(INVITE, args=[private.pk])

    page = admin_client.post(path, {"addresses": pasted, "invite": "yes"}, follow=True)

    assert page.redirect_chain[0][0] == reverse(INVITED, args=[private.pk])
    assert "Invited: 2 people." in page.content.decode()
    mails = ServiceMail.objects.filter(kind=ServiceMailKind.INVITATION, newsletter=private)
    assert {mail.subscriber.address for mail in mails} == {"a@example.org", "b@example.org"}
    assert Subscription.objects.active().count() == 1
    line = LogEntry.objects.get()
    assert line.change_message == "Invited 2 people."


def test_who_has_not_answered_is_listed(private, admin_client):
    waiting = factories.make_subscription(private, confirmed=False).subscriber
    reads = factories.make_subscription(private).subscriber

    page = admin_client.get(reverse(INVITED, args=[private.pk])).content.decode()

    assert waiting.address in page
    assert reads.address not in page


def test_when_nobody_waits_the_list_says_so(private, admin_client):
    assert "Nobody waits" in admin_client.get(reverse(INVITED, args=[private.pk])).content.decode()


@pytest.mark.parametrize("page", ["x", "0", "-4", "99999"])
def test_a_page_of_the_list_that_makes_no_sense_still_answers(page, private, admin_client):
    answer = admin_client.get(reverse(INVITED, args=[private.pk]), {"page": page})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "Paste at least one address."),
        (" ,;\n", "Paste at least one address."),
        ("x@example.org\n" * 501, "These are 501 addresses. Invite at most 500 at once"),
    ],
)
def test_what_cannot_be_invited_is_answered_with_a_sentence(typed, sentence, private, admin_client):
    answer = admin_client.post(
        reverse(INVITE, args=[private.pk]), {"addresses": typed, "invite": "yes"}
    )

    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert not Subscriber.objects.exists()


def test_what_was_pasted_is_only_text(private, admin_client):
    answer = admin_client.post(
        reverse(INVITE, args=[private.pk]), {"addresses": "<script>alert(1)</script>{{ 7*7 }}"}
    )

    page = answer.content.decode()
    assert "<script>alert(1)" not in page
    assert "{{ 7*7 }}" in page


@pytest.mark.parametrize(
    "fields", [{"is_private": False}, {"is_private": True, "is_active": False}]
)
def test_only_an_active_private_newsletter_takes_invitations(fields, admin_client):
    newsletter = factories.make_newsletter(**fields)
    path = reverse(INVITE, args=[newsletter.pk])

    for answer in (admin_client.get(path), admin_client.post(path, {"addresses": "a@example.org"})):
        assert "Nobody is invited to" in answer.content.decode()
    assert not Subscriber.objects.exists()


def test_with_no_topic_to_follow_nobody_is_invited(admin_client):
    newsletter = factories.make_newsletter(is_private=True)
    assert not Topic.objects.exists()

    answer = admin_client.post(
        reverse(INVITE, args=[newsletter.pk]), {"addresses": "a@example.org", "invite": "yes"}
    )

    assert answer.status_code == 422
    assert not Subscriber.objects.exists()


def test_inviting_needs_its_own_right(private, staff):
    client = staff("subscribers.view_subscriber", "subscribers.change_newsletter")

    for name in (INVITE, INVITED):
        assert client.get(reverse(name, args=[private.pk])).status_code == 403
    answer = client.post(
        reverse(INVITE, args=[private.pk]), {"addresses": "a@example.org", "invite": "yes"}
    )
    assert answer.status_code == 403
    assert not Subscriber.objects.exists()


def test_the_page_of_a_private_newsletter_leads_there_and_others_do_not(private, admin_client):
    public = factories.make_newsletter()

    for newsletter, leads in [(private, True), (public, False)]:
        change = reverse("admin:subscribers_newsletter_change", args=[newsletter.pk])
        page = admin_client.get(change).content.decode()
        assert (reverse(INVITE, args=[newsletter.pk]) in page) is leads


# --- names ---

LINE = "There is a line break in it."
TURN = "turns the direction of text"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Daily\r\nBcc: x@example.org", LINE),
        ("Daily\nnews", LINE),
        ("Daily\u2028news", LINE),
        ("Daily\u2029news", LINE),
        ("Daily\x85news", LINE),
        ("Daily\0news", "Null characters are not allowed."),
        ("Daily \u202enews", TURN),
        ("Daily \u2066news", TURN),
        ("Daily \u200fnews", TURN),
    ],
)
@pytest.mark.parametrize("model", ["subscribers_newsletter", "articles_topic"])
def test_a_name_is_one_line_that_reads_as_it_is_written(name, sentence, model, admin_client):
    answer = admin_client.post(reverse(f"admin:{model}_add"), {"name": name, "slug": "daily"})

    assert sentence in answer.content.decode()
    assert not Newsletter.objects.exists()
    assert not Topic.objects.exists()


@pytest.mark.parametrize("name", ["Asia-Pacific", "العالم", "安全保障", "Défense & Sécurité"])
def test_a_name_in_any_script_is_welcome(name, admin_client):
    answer = admin_client.post(
        reverse("admin:articles_topic_add"), {"name": name, "slug": "here", "position": 0}
    )

    assert answer.status_code == 302
    assert Topic.objects.get().name == name
