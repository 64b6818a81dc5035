"""Who pauses gets no edition until they are back, and then no flood."""

from datetime import timedelta

import pytest
from django.utils import timezone

from mailer import cohorts, editions, ledger, opening
from mailer.admin.totals import EXCLUDED_BECAUSE
from mailer.models import Delivery, Edition
from subscribers.models import Subscriber
from tests import factories
from tests.mailer.editions import frozen

pytestmark = pytest.mark.django_db

A_SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)


def titles(subscriber: Subscriber) -> set[str]:
    found = set()
    for delivery in Delivery.objects.filter(subscriber=subscriber).select_related("cohort"):
        for item in delivery.edition.items.select_related("article"):
            if item.bit & delivery.cohort.list:
                found.add(item.article.title)
    return found


@pytest.mark.parametrize(
    ("begins", "ends", "gets_it"),
    [
        (-DAY, HOUR, False),  # in the middle of it
        (timedelta(0), HOUR, False),  # it begins when the edition is due
        (A_SECOND, HOUR, True),  # a second later
        (-DAY, A_SECOND, False),  # it ends just after
        (-2 * DAY, -DAY, True),  # long over
    ],
)
def test_a_paused_reader_gets_no_edition(begins, ends, gets_it):
    topic = factories.make_topic()
    newsletter = factories.make_newsletter()
    factories.make_article(topics=[topic])
    slot = timezone.now().replace(microsecond=0)
    reader = factories.make_subscriber(paused_from=slot + begins, paused_until=slot + ends)
    factories.make_subscription(newsletter, subscriber=reader, topics=[topic])
    factories.make_subscription(newsletter, topics=[topic])

    edition = opening.open_edition(newsletter, slot=slot)
    editions.begin_freezing(edition)
    assert cohorts.freeze(edition.pk)

    assert Delivery.objects.filter(edition=edition, subscriber=reader).exists() == gets_it
    books = ledger.read(edition.pk)
    assert books.excluded == ({} if gets_it else {"paused": 1})
    assert books.balanced
    assert "paused" in EXCLUDED_BECAUSE


def test_after_a_pause_its_articles_are_no_news():
    topic = factories.make_topic()
    newsletter = factories.make_newsletter()
    now = timezone.now()
    factories.make_article("of the pause", topics=[topic], published_at=now - 2 * DAY)
    back = now - DAY
    factories.make_article("of that very moment", topics=[topic], published_at=back)
    factories.make_article("of today", topics=[topic], published_at=now - HOUR)
    reader = factories.make_subscriber(paused_from=now - 5 * DAY, paused_until=back)
    factories.make_subscription(newsletter, subscriber=reader, topics=[topic])
    always = factories.make_subscription(newsletter, topics=[topic]).subscriber

    frozen(newsletter)

    assert titles(reader) == {"of that very moment", "of today"}
    assert len(titles(always)) == 3


def test_a_pause_that_is_still_to_come_changes_nothing():
    topic = factories.make_topic()
    newsletter = factories.make_newsletter()
    factories.make_article("today", topics=[topic])
    now = timezone.now()
    reader = factories.make_subscriber(paused_from=now + DAY, paused_until=now + 9 * DAY)
    factories.make_subscription(newsletter, subscriber=reader, topics=[topic])

    frozen(newsletter)

    assert titles(reader) == {"today"}
    assert Edition.objects.get().excluded == {}
