"""Newsletters with many readers, quickly; and the waits that a test need not sit out."""

import itertools
from collections.abc import Sequence
from datetime import timedelta

from django.utils import timezone

from iria_news.articles.models import Topic
from mailer.models import Batch, BatchState, Delivery, DeliveryState, Edition
from subscribers import addresses
from subscribers.models import Newsletter, Subscriber, Subscription, SubscriptionTopic
from tests import factories
from tests.mailer.editions import open_now, sending

MONTH = timedelta(days=30)
AT_ONCE = 2_000  # rows in one INSERT
_numbers = itertools.count(1)


def newsletter_with(
    readers: int, *, articles: int = 1, domains: Sequence[str] = ("example.org",), **fields
) -> Newsletter:
    """A daily newsletter on a topic of its own, with so many readers and new articles."""
    topic = factories.make_topic()
    newsletter = factories.make_newsletter(topics=[topic], **fields)
    for _ in range(articles):
        factories.make_article(topics=[topic])
    add_readers(newsletter, topic, readers, domains)
    return newsletter


def add_readers(
    newsletter: Newsletter, topic: Topic, count: int, domains: Sequence[str] = ("example.org",)
) -> list[Subscriber]:
    """Confirmed readers of a topic, for a month; over the domains in turn."""
    since = timezone.now() - MONTH
    turns = itertools.islice(itertools.cycle(domains), count)
    parsed = [addresses.parse(f"r{next(_numbers)}@{domain}") for domain in turns]
    people = Subscriber.objects.bulk_create(
        (
            Subscriber(
                address=address.address,
                address_key=address.key,
                address_hash=address.hash,
                state="active",
                created_at=since,
                confirmed_at=since,
            )
            for address in parsed
        ),
        batch_size=AT_ONCE,
    )
    places = Subscription.objects.bulk_create(
        (
            Subscription(
                newsletter=newsletter, subscriber=person, created_at=since, confirmed_at=since
            )
            for person in people
        ),
        batch_size=AT_ONCE,
    )
    SubscriptionTopic.objects.bulk_create(
        (SubscriptionTopic(subscription=place, topic=topic, since=since) for place in places),
        batch_size=AT_ONCE,
    )
    return people


def approved(readers: int, **fields) -> Edition:
    """An edition that workers have still to freeze and render."""
    return open_now(newsletter_with(readers, **fields))


def going_out(readers: int, **fields) -> Edition:
    """An edition whose every batch is ready to be claimed."""
    return sending(newsletter_with(readers, **fields))


def let_waits_be_over(edition: Edition) -> None:
    """What waits minutes for its next try may be tried now."""
    past = timezone.now() - timedelta(seconds=5)
    Delivery.objects.filter(edition=edition, state=DeliveryState.PENDING).update(retry_at=None)
    Batch.objects.filter(
        edition=edition, state=BatchState.READY, not_before__gt=timezone.now()
    ).update(not_before=past)
