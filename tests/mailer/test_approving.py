"""Who may let an edition go, what an approval is bound to, and how it is taken back."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.utils import timezone

from iria_news.articles.models import ArticleState, Correction
from mailer import approving, cohorts, editions, opening, production, urgency, urgent_news
from mailer.models import Delivery, Edition, EditionCorrection, EditionState
from subscribers.models import Approval, Cadence, Look, Newsletter
from tests import factories
from tests.mailer import editions as ways

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def person(username: str, *, first_name: str = "", may_approve: bool = True, **fields) -> User:
    user = User.objects.create(
        username=username, first_name=first_name, is_staff=True, email=f"{username}@x.example"
    )
    if may_approve:
        user.user_permissions.add(Permission.objects.get(codename="approve_edition"))
    return user


def draft(*, readers: int = 2, articles: int = 1, **fields) -> Edition:
    """A draft of a newsletter that wants a person."""
    newsletter = ways.daily(readers, articles, **{"approval": Approval.PERSON, **fields})
    return opening.open_edition(newsletter, slot=timezone.now(), hold=True)


def approve(edition: Edition, by: User | None) -> bool:
    done = approving.approve(edition, content_hash=approving.content_hash(edition), by=by)
    edition.refresh_from_db()
    return done


def written_by(edition: Edition, user: User) -> None:
    Edition.objects.filter(pk=edition.pk).update(written_by=user)
    edition.refresh_from_db()


# --- what the hash covers -------------------------------------------------------------------------
CHANGES = {
    "subject": lambda e: Edition.objects.filter(pk=e.pk).update(subject="Another"),
    "preheader": lambda e: Edition.objects.filter(pk=e.pk).update(preheader="Another"),
    "introduction": lambda e: Edition.objects.filter(pk=e.pk).update(introduction="Hello."),
    "note": lambda e: Edition.objects.filter(pk=e.pk).update(note="Goodbye."),
    "grouping": lambda e: Edition.objects.filter(pk=e.pk).update(by_topic=False),
    "blurb": lambda e: e.items.update(blurb="In other words."),
    "title": lambda e: e.articles.update(title="Another"),
    "standfirst": lambda e: e.articles.update(standfirst="Another"),
    "byline": lambda e: e.articles.update(byline="Another desk"),
    "an article less": lambda e: e.items.order_by("-bit")[:1].get().delete(),
    "topic": lambda e: e.articles.first().topics.first().__class__.objects.update(name="Other"),
    "name of the newsletter": lambda e: Newsletter.objects.update(name="Another"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_any_change_to_what_readers_see_is_another_content(what):
    edition = draft(articles=2)
    before = approving.content_hash(edition)

    CHANGES[what](edition)

    assert approving.content_hash(edition) != before


def test_the_opening_paragraph_of_an_alert_is_part_of_its_content():
    edition = draft(articles=2, look=Look.ALERT)
    before = approving.content_hash(edition)

    edition.articles.filter(pk=edition.articles.first().pk).update(body="<p>It was otherwise.</p>")

    assert approving.content_hash(edition) != before


def test_a_correction_that_it_carries_is_part_of_its_content():
    edition = draft()
    before = approving.content_hash(edition)
    correction = Correction.objects.create(article=edition.articles.get(), note="It was May.")
    EditionCorrection.objects.create(edition=edition, correction=correction, bit=1)

    with_it = approving.content_hash(edition)
    Correction.objects.update(note="It was June.")

    assert len({before, with_it, approving.content_hash(edition)}) == 3


def test_what_readers_do_not_see_is_no_change():
    edition = draft()
    before = approving.content_hash(edition)

    Edition.objects.filter(pk=edition.pk).update(version=7, is_urgent=True, due_at=timezone.now())
    edition.articles.update(modified_at=timezone.now())

    assert approving.content_hash(edition) == before


# --- by whom --------------------------------------------------------------------------------------
def test_nobody_approves_what_they_wrote_and_is_told_who_can():
    mara, lin = person("mara"), person("lin", first_name="Lin")
    edition = draft()
    written_by(edition, mara)

    with pytest.raises(approving.Refused, match=r"You wrote this edition\. Lin can approve it\."):
        approve(edition, mara)

    assert approve(edition, lin)
    assert (edition.state, edition.approved_by) == (EditionState.APPROVED, lin)


def test_a_draft_that_nobody_touched_may_be_approved_by_anyone_with_the_right():
    assert approve(draft(), person("mara"))


def test_without_a_second_person_the_way_on_is_named():
    mara = person("mara")
    person("guest", may_approve=False)
    edition = draft()
    written_by(edition, mara)

    with pytest.raises(approving.Refused, match="Nobody else has the right"):
        approve(edition, mara)


def test_a_newsletter_that_wants_a_person_is_not_approved_by_nobody():
    with pytest.raises(approving.Refused, match="approved by a person"):
        approve(draft(), None)


def test_who_asks_is_the_author_unless_somebody_else_wrote_it():
    mara, lin = person("mara"), person("lin")
    untouched, written = draft(), draft()
    written_by(written, lin)

    assert approving.ask(untouched, by=mara)
    assert approving.ask(written, by=mara)
    assert not approving.ask(written, by=mara)  # it waits already

    untouched.refresh_from_db()
    written.refresh_from_db()
    assert (untouched.written_by, written.written_by) == (mara, lin)
    assert set(Edition.objects.waiting_for_approval()) == {untouched, written}


def test_sent_back_it_says_why_and_waits_for_its_author():
    mara, lin = person("mara"), person("lin", first_name="Lin")
    edition = draft()
    approving.ask(edition, by=mara)

    assert approving.send_back(edition, by=lin, note="The lead is old.")

    edition.refresh_from_db()
    assert edition.sent_back == "The lead is old. (Lin)"
    assert not Edition.objects.waiting_for_approval()
    approving.ask(edition, by=mara)
    edition.refresh_from_db()
    assert edition.sent_back == ""


# --- when it leaves, and how that is undone -------------------------------------------------------
def test_a_person_has_the_grace_of_the_newsletter_to_change_their_mind():
    edition = draft(grace_minutes=10)
    expires_at = edition.expires_at

    approve(edition, person("mara"))

    minutes = (edition.due_at - timezone.now()).total_seconds() / 60
    assert 9.5 < minutes <= 10
    assert edition.expires_at > expires_at


def test_an_edition_of_tomorrow_leaves_tomorrow():
    edition = draft()
    tomorrow = timezone.now() + timedelta(days=1)
    Edition.objects.filter(pk=edition.pk).update(due_at=tomorrow)

    approve(edition, person("mara"))

    assert edition.due_at == tomorrow


def test_an_automatic_newsletter_leaves_at_once():
    edition = draft(approval=Approval.AUTOMATIC)
    due_at = edition.due_at

    assert approve(edition, None)

    assert edition.due_at == due_at


def test_an_undone_approval_is_void_and_the_edition_waits_for_a_person():
    mara = person("mara")
    edition = draft(approval=Approval.AUTOMATIC)
    approve(edition, mara)

    assert approving.undo(edition, by=mara)
    assert not approving.undo(edition, by=mara)

    edition.refresh_from_db()
    assert (edition.state, edition.approved_by) == (EditionState.DRAFT, None)
    assert edition.reason == "The approval was taken back by mara."
    assert not approving.needs_nobody(edition)
    assert approve(edition, mara)
    assert edition.reason == ""


def test_once_the_audience_is_being_frozen_it_is_too_late_to_undo():
    mara = person("mara")
    edition = draft()
    approve(edition, mara)
    editions.begin_freezing(edition)

    assert not approving.undo(edition, by=mara)

    edition.refresh_from_db()
    assert edition.state == EditionState.FREEZING


# --- urgent ---------------------------------------------------------------------------------------
def test_an_urgent_edition_is_released_by_the_second_of_two_people():
    mara, lin = person("mara"), person("lin", first_name="Lin")
    edition = draft()
    urgency.make_urgent(edition)

    assert approve(edition, mara)
    assert edition.state == EditionState.DRAFT
    with pytest.raises(approving.Refused, match=r"a second person must\. Lin can approve it"):
        approve(edition, mara)
    assert approve(edition, lin)

    assert (edition.state, edition.priority) == (EditionState.APPROVED, urgency.PRIORITY)
    assert [one.by for one in edition.approvals.order_by("pk")] == [mara, lin]


def test_a_first_approval_is_void_when_the_content_changes():
    mara, lin = person("mara"), person("lin")
    edition = draft()
    urgency.make_urgent(edition)
    approve(edition, mara)
    edition.articles.update(title="Another title")

    approve(edition, lin)

    assert edition.state == EditionState.DRAFT
    assert [one.by for one in approving.first_approvals(edition)] == [lin]


def test_an_automatic_newsletter_needs_two_people_for_an_urgent_edition():
    edition = draft(approval=Approval.AUTOMATIC)
    urgency.make_urgent(edition)

    with pytest.raises(approving.Refused):
        approve(edition, None)


def test_there_are_so_many_urgent_editions_a_week():
    mara, lin = person("mara"), person("lin")
    first = draft(urgent_per_week=1)
    factories.make_article(topics=[factories.make_topic("Security")])
    second = opening.open_edition(first.newsletter, slot=timezone.now(), hold=True)
    urgency.make_urgent(first)
    urgency.make_urgent(second)
    approve(first, mara)
    approve(first, lin)

    with pytest.raises(approving.Refused, match="1 urgent editions in the last seven days"):
        approve(second, mara)

    week_ago = timezone.now() - timedelta(days=7, minutes=1)
    Edition.objects.filter(pk=first.pk).update(approved_at=week_ago)
    assert approve(second, mara)


def test_a_newsletter_may_have_no_urgent_editions_at_all():
    with pytest.raises(urgency.TooMany, match="sends no urgent editions"):
        urgency.make_urgent(draft(urgent_per_week=0))


def test_made_ordinary_again_it_needs_one_person():
    mara = person("mara")
    edition = draft(cadence=Cadence.AT_ONCE, wall_time=None)
    urgency.make_urgent(edition)
    approve(edition, mara)

    assert urgency.make_ordinary(edition)

    edition.refresh_from_db()
    assert (edition.is_urgent, edition.priority) == (False, urgency.AT_ONCE)
    assert not edition.approvals.exists()
    assert approve(edition, mara)
    assert edition.state == EditionState.APPROVED


def test_what_an_urgent_edition_carried_leaves_the_next_digest_of_those_who_got_it():
    newsletter = ways.daily(2, articles=2, approval=Approval.PERSON)
    digest_too = factories.make_newsletter("Digest")
    subscriber = newsletter.subscriptions.first().subscriber
    topic = factories.make_topic("Security")
    factories.make_subscription(digest_too, subscriber=subscriber, topics=[topic])
    factories.make_subscription(digest_too, topics=[topic])
    article = factories.make_article("Urgent", topics=[topic])
    urgent = urgent_news.open_for(article, newsletter)
    approve(urgent, person("mara"))
    approve(urgent, person("lin"))
    assert editions.begin_freezing(urgent)
    cohorts.freeze(urgent.pk)
    assert Delivery.objects.filter(edition=urgent).count() == 2

    digest = ways.frozen(digest_too)

    carried = digest.items.get(article=article).bit
    got = {d.subscriber_id: d.cohort.list for d in Delivery.objects.filter(edition=digest)}
    assert [pk for pk, articles in got.items() if not articles & carried] == [subscriber.pk]
    assert len(got) == 2


def test_an_article_that_an_edition_carries_already_is_not_sent_twice():
    edition = draft()

    with pytest.raises(opening.NothingToSend, match="carries “Article"):
        urgent_news.open_for(edition.articles.get(), edition.newsletter)


# --- checks ---------------------------------------------------------------------------------------
def test_what_the_checks_stop_is_approved_by_nobody():
    edition = draft()
    edition.articles.update(state=ArticleState.WITHDRAWN)

    with pytest.raises(approving.Refused, match="is not published, so its link leads nowhere"):
        approve(edition, person("mara"))


def test_an_automatic_newsletter_is_held_as_a_draft_with_the_reason():
    edition = draft(approval=Approval.AUTOMATIC)
    Edition.objects.filter(pk=edition.pk).update(subject="News for {{ name }}")

    assert not approve(edition, None)

    assert edition.state == EditionState.DRAFT
    assert "“{{ name }}” would be sent as it stands" in edition.reason
    assert edition in Edition.objects.waiting_for_approval()


def test_an_automatic_newsletter_without_readers_is_left_to_the_freeze():
    edition = draft(readers=0, approval=Approval.AUTOMATIC)

    assert approve(edition, None)


# --- between the freeze and the first mail --------------------------------------------------------
def frozen(approval: str) -> Edition:
    edition = draft(approval=approval)
    approve(edition, person("mara") if approval == Approval.PERSON else None)
    assert editions.begin_freezing(edition)
    assert cohorts.freeze(edition.pk)
    return edition


def test_an_article_that_changes_before_it_is_rendered_pauses_what_a_person_approved():
    edition = frozen(Approval.PERSON)
    edition.articles.update(title="Changed in between")
    production.render_waiting()

    assert production.release_rendered() == 0

    edition.refresh_from_db()
    assert (edition.state, edition.reason) == (EditionState.PAUSED, editions.CHANGED)
    read = approving.content_hash(edition)
    assert editions.approve_again(edition, content_hash=read, by=person("lin"))
    assert production.render_waiting() == 1
    assert production.release_rendered() == 1
    edition.refresh_from_db()
    assert edition.state == EditionState.READY
    assert b"Changed in between" in bytes(edition.cohorts.get().message)


def test_who_wrote_it_does_not_approve_the_changed_content_either():
    edition = frozen(Approval.PERSON)
    author = person("author")
    written_by(edition, author)
    editions.pause(edition, reason=editions.CHANGED)

    with pytest.raises(approving.Refused, match="You wrote this edition"):
        editions.approve_again(edition, content_hash=approving.content_hash(edition), by=author)


def test_an_automatic_newsletter_takes_the_article_as_it_is_now():
    edition = frozen(Approval.AUTOMATIC)
    edition.articles.update(title="Changed in between")
    production.render_waiting()

    assert production.release_rendered() == 1

    edition.refresh_from_db()
    assert edition.content_hash == approving.content_hash(edition)


def test_what_has_begun_to_leave_goes_on_although_an_article_changes():
    edition = frozen(Approval.PERSON)
    production.render_waiting()
    production.release_rendered()
    Edition.objects.filter(pk=edition.pk).update(started_at=timezone.now())
    edition.articles.update(title="Changed on the way")
    editions.pause(edition, reason="lunch")
    editions.resume(edition)

    assert production.release_rendered() == 1


@pytest.mark.parametrize("number", [1, 30])
def test_the_hash_takes_the_same_statements_for_any_number_of_articles(
    number, django_assert_max_num_queries
):
    edition = draft(articles=number)

    with django_assert_max_num_queries(6):
        approving.content_hash(edition)


# --- from the command line ------------------------------------------------------------------------
def test_the_command_names_who_approves():
    person("lin")
    edition = draft()

    with pytest.raises(CommandError, match="Name who approves it with --by"):
        call_command("send_edition", str(edition.pk))
    with pytest.raises(CommandError, match="nobody who may approve"):
        call_command("send_edition", str(edition.pk), "--by", "kim")
    call_command("send_edition", str(edition.pk), "--by", "lin")

    edition.refresh_from_db()
    assert edition.approved_by.username == "lin"


def test_what_the_checks_stop_is_not_approved_again_either():
    edition = frozen(Approval.PERSON)
    editions.pause(edition, reason=editions.CHANGED)
    Edition.objects.filter(pk=edition.pk).update(introduction="Dear {{ name }},")
    edition.refresh_from_db()

    with pytest.raises(approving.Refused, match="would be sent as it stands"):
        editions.approve_again(
            edition, content_hash=approving.content_hash(edition), by=person("lin")
        )
