"""Choosing newsletters and topics, leaving, and coming back by the undo button.

Somebody has proved, by a link from a mail, that the mailbox is theirs; how is not known here.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from django.db import transaction
from django.db.models.functions import Now

from iria_news.articles.models import Language, Topic
from subscribers import consent, pausing, suppression, wishes
from subscribers.importing.judging import UNDONE
from subscribers.models import (
    ConsentKind,
    Newsletter,
    Subscriber,
    SubscriberState,
    Subscription,
    SubscriptionQuerySet,
    SubscriptionTopic,
)


class Gone(Exception):
    """The person was erased, or became one with somebody else, in between. Nothing was changed."""


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
    language: str = Language.ENGLISH  # of our pages and service mails; never of newsletters


def save(
    subscriber: Subscriber,
    choices: Mapping[Newsletter, Collection[Topic]],
    manner: Manner,
    pause_until: datetime | None,
    *,
    source: str,
) -> None:
    """Take over all that the preferences page has, or nothing: raises Suppressed and Gone."""
    with transaction.atomic():
        subscriber = _lock(subscriber)
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
    again changes and records nothing. What was only asked for or offered by an invitation, and is
    not chosen, goes on waiting for its answer: nothing that was ticked is taken away. Raises Gone,
    and Suppressed if anything is chosen for an address that we stopped writing to.
    """
    with transaction.atomic():
        subscriber = _lock(subscriber)
        if choices and suppression.is_suppressed(subscriber.address_hash):
            raise Suppressed
        for place in subscriber.subscriptions.active().select_related("newsletter"):
            if place.newsletter not in choices:
                _end(subscriber, place, source=source, wording=consent.CHOOSE)
        for newsletter, topics in choices.items():
            follow(subscriber, newsletter, topics, source=source)


def manner_of(subscriber: Subscriber) -> Manner:
    return Manner(**{name: getattr(subscriber, name) for name in Manner.__dataclass_fields__})


def adjust(
    subscriber: Subscriber, manner: Manner, *, source: str, wording: str = consent.CHOOSE
) -> bool:
    """Send from now on in this manner; False if that is how it was already. Raises Gone."""
    with transaction.atomic():
        subscriber = _lock(subscriber)
        now = asdict(manner_of(subscriber))
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


def leave(
    subscription: Subscription, *, source: str, wording: str = consent.NONE
) -> Subscription | None:
    """End the person's place on this newsletter, and return it as it has ended, now or before.

    Whatever subscription the link was made for: somebody who left and came back, and now uses the
    link in an old mail, means the mails they get today. None if the person was erased in between.
    `wording` is what the page of the button says, if there is a page.
    """
    with transaction.atomic():
        subscriber = _whose(subscription)
        if subscriber is None:
            return None
        places = Subscription.objects.filter(
            subscriber=subscriber, newsletter=subscription.newsletter_id
        ).select_related("newsletter", "subscriber")
        _end_all(subscriber, places, source=source, wording=wording)
        return places.latest("ended_at")


def leave_all(subscriber: Subscriber, *, source: str, wording: str = consent.NONE) -> int:
    """End every subscription; return how many there were, none of somebody who is erased."""
    with transaction.atomic():
        try:
            subscriber = _lock(subscriber)
        except Gone:
            return 0
        places = Subscription.objects.filter(subscriber=subscriber).select_related("newsletter")
        return _end_all(subscriber, places, source=source, wording=wording)


def rejoin(subscription: Subscription, *, source: str) -> bool:
    """Undo having left when `subscription` says: same topics, no article lost in between.

    False, and nothing changed, where there is nothing to undo: never confirmed, not ended by its
    reader, or anew since, back already, the newsletter closed, the person suppressed or erased.
    """
    with transaction.atomic():
        subscriber = _who_may_rejoin(subscription)
        if subscriber is None:
            return False
        left = Subscription.objects.filter(pk=subscription.pk, ended_by__in=ENDED_BY_THEIR_READER)
        if not left.update(ended_at=None, ended_by=""):  # stopped by us at this very moment
            return False
        consent.record(
            subscriber,
            ConsentKind.CHANGED,
            newsletter=subscription.newsletter,
            topics=subscription.topics.all(),
            wording=consent.LESS,
            source=source,
        )
        return True


def _who_may_rejoin(subscription: Subscription) -> Subscriber | None:
    """The person, locked; None where there is nothing to undo."""
    try:
        subscriber = _lock(subscription.subscriber)
    except Gone:
        return None
    theirs = Subscription.objects.filter(subscriber=subscriber)
    left = theirs.filter(
        pk=subscription.pk, confirmed_at__isnull=False, ended_by__in=ENDED_BY_THEIR_READER
    )
    # Compared here: SQLite writes the same instant in more than one way.
    as_seen = list(left.values_list("ended_at", flat=True)) == [subscription.ended_at]
    may = (
        as_seen
        and subscription.newsletter.is_active
        and subscriber.state == SubscriberState.ACTIVE
        and not theirs.open().filter(newsletter=subscription.newsletter_id).exists()
        and not suppression.is_suppressed(subscriber.address_hash)
    )
    return subscriber if may else None


ENDED_BY_THEIR_READER = ["one-click", "page", "preferences", "mail"]


def _lock(subscriber: Subscriber) -> Subscriber:
    """One change of one person at a time; the person as they are now. Raises Gone.

    SQLite has one writer anyway.
    """
    found = Subscriber.objects.select_for_update().filter(pk=subscriber.pk).first()
    if found is None or found.state == SubscriberState.ERASED:
        raise Gone
    return found


def _whose(subscription: Subscription) -> Subscriber | None:
    """The person of this subscription, locked; None if it is gone with its person.

    While we waited for the lock, two people may have become one, and the place have moved.
    """
    owner = Subscription.objects.filter(pk=subscription.pk).values_list("subscriber", flat=True)
    number = owner.first()
    while number is not None:
        people = Subscriber.objects.select_for_update().filter(pk=number)
        found, number = people.first(), owner.first()
        if found is not None and found.pk == number:
            return found
    return None


def _end_all(
    subscriber: Subscriber, places: SubscriptionQuerySet, *, source: str, wording: str
) -> int:
    """End what is open of these places; return how many there were.

    If nothing is, "no" stands for those that the undoing of an import has ended: the next import
    must not bring them back.
    """
    ended = [
        _end(subscriber, place, source=source, wording=wording) for place in list(places.open())
    ]
    if not ended:
        for place in places.filter(ended_by=UNDONE):
            Subscription.objects.filter(pk=place.pk).update(ended_by=source)
            _record_left(subscriber, place, source=source, wording=wording)
    return sum(ended)


def _end(subscriber: Subscriber, place: Subscription, *, source: str, wording: str) -> bool:
    still_open = Subscription.objects.open().filter(pk=place.pk)
    if not still_open.update(ended_at=Now(), ended_by=source):
        return False
    wishes.take_back_questions(subscriber, place.newsletter_id)
    _record_left(subscriber, place, source=source, wording=wording)
    return True


def _record_left(subscriber: Subscriber, place: Subscription, *, source: str, wording: str) -> None:
    consent.record(
        subscriber,
        ConsentKind.LEFT,
        newsletter=place.newsletter,
        wording=wording,
        source=source,
    )


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
