"""Who hears that an article was wrong: those who were mailed it before, each of them once."""

from dataclasses import replace
from datetime import timedelta
from itertools import chain

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from iria_news.articles import correcting
from iria_news.articles.models import Article, ArticleState, Correction
from mailer import (
    approving,
    cohorts,
    contents,
    corrections,
    editions,
    ledger,
    messages,
    rendering,
    urgent_corrections,
)
from mailer.models import (
    Delivery,
    DeliveryState,
    Edition,
    EditionKind,
    EditionState,
)
from mailer.notices import Notice
from subscribers.models import Approval, Look, Newsletter, Subscriber
from tests import factories, message_rules
from tests.mailer import samples
from tests.mailer.editions import audience, frozen, open_now

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def corrected(article: Article, note: str = "A pier, not a port.", **fields) -> Correction:
    """A moment from now: SQLite's clock shows milliseconds, and a freeze may end in the same."""
    at = timezone.now() + timedelta(milliseconds=5)
    return Correction.objects.create(**{"article": article, "note": note, "at": at, **fields})


def told(subscriber: Subscriber) -> list[list[str]]:
    """The notes that each delivery of a reader holds, oldest edition first."""
    found = []
    for delivery in Delivery.objects.filter(subscriber=subscriber).order_by("edition_id"):
        rows = corrections.of_edition(delivery.edition)
        mine = [row for row in rows if row.bit & delivery.cohort.corrections]
        found.append([row.correction.note for row in mine])
    return found


def news(topic, title: str = "") -> Article:
    return factories.make_article(title, topics=[topic])


@pytest.fixture
def topic():
    return factories.make_topic("Security")


@pytest.fixture
def newsletter(topic) -> Newsletter:
    return factories.make_newsletter()


@pytest.fixture
def by(db) -> User:
    return User.objects.create(username="mara", is_staff=True, is_superuser=True)


# --- with the next edition ------------------------------------------------------------------------
def test_the_next_edition_tells_exactly_those_who_got_the_earlier_text(newsletter, topic):
    article = news(topic, "Harbours")
    [early] = audience(newsletter, 1, [topic])
    frozen(newsletter)
    [late] = audience(newsletter, 1, [topic])
    corrected(article)
    news(topic)

    edition = frozen(newsletter)

    assert told(early) == [[], ["A pier, not a port."]]
    assert told(late) == [[]]  # gets the article now, as it is by now
    assert edition.cohorts.count() == 2
    assert ledger.read(edition.pk).balanced


def test_a_reader_is_told_once_through_whichever_newsletter_is_first(newsletter, topic):
    weekly = factories.make_newsletter()
    article = news(topic)
    [reader] = audience(newsletter, 1, [topic])
    factories.make_subscription(weekly, subscriber=reader, topics=[topic])
    frozen(newsletter)
    corrected(article)

    for each in (weekly, newsletter, weekly):
        news(topic)
        frozen(each)

    assert told(reader) == [[], ["A pier, not a port."], [], []]


@pytest.mark.parametrize(
    ("state", "again"),
    [
        (DeliveryState.SENT, False),
        (DeliveryState.UNCERTAIN, False),
        (DeliveryState.PENDING, False),
        (DeliveryState.FAILED, True),
        (DeliveryState.SKIPPED, True),
        (DeliveryState.CANCELLED, True),
    ],
)
def test_a_lost_mail_has_told_nobody(newsletter, topic, state, again):
    article = news(topic)
    [reader] = audience(newsletter, 1, [topic])
    frozen(newsletter)
    corrected(article)
    news(topic)
    Delivery.objects.filter(edition=frozen(newsletter)).update(state=state)
    news(topic)

    frozen(newsletter)

    assert told(reader)[2] == (["A pier, not a port."] if again else [])


def test_who_never_got_the_earlier_text_hears_nothing(newsletter, topic):
    article = news(topic)
    audience(newsletter, 1, [topic])
    Delivery.objects.filter(edition=frozen(newsletter)).update(state=DeliveryState.FAILED)
    corrected(article)
    news(topic)

    edition = frozen(newsletter)  # the article comes again, as it is by now

    assert edition.corrections.count() == 1
    assert list(edition.cohorts.values_list("list", "corrections")) == [(0b11, 0)]


def test_nobody_gets_a_mail_only_for_a_correction_and_it_waits_for_them(newsletter, topic):
    asia = factories.make_topic("Asia")
    article = news(topic)
    [reader, _] = audience(newsletter, 1, [topic]) + audience(newsletter, 1, [topic, asia])
    frozen(newsletter)
    corrected(article)
    news(asia)

    second = frozen(newsletter)
    assert second.excluded == {"nothing_new": 1}
    news(topic)
    frozen(newsletter)

    assert told(reader) == [[], ["A pier, not a port."]]


def test_a_withdrawn_article_is_told_of_and_carried_no_more(newsletter, topic):
    article = news(topic, "A claim")
    [reader] = audience(newsletter, 1, [topic])
    frozen(newsletter)
    correcting.withdraw(article, "It cannot\nbe shown.")
    news(topic, "Other news")

    edition = frozen(newsletter)

    assert told(reader)[1] == ["It cannot be shown."]
    assert [item.article.title for item in edition.items.all()] == ["Other news"]
    facts, _ = contents.load(edition.pk, 1, corrections.bits(edition))
    assert [notice.is_withdrawal for notice in facts.corrections] == [True]


def test_what_was_corrected_before_it_was_mailed_or_two_months_ago_is_carried_by_none(
    newsletter, topic
):
    before, long_ago = news(topic), news(topic)
    corrected(before)
    audience(newsletter, 1, [topic])
    Edition.objects.filter(pk=frozen(newsletter).pk).update(frozen_at=timezone.now() - 70 * DAY)
    Correction.objects.update(at=timezone.now() - 71 * DAY)
    corrected(long_ago, at=timezone.now() - 61 * DAY)
    news(topic)

    assert not corrections.of_edition(open_now(newsletter)).exists()


def test_an_edition_carries_at_most_as_many_as_there_are_bits_the_newest(newsletter, topic):
    article = news(topic)
    [reader] = audience(newsletter, 1, [topic])
    frozen(newsletter)
    for number in range(65):
        corrected(article, f"Note {number}", at=timezone.now() + timedelta(seconds=number))
    news(topic)

    edition = frozen(newsletter)

    assert edition.corrections.count() == 62
    assert corrections.bits(edition) == (1 << 62) - 1
    assert told(reader)[1][0] == "Note 64"
    assert told(reader)[1][-1] == "Note 3"


def test_a_draft_learns_of_a_correction_and_its_approval_is_for_what_goes_out(newsletter, topic):
    Newsletter.objects.update(approval=Approval.PERSON)
    newsletter.refresh_from_db()
    article = news(topic)
    audience(newsletter, 1, [topic])
    Edition.objects.filter(pk=frozen_by_hand(newsletter).pk).update(state=EditionState.DONE)
    news(topic)
    draft = open_now(newsletter)
    before = draft.content_hash
    corrected(article)

    assert corrections.take_up_into_drafts() == 1
    assert corrections.take_up_into_drafts() == 0

    draft.refresh_from_db()
    assert draft.content_hash != before
    assert draft.content_hash == approving.content_hash(draft)


def frozen_by_hand(newsletter: Newsletter) -> Edition:
    edition = open_now(newsletter)
    Edition.objects.filter(pk=edition.pk).update(
        state=EditionState.APPROVED, approved_at=timezone.now()
    )
    assert editions.begin_freezing(edition)
    assert cohorts.freeze(edition.pk)
    return edition


def test_a_correction_after_the_approval_voids_it(newsletter, topic):
    Newsletter.objects.update(approval=Approval.PERSON)
    newsletter.refresh_from_db()
    article = news(topic)
    audience(newsletter, 1, [topic])
    frozen_by_hand(newsletter)
    news(topic)
    edition = open_now(newsletter)
    Edition.objects.filter(pk=edition.pk).update(
        state=EditionState.APPROVED, approved_at=timezone.now()
    )
    corrected(article)

    assert not editions.begin_freezing(edition)

    edition.refresh_from_db()
    assert edition.state == EditionState.DRAFT
    assert edition.corrections.count() == 1


def test_the_passing_of_time_changes_no_edition_that_was_read(newsletter, topic):
    article = news(topic)
    audience(newsletter, 1, [topic])
    frozen(newsletter)
    correction = corrected(article)
    news(topic)
    draft = open_now(newsletter)
    Edition.objects.filter(pk=draft.pk).update(state=EditionState.DRAFT)
    assert draft.corrections.count() == 1
    Correction.objects.filter(pk=correction.pk).update(at=timezone.now() + 0 * DAY)
    draft.due_at += 90 * DAY

    assert not corrections.take_up(draft)
    assert draft.corrections.count() == 1


def test_a_page_takes_the_same_statements_for_any_number_of_readers_and_corrections(topic):
    counts = []
    for readers in (2, 30):
        newsletter = factories.make_newsletter()
        articles = [news(topic) for _ in range(3)]
        for _ in range(readers):
            audience(newsletter, 1, [topic])
        frozen(newsletter)
        for article in articles[: readers // 10]:
            corrected(article)
        news(topic)
        edition = open_now(newsletter)
        editions.begin_freezing(edition)
        with CaptureQueriesContext(connection) as captured:
            assert cohorts.freeze(edition.pk)
        counts.append(len(captured))
        Article.objects.update(state=ArticleState.DRAFT)
    assert counts[0] == counts[1]


# --- at once --------------------------------------------------------------------------------------
def test_an_urgent_correction_reaches_exactly_those_who_do_not_know_yet(newsletter, topic, by):
    article = news(topic, "Harbours")
    early = audience(newsletter, 3, [topic])
    frozen(newsletter)
    audience(newsletter, 2, [topic])
    corrected(article)

    [share] = urgent_corrections.shares(article)
    [edition] = urgent_corrections.tell(article, by=by, at=timezone.now())
    assert editions.begin_freezing(edition)
    assert cohorts.freeze(edition.pk)

    edition.refresh_from_db()
    assert share.readers == 3
    assert edition.subject == "Correction: Harbours"
    assert edition.candidates == 3
    assert set(Delivery.objects.filter(edition=edition).values_list("subscriber", flat=True)) == {
        reader.pk for reader in early
    }
    assert list(edition.cohorts.values_list("list", "corrections")) == [(0, 1)]
    assert urgent_corrections.shares(article) == []
    news(topic)
    frozen(newsletter)
    assert [told(reader)[2] for reader in early] == [[], [], []]


def test_readers_of_several_newsletters_are_told_once_and_those_who_left_not_at_all(topic, by):
    daily, weekly, other = (factories.make_newsletter() for _ in range(3))
    article = news(topic)
    both, moved, gone = audience(daily, 3, [topic])
    factories.make_subscription(weekly, subscriber=both, topics=[topic])
    factories.make_subscription(other, subscriber=moved, topics=[topic])
    [weekly_only] = audience(weekly, 1, [topic])
    frozen(daily)
    frozen(weekly)
    for reader in (moved, gone):
        reader.subscriptions.filter(newsletter=daily).update(ended_at=timezone.now())
    corrected(article)

    found = {share.newsletter: share.readers for share in urgent_corrections.shares(article)}
    for edition in urgent_corrections.tell(article, by=by, at=timezone.now()):
        assert editions.begin_freezing(edition)
        assert cohorts.freeze(edition.pk)

    assert found == {daily: 1, weekly: 1, other: 1}
    notes = [[*chain(*told(reader))] for reader in (both, moved, weekly_only, gone)]
    assert notes == [["A pier, not a port."]] * 3 + [[]]


def test_asked_twice_it_is_one_edition_and_while_it_waits_there_is_no_second(newsletter, topic, by):
    Newsletter.objects.update(approval=Approval.PERSON)
    newsletter.refresh_from_db()
    article = news(topic)
    audience(newsletter, 1, [topic])
    frozen_by_hand(newsletter)
    corrected(article)
    at = timezone.now()

    first = urgent_corrections.tell(article, by=by, at=at)
    again = urgent_corrections.tell(article, by=by, at=at)
    with pytest.raises(urgent_corrections.NothingToTell, match="it is draft"):
        urgent_corrections.tell(article, by=by, at=at + timedelta(minutes=1))

    assert first == again
    assert Edition.objects.filter(kind=EditionKind.CORRECTION).count() == 1
    assert first[0].state == EditionState.DRAFT
    assert first[0].asked_at
    assert first[0].written_by == by


@pytest.mark.parametrize(
    ("mailed", "was_wrong", "sentence"),
    [(False, True, "not corrected since"), (True, False, "not corrected since")],
)
def test_without_a_correction_or_readers_nothing_is_told(
    newsletter, topic, by, mailed, was_wrong, sentence
):
    article = news(topic)
    audience(newsletter, 1, [topic])
    if mailed:
        frozen(newsletter)
    if was_wrong:
        corrected(article)

    with pytest.raises(urgent_corrections.NothingToTell, match=sentence):
        urgent_corrections.tell(article, by=by, at=timezone.now())


def test_once_all_know_nobody_is_left_to_tell(newsletter, topic, by):
    article = news(topic)
    audience(newsletter, 1, [topic])
    frozen(newsletter)
    corrected(article)
    news(topic)
    frozen(newsletter)

    with pytest.raises(urgent_corrections.NothingToTell, match="Nobody is left"):
        urgent_corrections.tell(article, by=by, at=timezone.now())


# --- the mail -------------------------------------------------------------------------------------
NOTICE = Notice(
    title="Ports and the price of insurance",
    url=f"{samples.SITE}/articles/ports-and-insurance/",
    language="en",
    direction="ltr",
    published_on=samples.FACTS.on,
    text="A caption named the wrong class of ship. The vessel shown is a minehunter.",
    is_withdrawal=False,
)
WITHDRAWN = replace(NOTICE, title="A <claim>", text="It cannot be shown.", is_withdrawal=True)


@pytest.mark.parametrize(
    ("name", "facts", "items"),
    [
        ("digest", samples.FACTS, samples.ITEMS[:3]),
        ("alert", samples.ALERT_FACTS, [samples.ALERT]),
        ("alone", replace(samples.FACTS, subject="Correction: Ports", browser_url=""), []),
    ],
)
def test_the_block_of_corrections_looks_as_agreed(snapshot, name, facts, items):
    body = samples.composed(replace(facts, corrections=(NOTICE, WITHDRAWN)), items)

    assert "CORRECTIONS\n---" in body.text
    assert "minehunter" in body.html
    assert "A &lt;claim&gt;" in body.html
    snapshot(f"corrections-{name}.txt", body.text)
    snapshot(f"corrections-{name}.html", body.html)


@pytest.mark.parametrize("items", [samples.ITEMS, [samples.ALERT], []])
@pytest.mark.parametrize("look", [Look.DIGEST, Look.ALERT])
def test_a_mail_with_corrections_keeps_every_rule(look, items):
    facts = replace(samples.FACTS, look=look, corrections=(NOTICE, WITHDRAWN))
    reader = messages.Recipient(5, 6, "reader@example.org", samples.WHY)
    values = messages.values(reader, edition_id=7, at=factories.utc("2026-11-23 07:00"))
    for compiled in (samples.compiled(facts, items), samples.compiled_text(facts, items)):
        raw = messages.join(compiled, values)
        assert message_rules.broken_rules(raw, newsletter=True) == []


def test_each_cohort_is_told_its_own_corrections(newsletter, topic):
    asia = factories.make_topic("Asia")
    both = [news(topic, "Harbours"), news(asia, "Runways")]
    audience(newsletter, 1, [topic])
    audience(newsletter, 1, [topic, asia])
    frozen(newsletter)
    for article in both:
        corrected(article, f"About {article.title}.")
    news(topic)

    edition = frozen(newsletter)

    bodies = [rendering.render(cohort)[0].to_bytes() for cohort in edition.cohorts.all()]
    assert sorted(body.count(b"About Runways.") for body in bodies) == [0, 2]
    assert [body.count(b"About Harbours.") for body in bodies] == [2, 2]
