"""How much a reader gets on one day, and over which span an edition leaves."""

from collections import Counter
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from iria_news.articles.models import Correction
from mailer import cohorts, editions, ledger, spreading, urgent_corrections
from mailer.models import Delivery, DeliveryState, Edition, EditionState
from tests import factories
from tests.mailer.editions import audience, daily, frozen, open_now

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def titles(subscriber) -> list[set[str]]:
    found = []
    for delivery in Delivery.objects.filter(subscriber=subscriber).order_by("edition_id"):
        items = delivery.edition.items.select_related("article")
        found.append({item.article.title for item in items if item.bit & delivery.cohort.list})
    return found


# --- the cap --------------------------------------------------------------------------------------
@pytest.fixture
def capped(settings):
    """Two newsletters with one reader of both, who has had the only mail of the day."""
    settings.MAILS_PER_READER_AND_DAY = 1
    topic = factories.make_topic("Security")
    first, second = factories.make_newsletter(), factories.make_newsletter()
    [reader] = audience(first, 1, [topic])
    factories.make_subscription(second, subscriber=reader, topics=[topic])
    factories.make_article("morning", topics=[topic])
    edition = frozen(first)
    factories.make_article("noon", topics=[topic])
    return reader, second, edition, topic


def test_above_the_cap_a_reader_is_left_out_and_the_articles_come_with_the_next_edition(capped):
    reader, newsletter, _, topic = capped
    audience(newsletter, 1, [topic])  # has had nothing yet

    edition = frozen(newsletter)
    Edition.objects.exclude(pk=0).update(due_at=timezone.now() - timedelta(days=1))
    factories.make_article("evening", topics=[topic])
    frozen(newsletter)

    assert edition.excluded == {"daily_cap": 1}
    assert ledger.read(edition.pk).balanced
    assert titles(reader) == [{"morning"}, {"noon", "evening"}]


def test_without_a_cap_everything_comes(capped, settings):
    reader, newsletter, *_ = capped
    settings.MAILS_PER_READER_AND_DAY = 0

    frozen(newsletter)

    assert titles(reader) == [{"morning"}, {"noon"}]


def test_a_mail_that_was_lost_does_not_count(capped):
    reader, newsletter, earlier, _ = capped
    Delivery.objects.filter(edition=earlier).update(state=DeliveryState.FAILED)

    frozen(newsletter)

    assert titles(reader)[1] == {"morning", "noon"}


@pytest.mark.parametrize(("hours", "counts"), [(22.9, True), (23, False), (24, False)])
def test_a_day_ends_an_hour_early_so_that_changing_clocks_cost_no_edition(capped, hours, counts):
    _, newsletter, earlier, _ = capped
    edition = open_now(newsletter)
    due_at = edition.due_at - timedelta(hours=hours)
    Edition.objects.filter(pk=earlier.pk).update(due_at=due_at)

    editions.begin_freezing(edition)
    cohorts.freeze(edition.pk)

    edition.refresh_from_db()
    assert (edition.excluded == {"daily_cap": 1}) == counts


def test_what_is_urgent_comes_all_the_same(capped):
    reader, newsletter, *_ = capped
    edition = open_now(newsletter)
    Edition.objects.filter(pk=edition.pk).update(is_urgent=True)

    editions.begin_freezing(edition)
    cohorts.freeze(edition.pk)

    assert titles(reader) == [{"morning"}, {"noon"}]


def test_an_urgent_correction_comes_all_the_same(capped):
    reader, _, earlier, _ = capped
    article = earlier.items.get().article
    at = timezone.now() + timedelta(milliseconds=5)  # SQLite's clock shows milliseconds
    Correction.objects.create(article=article, note="A pier, not a port.", at=at)
    by = User.objects.create(username="mara", is_superuser=True)

    [edition] = urgent_corrections.tell(article, by=by, at=timezone.now())
    editions.begin_freezing(edition)
    cohorts.freeze(edition.pk)

    assert Delivery.objects.filter(edition=edition, subscriber=reader).exists()


# --- the spread -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("minutes", "slices"), [(0, 1), (4, 1), (5, 1), (10, 2), (119, 23), (240, 48), (1440, 48)]
)
def test_a_slice_has_at_least_five_minutes_and_there_are_at_most_48(minutes, slices):
    edition = Edition(spread_minutes=minutes)

    assert spreading.slices(edition) == slices
    assert spreading.longest_delay(edition) <= minutes * MINUTE
    assert slices == 1 or spreading.delay(edition, 1) >= 5 * MINUTE


def test_an_edition_leaves_in_slices_of_about_the_same_size_over_its_span():
    edition = frozen(daily(readers=400, spread_minutes=40))

    assert edition.spread_minutes == 40
    released = Counter(
        Delivery.objects.filter(edition=edition).values_list("batch__not_before", flat=True)
    )
    assert sorted(released) == [edition.due_at + number * 5 * MINUTE for number in range(8)]
    assert max(released.values()) <= 1.2 * min(released.values())
    assert edition.waves.count() == 8
    assert edition.expires_at == max(released) + editions.EXPIRES_AFTER
    assert ledger.read(edition.pk).balanced


def test_a_reader_is_in_the_same_slice_of_each_edition():
    newsletter = daily(readers=20, spread_minutes=60)

    places = []
    for _ in range(2):
        edition = frozen(newsletter)
        rows = Delivery.objects.filter(edition=edition).order_by("subscriber_id")
        at = rows.values_list("batch__not_before", flat=True)
        places.append([instant - edition.due_at for instant in at])
        Edition.objects.filter(pk=edition.pk).update(state=EditionState.DONE)
        factories.make_article(topics=[factories.make_topic("Security")])

    assert places[0] == places[1]
    assert len(set(places[0])) > 3


def test_readers_with_an_hour_are_spread_from_it_on():
    newsletter = daily(readers=0, spread_minutes=30)
    hour = (timezone.now() + timedelta(hours=5)).hour
    topics = [factories.make_topic("Security")]
    for _ in range(12):
        subscriber = factories.make_subscriber(hour=hour, zone="UTC")
        factories.make_subscription(newsletter, subscriber=subscriber, topics=topics)

    edition = frozen(newsletter)

    at = set(Delivery.objects.values_list("batch__not_before", flat=True))
    assert len(at) > 1
    assert {instant.hour for instant in at} == {hour}
    assert {instant.minute % 5 for instant in at} == {0}
    assert all(instant >= edition.due_at for instant in at)
