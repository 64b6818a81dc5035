"""The pages of an approval: GET asks with numbers and checks, POST acts once."""

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mailer import approving, editions, urgency
from mailer.models import Edition, EditionState
from subscribers.models import Approval
from tests import factories
from tests.mailer import editions as ways

pytestmark = pytest.mark.django_db


def url(page: str, edition: Edition) -> str:
    return reverse(f"admin:mailer_edition_{page}", args=[edition.pk])


def make_draft(**fields) -> Edition:
    newsletter = ways.daily(4, articles=2, **{"approval": Approval.PERSON, **fields})
    return ways.open_now(newsletter)


def publisher(username: str, **fields) -> Client:
    user = User.objects.create(username=username, is_staff=True, **fields)
    for codename in ("approve_edition", "view_edition"):
        user.user_permissions.add(Permission.objects.get(codename=codename))
    client = Client()
    client.force_login(user)
    return client


def read_and_post(client: Client, edition: Edition, **fields):
    page = client.get(url("approve", edition)).content.decode()
    found = re.search(r'name="content_hash" value="([^"]*)"', page)
    fields = {"content_hash": found[1] if found else "", **fields}
    return client.post(url("approve", edition), fields, follow=True)


def test_the_page_says_how_many_mails_leave_and_when(admin_client):
    edition = make_draft(grace_minutes=10)

    page = admin_client.get(url("approve", edition)).content.decode()

    assert "4 mails to 4 readers in 1 cohort and 1 wave" in page
    assert "Approve 4 mails" in page
    assert "at the earliest" in page
    assert "The checks found nothing." in page
    assert approving.content_hash(edition)[:4] in page


def test_approval_releases_what_was_read(admin_client):
    edition = make_draft()

    answer = read_and_post(admin_client, edition)

    edition.refresh_from_db()
    assert edition.state == EditionState.APPROVED
    assert edition.approved_by.username == "admin"
    assert "until then it can be undone." in answer.content.decode()
    assert "Approved. It leaves at" in LogEntry.objects.get().change_message


def test_an_edition_that_changed_since_it_was_read_is_shown_again(admin_client):
    edition = make_draft()
    read = approving.content_hash(edition)
    edition.articles.filter(pk=edition.articles.first().pk).update(title="Changed meanwhile")

    answer = admin_client.post(url("approve", edition), {"content_hash": read}, follow=True)

    edition.refresh_from_db()
    assert edition.state == EditionState.DRAFT
    assert "Nothing was approved. Look again." in answer.content.decode()
    assert "Changed meanwhile" in answer.content.decode()


def test_every_warning_has_to_be_ticked(admin_client):
    edition = make_draft()
    Edition.objects.filter(pk=edition.pk).update(subject="Very long " * 8)

    without = read_and_post(admin_client, edition)
    edition.refresh_from_db()
    assert without.status_code == 422
    assert "I have seen “The subject has 79 characters" in without.content.decode()
    assert edition.state == EditionState.DRAFT

    read_and_post(admin_client, edition, seen_0="on")
    edition.refresh_from_db()
    assert edition.state == EditionState.APPROVED


def test_what_stops_it_keeps_the_button_away_and_a_post_changes_nothing(admin_client):
    edition = make_draft()
    Edition.objects.filter(pk=edition.pk).update(introduction="Dear {{ name }},")

    page = admin_client.get(url("approve", edition)).content.decode()
    answer = read_and_post(admin_client, edition, content_hash=approving.content_hash(edition))

    edition.refresh_from_db()
    assert "Nothing leaves before that is mended." in page
    assert "Approve 4 mails" not in page
    assert "Nothing was approved." in answer.content.decode()
    assert edition.state == EditionState.DRAFT


def test_the_author_sees_who_can_approve_and_a_colleague_approves():
    author, colleague = publisher("mara"), publisher("lin", first_name="Lin", last_name="Park")
    edition = make_draft()
    author.post(url("ask", edition))

    page = author.get(url("approve", edition)).content.decode()

    assert "You wrote this edition. Lin Park can approve it." in page
    assert "Approve 4 mails" not in page
    read_and_post(colleague, edition)
    edition.refresh_from_db()
    assert edition.approved_by.username == "lin"


def test_an_editor_asks_and_a_publisher_sends_back_with_a_note(staff, admin_client):
    editor = staff("mailer.view_edition", "mailer.change_edition")
    edition = make_draft()

    asked = editor.get(url("ask", edition)).content.decode()
    answer = editor.post(url("ask", edition), follow=True).content.decode()
    empty = admin_client.post(url("send_back", edition), {"note": ""})
    admin_client.post(url("send_back", edition), {"note": "The lead is old."})

    assert "4 readers may get it. admin can approve it." in asked
    assert "Asked for approval. admin can approve it." in answer
    assert empty.status_code == 422
    assert (
        "Sent back: The lead is old. (admin)" in editor.get(url("change", edition)).content.decode()
    )
    assert editor.get(url("approve", edition)).status_code == 403


def test_an_approval_is_undone_from_the_bar_on_every_page(admin_client, staff):
    edition = make_draft()
    read_and_post(admin_client, edition)

    bar = admin_client.get(reverse("admin:index")).content.decode()
    asked = admin_client.get(url("undo", edition)).content.decode()
    answer = admin_client.post(url("undo", edition), follow=True).content.decode()

    edition.refresh_from_db()
    assert re.search(r"leaves at \d\d:\d\d UTC \(<span [^>]*>in (9:\d\d|10:00)</span>\)", bar)
    assert url("undo", edition) in bar
    assert "Undo the approval" in asked
    assert "It is a draft again; nothing has left." in answer
    assert edition.state == EditionState.DRAFT
    assert (
        url("undo", edition)
        not in staff("mailer.view_edition").get(reverse("admin:index")).content.decode()
    )


def test_two_people_approve_what_is_urgent():
    first, second = publisher("mara"), publisher("lin")
    edition = make_draft()
    asked = first.get(url("urgent", edition)).content.decode()
    first.post(url("urgent", edition))

    one = read_and_post(first, edition).content.decode()
    page = second.get(url("approve", edition)).content.decode()
    read_and_post(second, edition)

    edition.refresh_from_db()
    assert "0 of at most 3 urgent editions of the last seven days are used." in asked
    assert "Your approval counts: 1 of 2." in one
    assert "1 of 2 approvals, mara at" in page
    assert edition.state == EditionState.APPROVED
    assert edition.due_at - timezone.now() < timedelta(minutes=11)


def test_urgency_can_be_taken_away(admin_client):
    edition = make_draft()
    urgency.make_urgent(edition)

    asked = admin_client.get(f"{url('urgent', edition)}?ordinary").content.decode()
    admin_client.post(f"{url('urgent', edition)}?ordinary")

    edition.refresh_from_db()
    assert "Make it ordinary" in asked
    assert not edition.is_urgent


def test_one_article_becomes_an_urgent_draft(admin_client):
    newsletter = ways.daily(2)
    article = factories.make_article("Strait closed")
    path = reverse("admin:mailer_edition_new_urgent")

    page = admin_client.get(path).content.decode()
    admin_client.post(path, {"article": article.pk, "newsletter": newsletter.pk})
    again = admin_client.post(path, {"article": article.pk, "newsletter": newsletter.pk})

    edition = Edition.objects.get()
    assert "Strait closed" in page
    assert (edition.is_urgent, edition.state) == (True, EditionState.DRAFT)
    assert list(edition.articles.all()) == [article]
    assert again.status_code == 422
    assert "carries “Strait closed” already" in again.content.decode()


def test_what_changed_after_the_freeze_is_approved_again(admin_client):
    edition = make_draft()
    read_and_post(admin_client, edition)
    editions.begin_freezing(edition)
    Edition.objects.filter(pk=edition.pk).update(
        state=EditionState.PAUSED, frozen_at=timezone.now(), reason=editions.CHANGED
    )
    edition.articles.filter(pk=edition.articles.first().pk).update(title="Changed after it")

    page = admin_client.get(url("approve", edition)).content.decode()
    read_and_post(admin_client, edition)

    edition.refresh_from_db()
    assert "Changed after it" in page
    assert edition.state == EditionState.RENDERING


@pytest.mark.parametrize("page", ["approve", "ask", "send_back", "undo", "urgent"])
def test_too_late_changes_nothing_and_says_so(page, newsroom, admin_client):
    edition = newsroom.edition
    Edition.objects.filter(pk=edition.pk).update(state=EditionState.DONE)
    fields = {"content_hash": approving.content_hash(edition), "note": "Late"}

    asked = admin_client.get(url(page, edition)).content.decode()
    posted = admin_client.post(url(page, edition), fields, follow=True)

    edition.refresh_from_db()
    assert "There is nothing to" in asked
    assert "Too late, nothing changed: the edition is done." in posted.content.decode()
    assert edition.state == EditionState.DONE
    assert not LogEntry.objects.exists()
