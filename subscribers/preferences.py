"""Choosing newsletters and topics, leaving, and coming back by the undo button.

Somebody has proved, by a link from a mail, that the mailbox is theirs; how is not known here.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from django.db import transaction
from django.db.models.functions import Now

from iria_news.articles.models import Topic
from subscribers import consent, pausing, suppression
from subscribers.models import (
    ConsentKind,
    Newsletter,
    ServiceMail,
    Subscriber,
    SubscriberState,
    Subscription,
    SubscriptionTopic,
)


class Suppressed(Exception):
    """We stopped writing to this address: only a new sign-up with confirmation ends that (F14)."""


@dataclass(frozen=True)
class Manner:
    """How somebody wants their mails. `dataclasses.replace` changes some of it."""

    zone: str = ""  # IANA name, of `zones.choices`; empty: that of each newsletter
    hour: int | None = None  # 0 to 23; None: when each newsletter leaves
    wants_text: bool = False
    wants_catch_up: bool = True
    refuses_tracking: bool = False


def save(
    subscriber: Subscriber,
    choices: Mapping[Newsletter, Collection[Topic]],
    manner: Manner,
    pause_until: datetime | None,
    *,
    source: str,
) -> None:
    """Take over all that the preferences page has, or nothing: raises Suppressed."""
    with transaction.atomic():
        choose(subscriber, choices, source=source)
        adjust(subscriber, manner, source=source)
        if pause_until is None:
            pausing.resume(subscriber, source=source)
        else:
            pausing.pause(subscriber, pause_until, source=source)


def choose(
    subscriber: Subscriber, choices: Mapping[Newsletter, Collection[Topic]], *, source: str
) -> None:
    """Make exactly these newsletters, each with exactly these topics, the subscriber's own.

    A topic that is followed already keeps its date; a new one counts from now. The same choice
    again changes and records nothing. Raises Suppressed, and changes nothing, if anything is
    chosen for an address that we stopped writing to.
    """
    with transaction.atomic():
        _lock(subscriber)
        if choices and suppression.is_suppressed(subscriber.address_hash):
            raise Suppressed
        for subscription in subscriber.subscriptions.open().select_related("newsletter"):
            if subscription.newsletter not in choices:
                _end(subscription, source=source)
        for newsletter, topics in choices.items():
            follow(subscriber, newsletter, topics, source=source)


def manner_of(subscriber: Subscriber) -> Manner:
    return Manner(**{name: getattr(subscriber, name) for name in Manner.__dataclass_fields__})


def adjust(
    subscriber: Subscriber, manner: Manner, *, source: str, wording: str = consent.CHOOSE
) -> bool:
    """Send from now on in this manner; False if that is how it was already."""
    with transaction.atomic():
        now = asdict(manner_of(_lock(subscriber)))
        changed = {name: value for name, value in asdict(manner).items() if now[name] != value}
        if not changed:
            return False
        Subscriber.objects.filter(pk=subscriber.pk).update(**changed)
        consent.record(
            subscriber,
            ConsentKind.CHANGED,
            wording=wording,
            source=f"{source}: {', '.join(sorted(changed))}",
        )
    return True


def leave(subscription: Subscription, *, source: str) -> Subscription:
    """End the person's place on this newsletter, and return it as it has ended, now or before.

    Whatever subscription the link was made for: somebody who left and came back, and now uses the
    link in an old mail, means the mails they get today.
    """
    with transaction.atomic():
        _lock(subscription.subscriber)
        places = Subscription.objects.filter(
            subscriber=subscription.subscriber_id, newsletter=subscription.newsletter_id
        )
        for place in places.open():  # one, says the constraint
            _end(place, source=source)
        return places.select_related("newsletter", "subscriber").latest("ended_at")


def leave_all(subscriber: Subscriber, *, source: str) -> int:
    """End every subscription; return how many there were."""
    with transaction.atomic():
        _lock(subscriber)
        return sum(_end(place, source=source) for place in subscriber.subscriptions.open())


def rejoin(subscription: Subscription, *, source: str) -> bool:
    """Undo having left: same topics, no article lost in between.

    False, and nothing changed, where there is nothing to undo: never confirmed, not ended by its
    reader, back already, the newsletter closed, or the person suppressed or erased.
    """
    with transaction.atomic():
        subscriber = _lock(subscription.subscriber)
        if subscriber.state != SubscriberState.ACTIVE:
            return False
        if suppression.is_suppressed(subscriber.address_hash):
            return False
        if subscriber.subscriptions.open().filter(newsletter=subscription.newsletter_id).exists():
            return False
        left = Subscription.objects.filter(
            pk=subscription.pk,
            confirmed_at__isnull=False,
            ended_by__in=ENDED_BY_THEIR_READER,
        )
        if not subscription.newsletter.is_active or not left.update(ended_at=None, ended_by=""):
            return False
        consent.record(
            subscriber,
            ConsentKind.CHANGED,
            newsletter=subscription.newsletter,
            topics=subscription.topics.all(),
            wording=consent.LEAVE,
            source=source,
        )
        return True


ENDED_BY_THEIR_READER = ["one-click", "page", "preferences", "mail"]


def _lock(subscriber: Subscriber) -> Subscriber:
    """One change of one person at a time. SQLite has one writer anyway."""
    return Subscriber.objects.select_for_update().get(pk=subscriber.pk)


def _end(subscription: Subscription, *, source: str) -> bool:
    still_open = Subscription.objects.open().filter(pk=subscription.pk)
    if not still_open.update(ended_at=Now(), ended_by=source):
        return False
    # "No" takes back a question that was asked before it.
    ServiceMail.objects.confirmations().unused().filter(
        subscriber=subscription.subscriber_id
    ).update(used_at=Now())
    consent.record(
        subscription.subscriber,
        ConsentKind.LEFT,
        newsletter=subscription.newsletter,
        wording=consent.LEAVE,
        source=source,
    )
    return True


def follow(
    subscriber: Subscriber,
    newsletter: Newsletter,
    topics: Collection[Topic],
    *,
    source: str,
    wording: str = consent.CHOOSE,
) -> None:
    """Join one newsletter, or change its topics to exactly these; recorded if that is a change.

    For callers that hold the person's lock and have looked for a suppression.
    """
    subscription, joined = Subscription.objects.open().get_or_create(
        subscriber=subscriber, newsletter=newsletter, defaults={"confirmed_at": Now()}
    )
    # A place that was asked for and not confirmed: this choice confirms it.
    joined |= bool(
        Subscription.objects.filter(pk=subscription.pk, confirmed_at__isnull=True).update(
            confirmed_at=Now()
        )
    )
    changed = set_topics(subscription, topics)
    if joined or changed:
        consent.record(
            subscriber,
            ConsentKind.CHANGED,
            newsletter=newsletter,
            topics=topics,
            wording=wording,
            source=source,
        )


def set_topics(subscription: Subscription, topics: Collection[Topic]) -> bool:
    """Follow exactly these topics; True if that changed anything."""
    followed = set(subscription.follows.values_list("topic_id", flat=True))
    wanted = {topic.pk for topic in topics}
    subscription.follows.filter(topic_id__in=followed - wanted).delete()
    SubscriptionTopic.objects.bulk_create(
        SubscriptionTopic(subscription=subscription, topic_id=topic_id)
        for topic_id in sorted(wanted - followed)
    )
    return followed != wanted
