"""Which articles an edition carries: what is new, late or left out, and composing anew."""

from datetime import timedelta

import pytest
from django.utils import timezone

from mailer import composing, composing_order, composing_texts, editions, opening
from mailer.models import Edition
from subscribers.models import Approval, Cadence, Newsletter
from tests import factories
from tests.mailer.editions import open_now

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def make_newsletter(**fields) -> Newsletter:
    """One whose drafts wait for a person, and that began a year ago."""
    newsletter = factories.make_newsletter(**{"approval": Approval.PERSON, **fields})
    newsletter.created_at = timezone.now() - 365 * DAY
    newsletter.save()
    return newsletter


def draft_in(newsletter: Newsletter, days: int) -> Edition:
    edition = opening.open_edition(newsletter, slot=timezone.now() + days * DAY)
    assert edition is not None
    return edition


def titles(edition: Edition) -> list[str]:
    return list(edition.items.order_by("bit").values_list("article__title", flat=True))


def leave_out(edition: Edition, article, by, *, for_good: bool) -> None:
    edition.refresh_from_db()
    composing_order.drop(
        edition, version=edition.version, by=by, article=article.pk, for_good=for_good
    )


def test_an_article_that_no_edition_carried_is_in_however_late_it_came():
    newsletter = make_newsletter(look_back_days=2)
    factories.make_article("today")
    open_now(newsletter)
    factories.make_article("late", published_at=timezone.now() - 40 * DAY)
    factories.make_article("before it began", published_at=timezone.now() - 400 * DAY)

    assert titles(draft_in(newsletter, 1)) == ["late", "today"]


def test_after_the_window_an_article_that_was_carried_is_in_no_more():
    newsletter = make_newsletter(look_back_days=2)
    factories.make_article("carried")
    open_now(newsletter)
    factories.make_article("new", published_at=timezone.now() - 30 * DAY)

    assert titles(draft_in(newsletter, 5)) == ["new"]


def test_what_found_no_place_is_in_the_next_edition():
    newsletter = make_newsletter(max_articles=1, look_back_days=1)
    now = timezone.now()
    factories.make_article("first", published_at=now - timedelta(hours=2))
    factories.make_article("second", published_at=now - timedelta(hours=3))

    first, second = open_now(newsletter), draft_in(newsletter, 30)

    assert (titles(first), titles(second)) == (["first"], ["second"])


def test_one_that_goes_out_with_each_article_collects_nothing_old():
    newsletter = make_newsletter(cadence=Cadence.AT_ONCE, wall_time=None, look_back_days=2)
    factories.make_article("old", published_at=timezone.now() - 40 * DAY)
    factories.make_article("new")

    fresh = composing.fresh_articles(newsletter, slot=timezone.now())

    assert [article.title for article in fresh] == ["new"]


def test_a_dropped_article_stays_dropped(admin_user):
    newsletter = make_newsletter()
    article = factories.make_article("dropped")
    factories.make_article("kept")
    first = draft_in(newsletter, 1)

    leave_out(first, article, admin_user, for_good=True)
    composing.compose(first)

    assert titles(first) == titles(draft_in(newsletter, 2)) == ["kept"]
    assert titles(draft_in(make_newsletter(), 1)) == ["kept", "dropped"]


def test_a_cancelled_edition_drops_nothing(admin_user):
    newsletter = make_newsletter()
    article = factories.make_article()
    first = draft_in(newsletter, 1)
    leave_out(first, article, admin_user, for_good=True)
    editions.cancel(first, reason="wrong")

    assert titles(draft_in(newsletter, 2)) == [article.title]


def test_a_moved_article_waits_for_the_next_edition(admin_user):
    newsletter = make_newsletter()
    article = factories.make_article("moved")
    factories.make_article("kept")
    edition = draft_in(newsletter, 2)

    leave_out(edition, article, admin_user, for_good=False)
    composing.compose(edition)

    assert titles(edition) == titles(draft_in(newsletter, 1)) == ["kept"]
    assert titles(draft_in(newsletter, 3)) == ["moved", "kept"]


def test_composing_anew_keeps_blurbs_and_what_was_left_out(admin_user):
    newsletter = make_newsletter()
    kept, left = factories.make_article("kept"), factories.make_article("left")
    edition = draft_in(newsletter, 1)
    composing_texts.rewrite_blurb(
        edition, version=0, by=admin_user, article=kept.pk, blurb="In other words."
    )
    leave_out(edition, left, admin_user, for_good=False)
    factories.make_article("later news")

    number = composing.compose(edition, version=edition.version, by=admin_user)

    assert number == 2
    assert titles(edition) == ["later news", "kept"]
    assert edition.items.get(article=kept).blurb == "In other words."
    assert edition.left_out.get().article == left
    assert (edition.version, edition.written_by) == (3, admin_user)


def test_what_a_machine_composes_anew_is_nobodys_work():
    newsletter = make_newsletter()
    factories.make_article()
    edition = draft_in(newsletter, 1)
    factories.make_article()

    assert composing.compose(edition) == 2

    edition.refresh_from_db()
    assert (edition.version, edition.written_by) == (0, None)


def test_an_edition_that_has_left_draft_is_not_composed_anew():
    newsletter = make_newsletter(approval=Approval.AUTOMATIC)
    factories.make_article("only")
    edition = open_now(newsletter)
    editions.cancel(edition, reason="wrong")
    factories.make_article()

    assert composing.compose(edition) == 1


def test_what_was_old_when_it_came_to_us_is_a_back_catalogue():
    newsletter = make_newsletter(look_back_days=8)
    for days in (7, 9):
        factories.make_article(
            f"{days} days old",
            published_at=timezone.now() - days * DAY,
            arrived_at=timezone.now(),
        )

    assert titles(draft_in(newsletter, 1)) == ["7 days old"]


def test_what_was_dropped_for_good_leaves_the_other_drafts_before_they_freeze(admin_user):
    newsletter = make_newsletter()
    article, other = factories.make_article("dropped"), factories.make_article("kept")
    tomorrow = draft_in(newsletter, 1)
    today = opening.open_edition(newsletter, slot=timezone.now() - timedelta(minutes=1))
    assert today is not None
    assert set(titles(today)) == {"dropped", "kept"}
    leave_out(tomorrow, article, admin_user, for_good=True)
    Edition.objects.filter(pk=today.pk).update(state="approved", approved_at=timezone.now())

    assert not editions.begin_freezing(today)  # a person must look at what is left

    today.refresh_from_db()
    assert (today.state, titles(today)) == ("draft", [other.title])


def test_what_an_edition_had_for_nobody_is_not_new_for_ever():
    topic = factories.make_topic("Nobody follows it")
    newsletter = factories.make_newsletter(topics=[topic])
    factories.make_article("read by nobody", topics=[topic])
    edition = open_now(newsletter)
    Edition.objects.filter(pk=edition.pk).update(
        state="skipped", frozen_at=timezone.now(), reason="Nobody to send to."
    )

    later = timezone.now() + DAY
    assert composing.fresh_articles(newsletter, slot=later) == []
    Edition.objects.filter(pk=edition.pk).update(frozen_at=None)
    assert len(composing.fresh_articles(newsletter, slot=later)) == 1
