"""After leaving: less instead of nothing, and the reason, if somebody likes to tell it.

Each step is behind a link that was made when the newsletter was left and works for a day. What it
can do is bounded by that newsletter: it opens no preferences.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.core.cache import cache
from django.db import transaction
from django.utils import timezone
from redis.exceptions import RedisError

from iria_news.articles.models import Topic
from subscribers import (
    cadences,
    consent,
    links,
    offers,
    pausing,
    preferences,
    suppression,
    zones,
)
from subscribers.models import (
    Cadence,
    Leaving,
    LeavingReason,
    Newsletter,
    Subscriber,
    SubscriberState,
    Subscription,
)

PAUSE_DAYS = 60  # "for two months", the offer on the page after leaving


class TooLate(Exception):
    """It was undone, replaced or ended in another way since. Nothing was changed."""


def may_be_less(place: Subscription) -> bool:
    """Whether this place was left by its reader, within the day, and nothing has happened since."""
    subscriber = place.subscriber
    return (
        place.ended_at is not None
        and timezone.now() - place.ended_at < links.UNDO_WITHIN
        and place.confirmed_at is not None
        and place.ended_by in preferences.ENDED_BY_THEIR_READER
        and place.newsletter.is_active
        and subscriber.state == SubscriberState.ACTIVE
        and not subscriber.subscriptions.open().filter(newsletter=place.newsletter_id).exists()
    )


def followed_at(place: Subscription, left_at: datetime) -> bool:
    """Whether a link of that time, in whole seconds, was made when the place last ended.

    Who came back and left again means the later leaving; the links of the earlier one are spent.
    """
    return place.ended_at is not None and place.ended_at.replace(microsecond=0) == left_at


def weekly_instead(place: Subscription) -> Newsletter | None:
    """The weekly newsletter that could take this one's place; None if there is nothing to offer."""
    slots = cadences.slots_a_week(place.newsletter)
    if slots is not None and slots <= 1:
        return None
    weekly = Newsletter.objects.offered().filter(
        cadence=Cadence.WEEKLY, language=place.newsletter.language
    )
    # Who was on it after leaving this one has decided about it already.
    known = place.subscriber.subscriptions.filter(ended_at__isnull=True)
    later = place.subscriber.subscriptions.filter(ended_at__gt=place.ended_at)
    taken = set((known | later).values_list("newsletter_id", flat=True))
    topics = place.topics.all()
    for newsletter in weekly.prefetch_related("topics"):
        if newsletter.pk not in taken and offers.carried(newsletter, topics):
            return newsletter
    return None


def may_pause(subscriber: Subscriber) -> bool:
    """A pause holds for all newsletters, and a link of one must not stop the others."""
    return not pausing.is_paused(subscriber) and not subscriber.subscriptions.active().exists()


def pause_until(subscriber: Subscriber) -> datetime:
    """When a pause of two months that begins now ends: at a midnight of the reader's clock."""
    zone = subscriber.zone or zones.UTC
    day = timezone.localdate(timezone=zones.of(zone)) + timedelta(days=PAUSE_DAYS)
    return zones.midnight(day, zone)


def take_weekly(place: Subscription, *, source: str) -> Newsletter:
    """Follow the same topics once a week instead. Raises TooLate."""
    with transaction.atomic():
        subscriber = _still_away(place)
        weekly = weekly_instead(place)
        if weekly is None:
            raise TooLate
        topics = offers.carried(weekly, place.topics.all())
        preferences.follow(subscriber, weekly, topics, source=source, wording=consent.LESS)
    return weekly


def take_pause(place: Subscription, *, source: str) -> datetime:
    """Come back after two months. Return when the pause ends. Raises TooLate."""
    with transaction.atomic():
        subscriber = _still_away(place)
        if not may_pause(subscriber) or not preferences.rejoin(place, source=source):
            raise TooLate
        until = pause_until(subscriber)
        pausing.pause(subscriber, until, source=source, wording=consent.LESS)
    return until


def take_fewer_topics(
    place: Subscription, topics: Collection[Topic], *, source: str
) -> list[Topic]:
    """Come back with these of the topics that were followed, and return them. Raises TooLate."""
    with transaction.atomic():
        subscriber = _still_away(place)
        kept = [topic for topic in place.topics.all() if topic in set(topics)]
        if not kept or not preferences.rejoin(place, source=source):
            raise TooLate
        preferences.follow(subscriber, place.newsletter, kept, source=source, wording=consent.LESS)
    return kept


def tell_reason(place: Subscription, reason: LeavingReason) -> None:
    """Count a reason, without its person. A second press for the same leaving counts no more."""
    left_at = place.ended_at.timestamp() if place.ended_at else 0
    try:
        key = f"leaving:{place.pk}:{left_at}"
        first = cache.add(key, 1, links.UNDO_WITHIN.total_seconds())
    except RedisError:  # then a second press may count
        first = True
    if first:
        Leaving.objects.create(newsletter=place.newsletter, reason=reason, on=timezone.now().date())


def _still_away(place: Subscription) -> Subscriber:
    """The person, locked until the commit. Raises TooLate if the offer no longer stands."""
    subscriber = Subscriber.objects.select_for_update().filter(pk=place.subscriber_id).first()
    now = Subscription.objects.filter(pk=place.pk, subscriber=subscriber).first()
    if subscriber is None or now is None:
        raise TooLate
    if (now.ended_at, now.ended_by) != (place.ended_at, place.ended_by):
        raise TooLate
    place.subscriber = subscriber
    if not may_be_less(place) or suppression.is_suppressed(subscriber.address_hash):
        raise TooLate
    return subscriber
