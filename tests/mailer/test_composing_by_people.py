"""A person orders and words a draft: each change is of the version that was read, or is none."""

import threading

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from iria_news.articles.models import Article, ArticleState
from mailer import composing_order, composing_texts, editions
from mailer.composing_changes import ChangedMeanwhile, Full, NoSuchItem, NotADraft
from mailer.composing_texts import PictureWords, Texts
from mailer.models import Edition, LeftOut
from subscribers.models import Approval
from tests import factories
from tests.articles.test_pictures import make_picture
from tests.mailer.editions import open_now

pytestmark = pytest.mark.django_db


@pytest.fixture
def editor() -> User:
    return User.objects.create(username="mara", first_name="Mara", last_name="Ellison")


@pytest.fixture
def draft() -> Edition:
    """A draft of three articles: A, B and C."""
    for title in ("C", "B", "A"):
        factories.make_article(title)
    return open_now(factories.make_newsletter(approval=Approval.PERSON, max_articles=3))


def pk(title: str) -> int:
    return Article.objects.get(title=title).pk


def titles(edition: Edition) -> str:
    return "".join(edition.items.order_by("bit").values_list("article__title", flat=True))


def move(edition: Edition, by: User, title: str, to_rank: int):
    return composing_order.move(
        edition, version=edition.version, by=by, article=pk(title), to_rank=to_rank
    )


def drop(edition: Edition, by: User, title: str, *, for_good: bool = False) -> None:
    composing_order.drop(
        edition, version=edition.version, by=by, article=pk(title), for_good=for_good
    )


def take_in(edition: Edition, by: User, title: str):
    return composing_order.take_in(edition, version=edition.version, by=by, article=pk(title))


# --- order ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("title", "rank", "order"),
    [("A", 1, "BAC"), ("A", 2, "BCA"), ("C", 0, "CAB"), ("B", 99, "ACB"), ("B", 1, "ABC")],
)
def test_an_article_goes_where_it_is_put(draft, editor, title, rank, order):
    place = move(draft, editor, title, rank)

    assert titles(draft) == order
    assert (place.number, place.of) == (order.index(title) + 1, 3)
    assert list(draft.items.values_list("bit", flat=True)) == [1, 2, 4]


def test_the_lead_is_first(draft, editor):
    composing_order.make_lead(draft, version=0, by=editor, article=pk("C"))

    assert titles(draft) == "CAB"


def test_sixty_two_articles_are_ordered_in_as_many_statements_as_three(draft, editor):
    for number in range(60):
        factories.make_article(f"More {number}")
    many = open_now(factories.make_newsletter(approval=Approval.PERSON, max_articles=62))
    counts = []
    for edition in (draft, many):
        with CaptureQueriesContext(connection) as statements:
            move(edition, editor, "B", 0)
        counts.append(len(statements))

    assert many.items.count() == 62
    assert counts[0] == counts[1]


def test_an_article_that_is_not_in_it_cannot_be_moved(draft, editor):
    factories.make_article("Z")

    with pytest.raises(NoSuchItem):
        move(draft, editor, "Z", 0)

    draft.refresh_from_db()
    assert draft.version == 0


# --- out and in -----------------------------------------------------------------------------------
def test_who_leaves_an_article_out_and_for_how_long_is_kept(draft, editor):
    drop(draft, editor, "B", for_good=True)
    drop(draft, editor, "C")

    rows = LeftOut.objects.order_by("article__title").values_list("article__title", "is_dropped")
    assert list(rows) == [("B", True), ("C", False)]
    assert {row.by for row in LeftOut.objects.all()} == {editor}
    assert titles(draft) == "A"


def test_what_was_left_out_can_be_taken_back(draft, editor):
    drop(draft, editor, "A", for_good=True)

    place = take_in(draft, editor, "A")

    assert titles(draft) == "BCA"
    assert (place.number, place.of) == (3, 3)
    assert not LeftOut.objects.exists()


def test_what_found_no_place_can_be_taken_in_once_there_is_one(draft, editor):
    factories.make_article("D")
    assert [one.title for one in composing_order.found_no_place(draft)] == ["D"]

    with pytest.raises(Full, match="at most 3 articles"):
        take_in(draft, editor, "D")
    draft.refresh_from_db()
    drop(draft, editor, "B")
    take_in(draft, editor, "D")

    assert titles(draft) == "ACD"
    assert composing_order.found_no_place(draft) == []


def test_what_may_not_be_carried_cannot_be_taken_in(draft, editor):
    drop(draft, editor, "A")
    drop(draft, editor, "B")
    Article.objects.filter(title="A").update(state=ArticleState.WITHDRAWN)
    other = open_now(draft.newsletter)
    drop(other, editor, "B", for_good=True)

    for title in "ABC":  # withdrawn, dropped by another edition, in it already
        draft.refresh_from_db()
        with pytest.raises(NoSuchItem):
            take_in(draft, editor, title)
    assert titles(draft) == "C"


# --- words ----------------------------------------------------------------------------------------
def test_texts_are_kept_as_they_are_said(draft, editor):
    texts = Texts(" Ships,\n radar ", "What\tis in it.", "One.\r\n\r\nTwo.\r\n", " Bye. ")

    composing_texts.set_texts(draft, version=0, by=editor, texts=texts)

    draft.refresh_from_db()
    assert (draft.subject, draft.preheader) == ("Ships, radar", "What is in it.")
    assert (draft.introduction, draft.note) == ("One.\n\nTwo.", "Bye.")


def test_a_picture_comes_with_its_size_and_words_and_goes_with_them(
    draft, editor, settings, tmp_path
):
    settings.MEDIA_ROOT = tmp_path
    file = ContentFile(make_picture(size=(60, 40)), "tug.jpg")
    words = PictureWords("A tug", "At work.", "IRIA")

    composing_texts.set_picture(draft, version=0, by=editor, words=words, picture=file)

    draft.refresh_from_db()
    assert draft.picture.name.startswith("editions/tug")
    assert (draft.picture_width, draft.picture_height, draft.picture_alt) == (60, 40, "A tug")
    again = PictureWords("A tug boat", "", "IRIA")
    composing_texts.set_picture(draft, version=1, by=editor, words=again)
    draft.refresh_from_db()
    assert (draft.picture_width, draft.picture_alt) == (60, "A tug boat")
    composing_texts.remove_picture(draft, version=2, by=editor)
    draft.refresh_from_db()
    assert (draft.picture, draft.picture_width, draft.picture_credit) == ("", None, "")


def change_blurb(draft, editor):
    composing_texts.rewrite_blurb(
        draft, version=draft.version, by=editor, article=pk("A"), blurb="In other words."
    )


def change_texts(draft, editor):
    texts = Texts("Subject", "", "Introduction", "")
    composing_texts.set_texts(draft, version=draft.version, by=editor, texts=texts)


def change_grouping(draft, editor):
    composing_texts.set_by_topic(draft, version=draft.version, by=editor, by_topic=False)


def change_picture(draft, editor):
    file = ContentFile(make_picture(), "x.jpg")
    composing_texts.set_picture(
        draft, version=draft.version, by=editor, words=PictureWords("A", "", "I"), picture=file
    )


CHANGES = {
    "move": lambda draft, editor: move(draft, editor, "B", 0),
    "drop": lambda draft, editor: drop(draft, editor, "B"),
    "blurb": change_blurb,
    "texts": change_texts,
    "picture": change_picture,
    "grouping": change_grouping,
}


# --- versions -------------------------------------------------------------------------------------
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_each_change_is_a_version_of_its_author_with_another_hash(
    change, draft, editor, settings, tmp_path
):
    settings.MEDIA_ROOT = tmp_path
    Edition.objects.filter(pk=draft.pk).update(asked_at=timezone.now())
    before = draft.content_hash

    change(draft, editor)

    draft.refresh_from_db()
    assert (draft.version, draft.written_by, draft.asked_at) == (1, editor, None)
    assert draft.content_hash != before
    assert LogEntry.objects.get().user == editor


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_of_an_earlier_version_changes_nothing_and_says_who_was_faster(
    change, draft, editor, admin_user, settings, tmp_path
):
    settings.MEDIA_ROOT = tmp_path
    stale = Edition.objects.get(pk=draft.pk)
    move(draft, editor, "C", 0)
    before = Edition.objects.values().get(pk=draft.pk)

    with pytest.raises(ChangedMeanwhile) as raised:
        change(stale, admin_user)

    assert (raised.value.by, raised.value.what) == ("Mara Ellison", "Changed the order.")
    assert "Mara Ellison, 0 s ago: Changed the order." in str(raised.value)
    assert Edition.objects.values().get(pk=draft.pk) == before
    assert titles(draft) == "CAB"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_has_left_draft_is_not_changed(change, draft, editor, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    editions.cancel(draft, reason="wrong")

    with pytest.raises(NotADraft, match="the edition is cancelled"):
        change(draft, editor)

    assert titles(draft) == "ABC"
    assert not LogEntry.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_editors_at_the_same_moment_one_is_told(draft, editor):
    start, outcomes = threading.Barrier(2), []

    def act(title: str) -> None:
        mine = Edition.objects.get(pk=draft.pk)
        start.wait()
        try:
            composing_order.move(mine, version=0, by=editor, article=pk(title), to_rank=0)
            outcomes.append(title)
        except ChangedMeanwhile:
            outcomes.append("")
        finally:
            connection.close()

    threads = [threading.Thread(target=act, args=[title]) for title in "BC"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    [winner] = filter(None, outcomes)
    assert titles(draft) == {"B": "BAC", "C": "CAB"}[winner]
    assert Edition.objects.get(pk=draft.pk).version == 1
