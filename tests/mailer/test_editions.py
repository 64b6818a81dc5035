from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from iria_news.articles.models import ArticleState
from mailer import approving, composing, editions, opening
from mailer.models import Edition, EditionState
from subscribers.models import Approval, Cadence
from tests import factories
from tests.mailer.editions import open_now

pytestmark = pytest.mark.django_db


def titles(edition: Edition) -> list[str]:
    return [item.article.title for item in edition.items.select_related("article")]


def test_a_due_slot_opens_one_edition_however_often_the_tick_looks():
    factories.make_article()
    at = timezone.now()
    factories.make_newsletter(
        wall_time=(at - timedelta(minutes=2)).time(), created_at=at - timedelta(hours=2)
    )

    opened = [opening.open_due(now=at) for _ in range(3)]

    assert [len(found) for found in opened] == [1, 0, 0]
    assert Edition.objects.get().state == EditionState.APPROVED


def test_a_slot_without_news_is_recorded_as_skipped():
    edition = open_now(factories.make_newsletter())

    assert edition.state == EditionState.SKIPPED
    assert edition.reason == "0 new articles, minimum 1"


def test_an_edition_carries_what_is_new_first_and_leaves_out_drafts_and_other_topics():
    europe, africa = factories.make_topic("Europe"), factories.make_topic("Africa")
    newsletter = factories.make_newsletter(topics=[europe])
    now = timezone.now()
    factories.make_article("old", topics=[europe], published_at=now - timedelta(days=3))
    open_now(newsletter)
    factories.make_article("new", topics=[europe])
    factories.make_article("elsewhere", topics=[africa])
    factories.make_article("draft", topics=[europe], state=ArticleState.DRAFT)
    factories.make_article("ahead", topics=[europe], published_at=now + timedelta(hours=1))
    factories.make_article("stale", topics=[europe], published_at=now - timedelta(days=30))

    assert titles(open_now(newsletter)) == ["new", "old"]


def test_an_alert_goes_out_for_each_new_article_and_never_for_the_back_catalogue():
    factories.make_article("before", published_at=timezone.now() - timedelta(hours=2))
    newsletter = factories.make_newsletter(cadence=Cadence.AT_ONCE, wall_time=None)
    newsletter.created_at = timezone.now() - timedelta(minutes=30)
    newsletter.save()
    same = timezone.now() - timedelta(minutes=1)
    factories.make_article("first", published_at=same)
    factories.make_article("second", published_at=same)

    opened = opening.open_due(now=timezone.now())
    again = opening.open_due(now=timezone.now())

    assert sorted(title for edition in opened for title in titles(edition)) == ["first", "second"]
    assert again == []


def test_two_ticks_at_once_open_one_alert_for_an_article():
    article = factories.make_article()
    newsletter = factories.make_newsletter(cadence=Cadence.AT_ONCE, wall_time=None)

    opened = [
        opening.open_edition(newsletter, slot=article.published_at, article=article)
        for _ in range(2)
    ]

    assert [edition is not None for edition in opened] == [True, False]


def test_a_newsletter_that_cannot_be_opened_does_not_stop_the_others():
    at = timezone.now()
    factories.make_article()
    due = {"wall_time": (at - timedelta(minutes=2)).time(), "created_at": at - timedelta(days=2)}
    factories.make_newsletter("Two\nlines", slug="two", **due)
    good = factories.make_newsletter(**due)

    assert [edition.newsletter for edition in opening.open_due(now=at)] == [good]


def test_an_edition_that_changed_after_it_was_read_is_not_approved(admin_user):
    newsletter = factories.make_newsletter(approval=Approval.PERSON)
    article = factories.make_article()
    factories.make_subscription(newsletter)
    edition = open_now(newsletter)
    read = edition.content_hash
    article.title = "Another title"
    article.save()
    composing.compose(edition)

    with pytest.raises(approving.ContentChanged):
        approving.approve(edition, content_hash=read, by=admin_user)

    edition.refresh_from_db()
    assert edition.state == EditionState.DRAFT
    assert approving.approve(edition, content_hash=edition.content_hash, by=admin_user)
    assert not approving.approve(edition, content_hash=edition.content_hash, by=admin_user)


def test_an_approval_is_void_when_an_article_changes_before_the_audience_is_frozen(admin_user):
    article = factories.make_article()
    edition = open_now(factories.make_newsletter(approval=Approval.PERSON))
    factories.make_subscription(edition.newsletter)
    approving.approve(edition, content_hash=edition.content_hash, by=admin_user)
    article.standfirst = "Rewritten."
    article.save()

    assert not editions.begin_freezing(edition)

    edition.refresh_from_db()
    assert edition.state == EditionState.DRAFT
    assert "Read it again" in edition.reason


def test_an_article_withdrawn_in_time_does_not_go_out():
    topic = factories.make_topic()
    kept = factories.make_article("kept", topics=[topic])
    gone = factories.make_article("gone", topics=[topic])
    edition = open_now(factories.make_newsletter())
    gone.state = ArticleState.WITHDRAWN
    gone.save()

    assert editions.begin_freezing(edition)

    assert titles(edition) == [kept.title]


def test_one_edition_freezes_at_a_time():
    factories.make_article()
    first, second = (open_now(factories.make_newsletter()) for _ in range(2))

    assert editions.begin_freezing(first)
    assert not editions.begin_freezing(second)

    second.refresh_from_db()
    assert second.state == EditionState.APPROVED


def test_pressing_send_now_twice_makes_one_edition(admin_user):
    factories.make_article()
    newsletter = factories.make_newsletter()
    at = timezone.now()

    first = opening.send_now(newsletter, by=admin_user, at=at)

    assert opening.send_now(newsletter, by=admin_user, at=at) == first
    assert first.approved_by == admin_user
    with pytest.raises(opening.NothingToSend, match="under way"):
        opening.send_now(newsletter, by=admin_user)


def test_send_now_without_news_says_so_and_opens_nothing(admin_user):
    newsletter = factories.make_newsletter()

    with pytest.raises(opening.NothingToSend, match="0 new articles"):
        opening.send_now(newsletter, by=admin_user)

    assert not Edition.objects.exists()


def test_pause_resume_and_cancel_say_when_there_is_nothing_to_do():
    factories.make_article()
    edition = open_now(factories.make_newsletter())

    assert not editions.resume(edition)
    assert editions.pause(edition, reason="lunch")
    assert not editions.pause(edition, reason="again")
    assert editions.resume(edition)
    assert editions.cancel(edition, reason="wrong")
    assert not editions.cancel(edition, reason="wrong")
    assert not editions.pause(edition, reason="late")


def test_nothing_leaves_unapproved():
    factories.make_article()
    edition = open_now(factories.make_newsletter(approval=Approval.PERSON))

    with pytest.raises(IntegrityError), transaction.atomic():
        Edition.objects.filter(pk=edition.pk).update(state=EditionState.SENDING)
