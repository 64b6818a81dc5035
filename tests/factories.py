"""Plain functions that make valid rows; a test names only the fields it is about.

Whatever is numbered is numbered upwards through the whole run, so that two rows never clash.
"""

import itertools
from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.utils import timezone

from iria_news.articles.models import Article, ArticleState, Topic
from subscribers import addresses
from subscribers.models import (
    Cadence,
    Newsletter,
    Subscriber,
    SubscriberState,
    Subscription,
    SubscriptionTopic,
)

_numbers = itertools.count(1)


def make_topic(name: str = "", **fields: Any) -> Topic:
    """A topic; with the name of one that is there already, that one."""
    name = name or f"Topic {next(_numbers)}"
    slug = fields.pop("slug", name.lower().replace(" ", "-"))
    return Topic.objects.get_or_create(slug=slug, defaults={"name": name, **fields})[0]


def make_article(
    title: str = "", *, topics: Iterable[Topic] | None = None, **fields: Any
) -> Article:
    """An article published an hour ago, on one topic unless topics are given. It came when it
    was published."""
    number = next(_numbers)
    published_at = fields.pop("published_at", timezone.now() - timedelta(hours=1))
    article = Article.objects.create(
        **{
            "title": title or f"Article {number}",
            "slug": f"article-{number}",
            "standfirst": "What happened, in a sentence. What it means, in another.",
            "body": "<p>What happened, at length.</p>",
            "byline": "IRIA Europe desk",
            "state": ArticleState.PUBLISHED,
            "published_at": published_at,
            "arrived_at": published_at or timezone.now(),  # unless it is given
            **fields,
        }
    )
    article.topics.set([make_topic()] if topics is None else topics)
    return article


def make_newsletter(name: str = "", *, topics: Iterable[Topic] = (), **fields: Any) -> Newsletter:
    """A public daily newsletter at 06:00 UTC that carries every topic unless topics are given."""
    name = name or f"Newsletter {next(_numbers)}"
    newsletter = Newsletter.objects.create(
        **{
            "name": name,
            "slug": name.lower().replace(" ", "-"),
            "description": "Everything new on your topics.",
            "cadence": Cadence.DAILY,
            "wall_time": time(6, 0),
            **fields,
        }
    )
    newsletter.topics.set(topics)
    return newsletter


def make_subscriber(address: str = "", **fields: Any) -> Subscriber:
    """A subscriber who confirmed 30 days ago, unless `state` or `confirmed_at` say otherwise."""
    parsed = addresses.parse(address or f"reader{next(_numbers)}@example.org")
    month_ago = timezone.now() - timedelta(days=30)
    pending = fields.get("state") == SubscriberState.PENDING
    return Subscriber.objects.create(
        **{
            "address": parsed.address,
            "address_key": parsed.key,
            "address_hash": parsed.hash,
            "state": SubscriberState.ACTIVE,
            "created_at": month_ago,
            "confirmed_at": None if pending else month_ago,
            **fields,
        }
    )


def make_subscription(
    newsletter: Newsletter | None = None,
    *,
    subscriber: Subscriber | None = None,
    topics: Iterable[Topic] | None = None,
    since: datetime | None = None,
    confirmed: bool = True,
    **fields: Any,
) -> Subscription:
    """A place on a newsletter; its topics (all there are, unless given) are followed for 30 days.

    `confirmed=False`: only asked for, and by a pending subscriber unless one is given.
    """
    since = since or timezone.now() - timedelta(days=30)
    if subscriber is None:
        subscriber = make_subscriber(
            **({} if confirmed else {"state": SubscriberState.PENDING, "created_at": since})
        )
    subscription = Subscription.objects.create(
        **{
            "newsletter": newsletter or make_newsletter(),
            "subscriber": subscriber,
            "created_at": since,
            "confirmed_at": since if confirmed else None,
            **fields,
        }
    )
    followed = Topic.objects.all() if topics is None else topics
    SubscriptionTopic.objects.bulk_create(
        SubscriptionTopic(subscription=subscription, topic=topic, since=since) for topic in followed
    )
    return subscription


def utc(text: str) -> datetime:
    """An instant written as "2026-03-02 08:00"."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
