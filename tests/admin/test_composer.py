"""The composer's page: each button is an act on the version that was read, and says what it did."""

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from iria_news.articles.models import Article
from mailer import composing_order
from mailer.models import Edition
from subscribers.models import Approval
from tests import factories
from tests.articles.test_pictures import make_picture
from tests.mailer.editions import open_now

pytestmark = pytest.mark.django_db


@pytest.fixture
def draft() -> Edition:
    return make_draft("C", "B", "A")


def make_draft(*newest_last: str, **fields) -> Edition:
    topic = factories.make_topic("Security")
    for title in newest_last:
        factories.make_article(title, topics=[topic])
    newsletter = factories.make_newsletter(
        "IRIA Daily", approval=Approval.PERSON, zone="Europe/Berlin", **fields
    )
    return open_now(newsletter)


def url(edition: Edition, page: str = "compose") -> str:
    return reverse(f"admin:mailer_edition_{page}", args=[edition.pk])


def pk(title: str) -> int:
    return Article.objects.get(title=title).pk


def press(client, edition: Edition, act: str, *, version: int = 0, title: str = "", **values):
    values |= {"article": pk(title)} if title else {}
    return client.post(url(edition), {"act": act, "version": version, **values})


def said(client, answer) -> str:
    return client.get(answer["Location"]).content.decode()


def titles(edition: Edition) -> str:
    return "".join(edition.items.order_by("bit").values_list("article__title", flat=True))


# --- the page -------------------------------------------------------------------------------------
def test_the_page_shows_what_an_edition_carries_and_what_found_no_place(admin_client):
    draft = make_draft("Radar", "Cable ships", max_articles=1, look_back_days=8)

    page = admin_client.get(url(draft)).content.decode()

    assert "Items: 1 of at most 1" in page
    assert page.index("Cable ships") < page.index("Found no place: 1") < page.index("Radar")
    assert "Europe/Berlin" in page
    assert "Security · 1 min" in page


def test_the_page_asks_the_database_as_often_for_thirty_articles_as_for_three(admin_client, draft):
    counts = []
    for more in (0, 27):
        for number in range(more):
            factories.make_article(f"More {number}", topics=[factories.make_topic("Europe")])
        admin_client.get(url(draft))
        with CaptureQueriesContext(connection) as statements:
            admin_client.get(url(draft))
        counts.append(len(statements))
        composing_order.composing.compose(draft)
    assert draft.items.count() == 30
    assert counts[0] == counts[1]


def test_the_inbox_line_and_its_suggestions_come_from_the_lead_and_the_topics(admin_client, draft):
    page = admin_client.get(url(draft)).content.decode()

    assert 'value="A, and 2 more"' in page
    assert 'value="Security: A"' in page
    assert 'value="Also: B; C"' in page


def test_a_subject_is_counted_and_warned_of(admin_client, draft):
    long = "Cable ships, a shared air picture, and nineteen minutes of warning"
    last = open_now(draft.newsletter)
    Edition.objects.filter(pk=last.pk).update(
        subject=long, slot=draft.slot.replace(year=2020), state="cancelled"
    )
    answer = press(admin_client, draft, "texts", subject=long)

    page = said(admin_client, answer)

    assert "66 characters" in page
    assert "Long: 66 characters, and phones show about 40." in page
    assert "same subject" not in page
    Edition.objects.filter(pk=last.pk).update(
        state="done", frozen_at=draft.slot, approved_at=draft.slot, content_hash="x"
    )
    assert "The last edition had the same subject." in admin_client.get(url(draft)).content.decode()


# --- acts -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("act", "title", "order"),
    [
        ("up", "C", "ACB"),
        ("up", "A", "ABC"),
        ("down", "A", "BAC"),
        ("down", "C", "ABC"),
        ("lead", "B", "BAC"),
    ],
)
def test_a_button_moves_an_article_and_leads_back_to_it(act, title, order, admin_client, draft):
    answer = press(admin_client, draft, act, title=title)

    assert titles(draft) == order
    assert answer["Location"] == f"{url(draft)}#item-{pk(title)}"
    assert f"Now item {order.index(title) + 1} of 3." in said(admin_client, answer)


def test_dropped_and_moved_articles_stand_beside_and_come_back(admin_client, draft):
    press(admin_client, draft, "drop", title="A")
    answer = press(admin_client, draft, "next", title="B", version=1)
    page = said(admin_client, answer)

    assert "Left out: 2" in page
    assert "Dropped for good by admin" in page
    assert "Moved to the next edition by admin" in page
    press(admin_client, draft, "take_in", title="A", version=2)
    assert titles(draft) == "CA"


def test_texts_blurb_grouping_and_picture_are_saved(admin_client, draft, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    file = SimpleUploadedFile("tug.png", make_picture("PNG"))
    picture = {"picture": file, "alt": "A tug", "credit": "IRIA"}

    press(admin_client, draft, "texts", subject="Ships", introduction="One.\n\nTwo.")
    press(admin_client, draft, "blurb", title="A", blurb="In other words.", version=1)
    press(admin_client, draft, "group", version=2)
    answer = press(admin_client, draft, "picture", version=3, **picture)

    page = said(admin_client, answer)
    assert 'value="Ships"' in page
    assert "Blurb: In other words." in page
    assert "Group by topic" in page
    assert 'alt="A tug"' in page
    press(admin_client, draft, "remove_picture", version=4)
    draft.refresh_from_db()
    assert not draft.picture


def test_a_suggestion_is_taken_together_with_what_was_typed(admin_client, draft):
    press(admin_client, draft, "texts", subject="old", note="Bye.", take_subject="A, and 2 more")

    draft.refresh_from_db()
    assert (draft.subject, draft.note) == ("A, and 2 more", "Bye.")


@pytest.mark.parametrize(
    ("act", "values", "sentence"),
    [
        ("texts", {"subject": "x" * 201}, "at most 200 characters"),
        ("texts", {"subject": "a\u202eb"}, "turns the direction of text"),
        ("texts", {"introduction": "a\x01b", "note": "Mine."}, "control character"),
        ("blurb", {"blurb": "x" * 601}, "at most 600 characters"),
        ("picture", {"alt": "A tug", "credit": "IRIA"}, "Choose a file."),
    ],
)
def test_what_no_mail_can_say_is_shown_again_with_what_is_wrong(
    act, values, sentence, admin_client, draft
):
    title = "A" if act == "blurb" else ""

    answer = press(admin_client, draft, act, title=title, **values)

    page = answer.content.decode()
    assert answer.status_code == 422
    assert sentence in page
    assert all(value in page for value in values.values() if value.isascii() and len(value) < 9)
    draft.refresh_from_db()
    assert draft.version == 0


@pytest.mark.parametrize(
    ("content", "missing", "sentence"),
    [
        (b"<svg onload='x'></svg>", {}, "SVG drawings can carry programs"),
        (make_picture("PNG"), {"alt": ""}, "Say what the picture shows"),
        (make_picture("PNG"), {"credit": ""}, "Say whose the picture is."),
    ],
)
def test_a_picture_is_one_and_has_its_words(content, missing, sentence, admin_client, draft):
    values = {"alt": "A tug", "credit": "IRIA", **missing}
    file = SimpleUploadedFile("tug.png", content)

    answer = press(admin_client, draft, "picture", picture=file, **values)

    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    draft.refresh_from_db()
    assert not draft.picture


def test_composing_anew_asks_with_the_list_and_acts_once(admin_client, draft):
    factories.make_article("Later news", topics=[factories.make_topic("Security")])
    asked = admin_client.get(url(draft, "compose_anew")).content.decode()
    version = re.search(r'name="version" value="(\d+)"', asked)[1]

    first = admin_client.post(url(draft, "compose_anew"), {"version": version})
    page = said(admin_client, first)
    second = admin_client.post(url(draft, "compose_anew"), {"version": version})

    assert "It would carry 4 articles" in asked
    assert "It carries 4 articles now." in page
    assert second.status_code == 409
    assert titles(draft) == "Later newsABC"
