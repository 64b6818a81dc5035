"""The newsletters and readers of the demo newsroom. Readers are numbered; nobody is invented."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta

from django.db import transaction

from iria_news.articles.models import Article, Topic
from subscribers import addresses, consent, preferences, suppression
from subscribers.models import (
    Cadence,
    ConsentEvent,
    ConsentKind,
    Look,
    Newsletter,
    Subscriber,
    SubscriberState,
    Subscription,
    SubscriptionTopic,
    SuppressionReason,
    Weekday,
)

FOLLOWED_FOR = timedelta(days=30)
BLOCK = 1_000  # readers for each round of inserts


def load_newsletters() -> Newsletter:
    """Make IRIA Alerts, Daily and Weekly where they are missing; return the Daily."""
    daily, _ = Newsletter.objects.get_or_create(
        slug="iria-daily",
        defaults={
            "name": "IRIA Daily",
            "description": "Every morning, everything new on your topics. No mail without news.",
            "cadence": Cadence.DAILY,
            "wall_time": time(6, 0),
        },
    )
    Newsletter.objects.get_or_create(
        slug="iria-weekly",
        defaults={
            "name": "IRIA Weekly",
            "description": "On Saturday, the articles of the week that you have not had yet.",
            "cadence": Cadence.WEEKLY,
            "weekday": Weekday.SATURDAY,
            "wall_time": time(8, 0),
        },
    )
    Newsletter.objects.get_or_create(
        slug="iria-alerts",
        defaults={
            "name": "IRIA Alerts",
            "description": "At once, when an article appears. Never the same again in a digest.",
            "cadence": Cadence.AT_ONCE,
            "look": Look.ALERT,
        },
    )
    return daily


def load_readers(newsletter: Newsletter, count: int, *, now: datetime) -> int:
    """Make readers 1 to `count` of a newsletter where they are missing; return how many are new.

    Reader 1 follows every topic, the others one to three, in a fixed pattern.
    """
    topics = list(Topic.objects.all())
    made = 0
    for first in range(1, count + 1, BLOCK):
        numbers = range(first, min(first + BLOCK, count + 1))
        made += _load_block(newsletter, numbers, topics, now - FOLLOWED_FOR)
    return made


def _load_block(
    newsletter: Newsletter, numbers: Sequence[int], topics: Sequence[Topic], since: datetime
) -> int:
    parsed = {number: addresses.parse(f"reader{number}@example.org") for number in numbers}
    there = set(
        Subscriber.objects.filter(
            address_key__in=[address.key for address in parsed.values()]
        ).values_list("address_key", flat=True)
    )
    new = {number: address for number, address in parsed.items() if address.key not in there}
    with transaction.atomic():
        subscribers = Subscriber.objects.bulk_create(
            Subscriber(
                address=address.address,
                address_key=address.key,
                address_hash=address.hash,
                state=SubscriberState.ACTIVE,
                created_at=since,
                confirmed_at=since,
            )
            for address in new.values()
        )
        subscriptions = Subscription.objects.bulk_create(
            Subscription(
                subscriber=subscriber, newsletter=newsletter, created_at=since, confirmed_at=since
            )
            for subscriber in subscribers
        )
        chosen = [chosen_topics(number, topics) for number in new]
        SubscriptionTopic.objects.bulk_create(
            SubscriptionTopic(subscription=subscription, topic=topic, since=since)
            for subscription, theirs in zip(subscriptions, chosen, strict=True)
            for topic in theirs
        )
        ConsentEvent.objects.bulk_create(
            ConsentEvent(
                subscriber=subscriber,
                newsletter=newsletter,
                kind=ConsentKind.CONFIRMED,
                wording=consent.NONE,
                source="demo newsroom",
                topics=",".join(topic.slug for topic in theirs),
                at=since,
            )
            for subscriber, theirs in zip(subscribers, chosen, strict=True)
        )
    return len(new)


def chosen_topics(number: int, topics: Sequence[Topic]) -> list[Topic]:
    """What demo reader `number` follows: all topics, or one to three of them."""
    if number % 10 == 1 or not topics:
        return list(topics)
    start, width = number % len(topics), 1 + number % 3
    return [topics[(start + step * (1 + number % 2)) % len(topics)] for step in range(width)]


def spoil_some(newsletter: Newsletter, *, now: datetime) -> int:
    """Let every 25th reader leave, complain, be unconfirmed or be new today; return how many."""
    places = list(Subscription.objects.active().filter(newsletter=newsletter).order_by("pk")[::25])
    for number, place in enumerate(places):
        match number % 4:
            case 0:
                preferences.leave(place, source="demo newsroom")
            case 1:
                suppression.suppress(place.subscriber.address_hash, SuppressionReason.COMPLAINT)
            case 2:
                Subscription.objects.filter(pk=place.pk).update(confirmed_at=None)
            case _:
                place.follows.update(since=now)
    return len(places)


def readers_due(newsletter: Newsletter, *, now: datetime) -> set[str]:
    """The addresses that the first edition must reach, found one by one and not in sets.

    Slow on purpose, and written apart from the freeze: two ways to the same answer.
    """
    since = now - timedelta(days=newsletter.look_back_days)
    articles = Article.objects.published().filter(published_at__gt=since)
    topics_of = {article: set(article.topics.all()) for article in articles}
    due = set()
    places = Subscription.objects.active().filter(newsletter=newsletter)
    for place in places.select_related("subscriber"):
        if suppression.is_suppressed(place.subscriber.address_hash):
            continue
        followed = {follow.topic: follow.since for follow in place.follows.select_related("topic")}
        for article, topics in topics_of.items():
            assert article.published_at is not None
            if any(article.published_at >= followed[t] for t in topics & followed.keys()):
                due.add(place.subscriber.address)
    return due
