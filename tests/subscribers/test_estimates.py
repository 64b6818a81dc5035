from datetime import time, timedelta

import pytest

from iria_news.articles.models import ArticleState
from subscribers import estimates, offers
from subscribers.models import Cadence
from tests.factories import make_article, make_newsletter, make_topic, utc

pytestmark = pytest.mark.django_db
NOW = utc("2026-03-30 12:00")  # a Monday


def publish(days, topics, hour=3):
    """One article on each of these days, counted back from now."""
    for day in days:
        at = (NOW - timedelta(days=day)).replace(hour=hour)
        make_article(topics=topics, published_at=at)


def rate(newsletter, topics, carried=None):
    history = estimates.History(NOW)
    return estimates.rate(newsletter, topics, carried or topics, history)


@pytest.mark.parametrize(
    ("cadence", "words"),
    [
        (Cadence.AT_ONCE, "as it happens"),
        (Cadence.DAILY, "up to 7 mails a week"),
        (Cadence.WEEKDAYS, "up to 5 mails a week"),
        (Cadence.WEEKLY, "1 mail a week"),
    ],
)
def test_without_history_the_words_say_what_it_may_be_at_most(cadence, words):
    newsletter = make_newsletter(cadence=cadence, weekday=5)

    assert rate(newsletter, [make_topic("Europe")]) == words


@pytest.mark.parametrize(
    ("cadence", "words"),
    [
        (Cadence.AT_ONCE, "about 14 mails a week"),
        (Cadence.DAILY, "about 7 mails a week"),
        (Cadence.WEEKDAYS, "about 5 mails a week"),
        (Cadence.WEEKLY, "about 1 mail a week"),
    ],
)
def test_two_articles_a_day_make_as_many_mails_as_the_cadence_has_slots(cadence, words):
    europe = make_topic("Europe")
    publish([*range(28)] * 2, [europe])
    newsletter = make_newsletter(cadence=cadence, weekday=5)

    assert rate(newsletter, [europe]) == words


def test_fewer_topics_make_fewer_mails():
    europe, africa = make_topic("Europe"), make_topic("Africa")
    publish(range(28), [europe])
    publish(range(0, 28, 3), [africa])
    daily = make_newsletter()

    assert rate(daily, [europe, africa]) == "about 7 mails a week"
    assert rate(daily, [africa], [europe, africa]) == "about 2 mails a week"
    assert rate(daily, [make_topic("US")], [europe]) == "hardly a mail a month"


def test_rare_mails_are_counted_by_the_month():
    europe = make_topic("Europe")
    publish([2, 27], [europe])

    assert rate(make_newsletter(), [europe]) == "about 2 mails a month"


def test_a_minimum_gathers_articles_over_several_slots():
    europe = make_topic("Europe")
    publish(range(28), [europe])

    assert rate(make_newsletter(min_articles=7), [europe]) == "about 1 mail a week"


def test_what_is_published_after_the_wall_time_belongs_to_the_next_slot():
    europe = make_topic("Europe")
    for week in range(4):
        publish([7 * week + 3], [europe], hour=23)  # Friday late
        publish([7 * week + 2], [europe], hour=5)  # Saturday early
    daily = make_newsletter(wall_time=time(6, 0))

    assert rate(daily, [europe]) == "about 1 mail a week"


def test_a_young_newsroom_is_judged_by_the_weeks_it_has():
    europe = make_topic("Europe")
    publish(range(14), [europe])
    assert rate(make_newsletter(), [europe]) == "about 7 mails a week"


def test_a_few_days_tell_nothing_about_a_week():
    europe = make_topic("Europe")
    publish(range(4), [europe])
    assert rate(make_newsletter(), [europe]) == "up to 7 mails a week"


def test_what_nobody_can_read_counts_for_nothing():
    europe = make_topic("Europe")
    publish([20], [europe])
    for state in (ArticleState.DRAFT, ArticleState.WITHDRAWN):
        make_article(topics=[europe], state=state, published_at=NOW - timedelta(days=1))
    make_article(topics=[europe], published_at=NOW + timedelta(days=1))

    assert len(estimates.History(NOW).articles) == 1


def test_the_rates_of_all_offers_together_take_one_query(django_assert_num_queries):
    topics = [make_topic(f"Topic {number}") for number in range(5)]
    for number in range(5):
        make_newsletter(f"Letter {number}")
    make_article(topics=topics)

    with django_assert_num_queries(4):  # topics, newsletters, their topics, articles
        for offer in offers.public():
            assert offer.rate
            assert offer.rate_for(topics[:1])
