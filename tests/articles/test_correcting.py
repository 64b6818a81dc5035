"""Corrections of articles: recorded at the desk, dated on the page, never changed."""

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from iria_news.articles import correcting
from iria_news.articles.models import ArticleState, Correction
from tests import factories

pytestmark = pytest.mark.django_db


def page(client, article) -> str:
    return " ".join(client.get(article.get_absolute_url()).content.decode().split())


def test_a_correction_stands_above_the_text_with_its_date(client):
    article = factories.make_article()
    correction = correcting.correct(article, "The pier is 600 metres\nlong, <b>not</b> 900.")

    shown = page(client, article)

    assert f'<time datetime="{correction.at:%Y-%m-%d}">' in shown
    assert "The pier is 600 metres long, &lt;b&gt;not&lt;/b&gt; 900." in shown
    assert shown.index("600 metres") < shown.index('class="prose"')


def test_an_article_without_corrections_says_nothing_of_them(client):
    assert "Correction" not in page(client, factories.make_article())


def test_a_withdrawn_article_says_why(client):
    article = factories.make_article("A claim")
    correcting.withdraw(article, "It cannot be shown.")

    shown = page(client, article)

    article.refresh_from_db()
    assert article.state == ArticleState.WITHDRAWN
    assert "It cannot be shown." in shown
    assert "What happened, at length." not in shown


@pytest.mark.parametrize("act", [correcting.correct, correcting.withdraw])
def test_what_nobody_could_read_is_not_corrected(act):
    draft = factories.make_article(state=ArticleState.DRAFT, published_at=None)

    with pytest.raises(correcting.NotPublic):
        act(draft, "Never mind.")

    draft.refresh_from_db()
    assert draft.state == ArticleState.DRAFT
    assert not Correction.objects.exists()


# --- at the desk ----------------------------------------------------------------------------------
def change(article) -> str:
    return reverse("admin:articles_article_change", args=[article.pk])


def fields(article, **others) -> dict[str, object]:
    return {
        "title": article.title,
        "slug": article.slug,
        "byline": article.byline,
        "body": article.body,
        "language": "en",
        "state": article.state,
        "published_at_0": f"{article.published_at:%Y-%m-%d}",
        "published_at_1": f"{article.published_at:%H:%M:%S}",
        "topics": [topic.pk for topic in article.topics.all()],
        **others,
    }


def test_the_page_of_an_article_leads_to_the_correction_and_lists_it(admin_client):
    article = factories.make_article()
    path = reverse("admin:articles_article_correct", args=[article.pk])
    assert f'href="{path}"' in admin_client.get(change(article)).content.decode()
    assert "Correct “" in admin_client.get(path).content.decode()
    assert not Correction.objects.exists()

    answer = admin_client.post(path, {"note": "The pier is 600\nmetres long."}, follow=True)

    assert Correction.objects.get().note == "The pier is 600 metres long."
    assert "The pier is 600 metres long." in answer.content.decode()
    assert "Corrected: The pier" in LogEntry.objects.latest("pk").change_message


def test_an_empty_note_is_refused(admin_client):
    path = reverse("admin:articles_article_correct", args=[factories.make_article().pk])

    assert admin_client.post(path, {"note": " "}).status_code == 422
    assert not Correction.objects.exists()


def test_a_draft_has_nothing_to_correct(admin_client):
    draft = factories.make_article(state=ArticleState.DRAFT, published_at=None)
    path = reverse("admin:articles_article_correct", args=[draft.pk])

    assert "is not public yet" in admin_client.get(path).content.decode()
    admin_client.post(path, {"note": "Wrong."})
    assert not Correction.objects.exists()


def test_withdrawing_asks_why_once(admin_client):
    article = factories.make_article()
    withdrawn = fields(article, state="withdrawn")

    refused = admin_client.post(change(article), withdrawn)
    assert "Say why it is withdrawn" in refused.content.decode()
    article.refresh_from_db()
    assert article.state == ArticleState.PUBLISHED

    admin_client.post(change(article), {**withdrawn, "withdrawal_note": "It cannot be shown."})
    article.refresh_from_db()
    assert article.state == ArticleState.WITHDRAWN
    correction = Correction.objects.get()
    assert (correction.note, correction.is_withdrawal) == ("It cannot be shown.", True)

    admin_client.post(change(article), withdrawn)  # saved again, it asks for nothing
    assert Correction.objects.count() == 1
