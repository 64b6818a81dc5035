"""Weighty acts: GET asks with real numbers, POST acts once, and only for those who may."""

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from mailer import editions
from mailer.models import Edition, EditionState
from subscribers.models import Approval
from tests import factories
from tests.mailer import editions as ways

pytestmark = pytest.mark.django_db


def url(page: str, edition: Edition) -> str:
    return reverse(f"admin:mailer_edition_{page}", args=[edition.pk])


def send_now_url(newsletter) -> str:
    return reverse("admin:subscribers_newsletter_send_now", args=[newsletter.pk])


def hidden(answer, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', answer.content.decode())
    assert found
    return found[1]


def make_draft() -> Edition:
    return ways.open_now(ways.daily(4, articles=2, approval=Approval.PERSON))


def test_sending_now_asks_with_the_numbers_of_this_moment(admin_client):
    newsletter = ways.daily(4, articles=2, name="IRIA Daily")

    page = admin_client.get(send_now_url(newsletter)).content.decode()

    assert "Send IRIA Daily now?" in page
    assert "4 readers follow it; 2 new articles." in page
    assert "Send to 4 readers" in page
    assert not Edition.objects.exists()


def test_pressing_send_twice_makes_one_edition(admin_client):
    newsletter = ways.daily(4)
    path = send_now_url(newsletter)
    moment = hidden(admin_client.get(path), "moment")

    first = admin_client.post(path, {"moment": moment})
    second = admin_client.post(path, {"moment": moment})

    edition = Edition.objects.get()
    assert edition.state == EditionState.APPROVED
    assert LogEntry.objects.first().user.username == "admin"
    there = reverse("admin:mailer_edition_change", args=[edition.pk])
    assert first["Location"] == second["Location"] == there


@pytest.mark.parametrize("moment", ["", "2026-03-02T08:00:00", "changed:by:hand"])
def test_a_moment_that_is_not_ours_sends_nothing(moment, admin_client):
    path = send_now_url(ways.daily(4))

    answer = admin_client.post(path, {"moment": moment}, follow=True)

    assert "Nothing was sent. Look again." in answer.content.decode()
    assert not Edition.objects.exists()


def test_the_moment_of_one_newsletter_does_not_send_another(admin_client):
    one, other = ways.daily(1), ways.daily(1)
    moment = hidden(admin_client.get(send_now_url(one)), "moment")

    admin_client.post(send_now_url(other), {"moment": moment})

    assert not Edition.objects.exists()


def test_with_nothing_new_there_is_no_button_and_a_post_says_why(admin_client):
    newsletter = factories.make_newsletter("IRIA Daily")
    path = send_now_url(newsletter)
    page = admin_client.get(path)

    answer = admin_client.post(path, {"moment": hidden(page, "moment")}, follow=True)

    assert "Publish one, then try again." in page.content.decode()
    assert "Send to" not in page.content.decode()
    assert "IRIA Daily has 0 new articles" in answer.content.decode()
    assert not Edition.objects.exists()


def test_pause_and_resume_say_what_waits(newsroom, admin_client):
    edition = newsroom.edition
    asked = admin_client.get(url("pause", edition)).content.decode()

    paused = admin_client.post(url("pause", edition), {"reason": "A typo"}, follow=True)
    edition.refresh_from_db()
    assert (edition.state, edition.reason) == (EditionState.PAUSED, "Paused by admin: A typo")
    resumed = admin_client.post(url("resume", edition), follow=True)
    edition.refresh_from_db()

    assert "3 mails will wait until somebody resumes it." in asked
    assert "Paused. 3 mails to go." in paused.content.decode()
    assert "Resumed. 3 mails to go." in resumed.content.decode()
    assert edition.state in editions.UNDER_WAY


def test_cancelling_asks_for_the_number(newsroom, admin_client):
    edition = newsroom.edition
    asked = admin_client.get(url("cancel", edition)).content.decode()

    slip = admin_client.post(
        url("cancel", edition), {"shown": 3, "number": "30", "reason": "Wrong day"}
    )
    edition.refresh_from_db()
    assert slip.status_code == 422
    assert "You typed 30, not 3. Nothing was cancelled." in slip.content.decode()
    assert 'value="Wrong day"' in slip.content.decode()
    assert edition.state == EditionState.SENDING

    admin_client.post(url("cancel", edition), {"shown": 3, "number": "3"})
    edition.refresh_from_db()
    assert "To cancel, type 3" in asked
    assert edition.state == EditionState.CANCELLED


@pytest.mark.parametrize("page", ["approve", "pause", "resume", "cancel"])
def test_too_late_changes_nothing_and_says_so(page, newsroom, admin_client):
    edition = newsroom.edition
    Edition.objects.filter(pk=edition.pk).update(state=EditionState.DONE)

    asked = admin_client.get(url(page, edition)).content.decode()
    posted = admin_client.post(
        url(page, edition),
        {"content_hash": edition.content_hash, "shown": 3, "number": 3},
        follow=True,
    )

    edition.refresh_from_db()
    assert "There is nothing to" in asked
    assert "Too late, nothing changed: the edition is done." in posted.content.decode()
    assert edition.state == EditionState.DONE
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("method", ["get", "post"])
def test_an_editor_who_may_only_look_steers_nothing(method, newsroom, staff):
    client = staff("mailer.view_edition", "subscribers.change_newsletter")
    pages = [url(page, newsroom.edition) for page in ("approve", "compose", "pause", "cancel")]

    for path in [*pages, url("resume", newsroom.edition), send_now_url(newsroom.newsletter)]:
        assert getattr(client, method)(path).status_code == 403, path

    page = client.get(url("change", newsroom.edition)).content.decode()
    assert "3 deliveries" in page
    assert url("pause", newsroom.edition) not in page
    assert "reader0@example.org" not in page
