"""Who would get what: the count before the freeze says what the freeze then writes."""

from datetime import timedelta

import pytest
from django.utils import timezone

from mailer import cohorts, editions, forecast
from mailer.models import Edition
from subscribers.models import Subscriber
from tests import factories
from tests.mailer import editions as ways

pytestmark = pytest.mark.django_db


def edition_with_all_kinds() -> Edition:
    """Readers of one topic and of two, of plain text, with an hour, paused, and with nothing."""
    security, africa, arctic = (
        factories.make_topic(name) for name in ("Security", "Africa", "Arctic")
    )
    newsletter = factories.make_newsletter()
    factories.make_article(topics=[security])
    factories.make_article(topics=[africa])
    now = timezone.now()
    kinds = [
        ({}, [security]),
        ({}, [security, africa]),
        ({"wants_text": True}, [security]),
        ({"hour": 7, "zone": "Asia/Tokyo"}, [security]),
        (
            {"paused_from": now - timedelta(days=1), "paused_until": now + timedelta(days=1)},
            [security],
        ),
        ({}, [arctic]),
    ]
    for fields, topics in kinds:
        subscriber = factories.make_subscriber(**fields)
        factories.make_subscription(newsletter, subscriber=subscriber, topics=topics)
    return ways.open_now(newsletter)


def test_the_count_before_is_what_the_freeze_writes():
    edition = edition_with_all_kinds()

    before = forecast.of(edition)
    assert editions.begin_freezing(edition)
    cohorts.freeze(edition.pk)
    edition.refresh_from_db()
    exact = forecast.of(edition)

    def bodies(found):
        return {(g.readers, g.articles, g.corrections, g.is_text) for g in found.groups}

    assert (before.is_exact, exact.is_exact) == (False, True)
    assert bodies(before) == bodies(exact)
    assert before.excluded == exact.excluded == {"paused": 1, "no_articles": 1}
    assert (before.candidates, before.deliveries, before.cohorts) == (6, 4, 3)
    assert (before.waves, before.first_at, before.last_at) == (
        exact.waves,
        exact.first_at,
        exact.last_at,
    )


def test_one_reader_is_told_what_the_freeze_then_writes():
    edition = edition_with_all_kinds()
    readers = list(Subscriber.objects.order_by("pk"))

    before = [forecast.of_reader(edition, reader) for reader in readers]
    editions.begin_freezing(edition)
    cohorts.freeze(edition.pk)
    edition.refresh_from_db()
    after = [forecast.of_reader(edition, reader) for reader in readers]

    assert [c.reason for c in before] == ["", "", "", "", "paused", "no_articles"]
    assert [(c.articles, c.release_at) for c in before] == [
        (c.articles, c.release_at) for c in after
    ]
    assert forecast.of_reader(edition, factories.make_subscriber()) is None


def test_a_count_ends_when_its_time_is_over():
    found = forecast.count(edition_with_all_kinds(), seconds=-1)

    assert not found.is_complete
    assert found.candidates == 0


@pytest.mark.parametrize("readers", [1, 30])
def test_a_count_takes_the_same_statements_for_any_number_of_readers(
    readers, django_assert_max_num_queries
):
    edition = ways.open_now(ways.daily(readers))

    with django_assert_max_num_queries(45):
        forecast.count(edition)
