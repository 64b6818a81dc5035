"""Telling the readers of a wrong article at once, from its page at the desk."""

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils import timezone

from iria_news.articles.models import Article, Correction
from mailer import cohorts, editions, production
from mailer.models import Edition, EditionKind, EditionState
from subscribers.models import Approval, Newsletter
from tests.mailer.editions import daily, frozen

pytestmark = pytest.mark.django_db


@pytest.fixture
def article() -> Article:
    """Mailed to three readers, then corrected."""
    article = frozen(daily(readers=3, name="IRIA Daily")).items.get().article
    at = timezone.now() + timedelta(milliseconds=5)  # SQLite's clock shows milliseconds
    Correction.objects.create(article=article, note="A pier, not a port.", at=at)
    return article


def tell(article: Article) -> str:
    return reverse("admin:articles_article_tell", args=[article.pk])


def moment(page: str) -> str:
    return re.search(r'name="moment" value="([^"]+)"', page)[1]


def opened():
    return Edition.objects.filter(kind=EditionKind.CORRECTION)


def test_the_page_counts_its_readers_and_a_double_click_tells_them_once(admin_client, article):
    change = reverse("admin:articles_article_change", args=[article.pk])
    assert f'href="{tell(article)}"' in admin_client.get(change).content.decode()
    page = admin_client.get(tell(article)).content.decode()
    assert "Tell 3 readers now" in page
    assert "3 readers through IRIA Daily" in page
    assert not opened().exists()

    for _ in range(2):
        answer = admin_client.post(tell(article), {"moment": moment(page)}, follow=True)

    edition = opened().get()
    assert edition.state == EditionState.APPROVED
    assert "On its way" in answer.content.decode()
    assert f"Its readers are told: {edition}" in LogEntry.objects.earliest("pk").change_message


def test_where_a_person_approves_somebody_else_does(admin_client, article):
    Newsletter.objects.update(approval=Approval.PERSON)
    page = admin_client.get(tell(article)).content.decode()
    assert "once a colleague has approved it" in page

    answer = admin_client.post(tell(article), {"moment": moment(page)}, follow=True)

    assert opened().get().state == EditionState.DRAFT
    assert "waiting for a colleague" in answer.content.decode()
    assert "Let it go, or cancel it first" in admin_client.get(tell(article)).content.decode()


def test_an_old_page_tells_nobody(admin_client, article):
    answer = admin_client.post(tell(article), {"moment": "made up"}, follow=True)

    assert "Nobody was told" in answer.content.decode()
    assert not opened().exists()


def test_there_is_no_button_when_nothing_was_corrected(admin_client, article):
    Correction.objects.all().delete()

    change = reverse("admin:articles_article_change", args=[article.pk])
    assert tell(article) not in admin_client.get(change).content.decode()
    page = admin_client.get(tell(article)).content.decode()
    assert "Record the correction first" in page
    assert "<button" not in page.partition('class="panel ask"')[2].partition("</form>")[0]


def test_it_takes_the_right_to_approve(staff, article):
    client = staff("articles.view_article", "articles.change_article")

    assert client.get(tell(article)).status_code == 403
    change = reverse("admin:articles_article_change", args=[article.pk])
    assert tell(article) not in client.get(change).content.decode()


def test_the_mail_of_an_urgent_correction_is_sent(admin_client, article):
    page = admin_client.get(tell(article)).content.decode()
    admin_client.post(tell(article), {"moment": moment(page)})
    edition = opened().get()

    assert editions.begin_freezing(edition)
    assert cohorts.freeze(edition.pk)
    production.render_waiting()
    production.release_rendered()
    production.start_due()

    edition.refresh_from_db()
    message = bytes(edition.cohorts.get().message)
    assert edition.state == EditionState.SENDING
    assert b"A pier, not a port." in message
    assert b"Subject: Correction: " in message
