from datetime import timedelta

import pytest
from django.utils import timezone

from mailer import cohorts, editions, ledger
from mailer.models import Batch, Cohort, Delivery, DeliveryState, Edition, EditionState
from subscribers.models import Suppression, SuppressionReason
from tests import factories
from tests.mailer.editions import audience, daily, frozen, open_now

pytestmark = pytest.mark.django_db


def received(subscriber) -> list[set[str]]:
    """The titles that each delivery of a reader holds, oldest edition first."""
    found = []
    for delivery in Delivery.objects.filter(subscriber=subscriber).order_by("edition__slot"):
        items = delivery.edition.items.select_related("article")
        found.append({item.article.title for item in items if item.bit & delivery.cohort.list})
    return found


def test_readers_of_the_same_articles_share_a_cohort():
    asia, europe, africa = (factories.make_topic(name) for name in ("Asia", "Europe", "Africa"))
    newsletter = factories.make_newsletter()
    factories.make_article("both", topics=[asia, europe])
    factories.make_article("asia", topics=[asia])
    audience(newsletter, 3, [asia])
    audience(newsletter, 2, [asia, africa])  # nothing on Africa: the same list as above
    [reader] = audience(newsletter, 1, [europe])

    edition = frozen(newsletter)

    assert sorted(edition.cohorts.values_list("size", flat=True)) == [1, 5]
    assert received(reader) == [{"both"}]


def test_the_books_balance_and_say_why_somebody_was_left_out():
    asia, europe = factories.make_topic("Asia"), factories.make_topic("Europe")
    newsletter = factories.make_newsletter()
    factories.make_article(topics=[asia])
    audience(newsletter, 2, [asia])
    audience(newsletter, 1, [europe])
    [complained] = audience(newsletter, 1, [asia])
    Suppression.objects.create(
        address_hash=complained.address_hash, reason=SuppressionReason.COMPLAINT
    )
    factories.make_subscription(newsletter, topics=[asia], ended_at=timezone.now())
    factories.make_subscription(newsletter, topics=[asia], confirmed=False)

    books = ledger.read(frozen(newsletter).pk)

    assert books.candidates == 4
    assert books.deliveries == 2
    assert books.excluded == {"no_articles": 1, "suppressed": 1}
    assert books.balanced


def test_nobody_gets_an_article_twice_not_even_through_another_newsletter():
    topic = factories.make_topic()
    daily_news, weekly = factories.make_newsletter(), factories.make_newsletter()
    reader = audience(daily_news, 1, [topic])[0]
    factories.make_subscription(weekly, subscriber=reader, topics=[topic])
    factories.make_article("monday", topics=[topic])
    frozen(daily_news)
    factories.make_article("tuesday", topics=[topic])

    frozen(weekly)

    assert received(reader) == [{"monday"}, {"tuesday"}]


@pytest.mark.parametrize(
    ("state", "gets_it_again"),
    [
        (DeliveryState.SENT, False),
        (DeliveryState.UNCERTAIN, False),
        (DeliveryState.PENDING, False),
        (DeliveryState.FAILED, True),
        (DeliveryState.SKIPPED, True),
        (DeliveryState.CANCELLED, True),
    ],
)
def test_a_lost_delivery_gives_its_articles_back(state, gets_it_again):
    newsletter = daily(readers=1)
    first = frozen(newsletter)
    Delivery.objects.filter(edition=first).update(state=state)
    [reader] = [delivery.subscriber for delivery in Delivery.objects.filter(edition=first)]
    factories.make_article("next", topics=[factories.make_topic("Security")])

    frozen(newsletter)

    assert len(received(reader)[1]) == (2 if gets_it_again else 1)


def test_news_from_before_a_reader_followed_the_topic_is_not_news_to_them():
    topic = factories.make_topic()
    newsletter = factories.make_newsletter()
    factories.make_article(
        "before", topics=[topic], published_at=timezone.now() - timedelta(days=2)
    )
    factories.make_article("after", topics=[topic])
    yesterday = timezone.now() - timedelta(days=1)
    place = factories.make_subscription(newsletter, topics=[topic], since=yesterday)

    frozen(newsletter)

    assert received(place.subscriber) == [{"after"}]


def test_an_edition_that_nobody_needs_is_skipped_with_balanced_books():
    topic = factories.make_topic()
    newsletter = factories.make_newsletter()
    factories.make_article(topics=[topic])
    audience(newsletter, 2, [factories.make_topic("Else")])

    edition = frozen(newsletter)

    assert edition.state == EditionState.SKIPPED
    assert ledger.read(edition.pk).balanced
    assert edition.excluded == {"no_articles": 2}


def test_batches_hold_at_most_their_size_and_add_up(monkeypatch):
    monkeypatch.setattr(cohorts, "BATCH", 4)
    monkeypatch.setattr(cohorts, "PAGE", 6)

    edition = frozen(daily(readers=15))

    sizes = list(Batch.objects.filter(edition=edition).values_list("size", flat=True))
    assert max(sizes) <= 4
    assert sum(sizes) == 15


def test_a_freeze_that_dies_goes_on_where_it_was(monkeypatch):
    monkeypatch.setattr(cohorts, "PAGE", 4)
    edition = open_now(daily(readers=10))
    editions.begin_freezing(edition)
    pages = []

    def die_at_the_second(*args) -> bool:
        if pages:
            raise KeyboardInterrupt
        pages.append(args)
        return original(*args)

    original = cohorts._freeze_page
    monkeypatch.setattr(cohorts, "_freeze_page", die_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        cohorts.freeze(edition.pk)
    monkeypatch.setattr(cohorts, "_freeze_page", original)
    assert Delivery.objects.filter(edition=edition).count() == 4

    assert cohorts.freeze(edition.pk)

    assert ledger.read(edition.pk).deliveries == 10
    assert not cohorts.freeze(edition.pk)  # a doubled task


def test_an_audience_that_does_not_add_up_stops_and_is_written_anew_on_resume():
    edition = open_now(daily(readers=3))
    editions.begin_freezing(edition)
    Edition.objects.filter(pk=edition.pk).update(cursor=0, candidates=7)

    with pytest.raises(cohorts.CountsDiffer):
        cohorts.freeze(edition.pk)

    edition.refresh_from_db()
    assert edition.state == EditionState.PAUSED
    assert "does not add up" in edition.reason
    editions.resume(edition)
    editions.begin_freezing(edition)
    assert cohorts.freeze(edition.pk)
    assert ledger.read(edition.pk).balanced


def test_a_page_takes_the_same_number_of_statements_for_any_number_of_readers(
    django_assert_num_queries, django_assert_max_num_queries
):
    counts = []
    for readers in (2, 40):
        newsletter = factories.make_newsletter()
        topics = [factories.make_topic() for _ in range(3)]
        for topic in topics:
            factories.make_article(topics=[topic])
        for number in range(readers):
            audience(newsletter, 1, topics[: 1 + number % 3])
        edition = open_now(newsletter)
        editions.begin_freezing(edition)
        with django_assert_max_num_queries(80) as captured:
            cohorts.freeze(edition.pk)
        counts.append(len(captured))
        Edition.objects.filter(pk=edition.pk).update(state=EditionState.CANCELLED)
    assert counts[0] == counts[1]
    assert Cohort.objects.count() >= 3
