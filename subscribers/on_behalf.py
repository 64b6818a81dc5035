"""What a program of others may change for a reader, by its key: other topics, hours, a pause, less.

Never more: no press of the reader stands behind it, so nothing here joins a newsletter, confirms
one that was only asked for, or lifts a suppression (F14).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.db import transaction

from iria_news.articles.models import Topic
from subscribers import consent, pausing, preferences, suppression
from subscribers.models import Newsletter, Subscriber, SubscriberState, Subscription


class NotConfirmed(Exception):
    """The reader has not pressed the button in our mail yet: there is nothing to change."""


class NotOnIt(Exception):
    """The reader is not on one of these newsletters. Only a sign-up of theirs changes that."""


@dataclass(frozen=True)
class Changes:
    """What is to be different; whatever is not named stays as it is."""

    topics: Mapping[Newsletter, Collection[Topic]] = field(default_factory=dict)
    manner: Mapping[str, Any] = field(default_factory=dict)  # of `preferences.Manner`
    pauses: bool = False  # whether `paused_until` says anything
    paused_until: datetime | None = None  # UTC; None ends a pause


def change(subscriber: Subscriber, changes: Changes, *, source: str) -> None:
    """Make the changes, all or none; the same again changes and records nothing.

    Raises NotConfirmed, NotOnIt, and `preferences.Suppressed`.
    """
    with transaction.atomic():
        subscriber = Subscriber.objects.select_for_update().get(pk=subscriber.pk)
        if suppression.is_suppressed(subscriber.address_hash):
            raise preferences.Suppressed
        if subscriber.state != SubscriberState.ACTIVE:
            raise NotConfirmed
        _topics(subscriber, changes.topics, source=source)
        manner = replace(preferences.manner_of(subscriber), **changes.manner)
        preferences.adjust(subscriber, manner, source=source, wording=consent.NONE)
        if changes.pauses and changes.paused_until:
            pausing.pause(subscriber, changes.paused_until, source=source, wording=consent.NONE)
        elif changes.pauses:
            pausing.resume(subscriber, source=source, wording=consent.NONE)


def end(subscriber: Subscriber, newsletters: Collection[Newsletter] | None, *, by: str) -> None:
    """End the reader's places on these newsletters, on all of them for None.

    Also those that were only asked for: a later press on their link then begins nothing. `by` is
    at most 20 characters.
    """
    if newsletters is None:
        preferences.leave_all(subscriber, source=by)
        return
    with transaction.atomic():
        for place in subscriber.subscriptions.open().filter(newsletter__in=newsletters):
            preferences.leave(place, source=by)


def _topics(
    subscriber: Subscriber, topics: Mapping[Newsletter, Collection[Topic]], *, source: str
) -> None:
    theirs = Subscription.objects.active().filter(subscriber=subscriber)
    if set(topics) - {place.newsletter for place in theirs.select_related("newsletter")}:
        raise NotOnIt
    for newsletter, followed in topics.items():
        preferences.follow(subscriber, newsletter, followed, source=source, wording=consent.NONE)
