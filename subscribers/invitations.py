"""Inviting people to a private newsletter, which nobody can join by a form."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from django.contrib.auth.models import User
from django.db import transaction

from iria_news.articles.models import Topic
from subscribers import (
    addresses,
    consent,
    doorbell,
    offers,
    preferences,
    service_mails,
    signup,
    suppression,
    wishes,
)
from subscribers.addresses import Address
from subscribers.models import ConsentKind, Newsletter, Subscriber, Subscription


class NotPrivate(ValueError):
    """Anybody may join it by the form, or it is closed: there is nothing to invite to."""


class NoTopic(ValueError):
    """The newsletter carries none of the topics, so an invited reader would get nothing."""


@dataclass
class Invited:
    """What became of the addresses, each once however often it was given."""

    invited: int = 0
    already: int = 0  # readers of this newsletter
    suppressed: int = 0  # we stopped writing to them, and an invitation is no way back
    too_soon: int = 0  # had an invitation minutes ago, or too many that they did not answer
    invalid: list[str] = field(default_factory=list)  # a sentence for each


def invite(
    newsletter: Newsletter,
    addresses_typed: Iterable[str],
    *,
    by: User,
    topics: Collection[Topic] | None = None,
) -> Invited:
    """Mail an invitation to each address; without topics, to everything the newsletter carries.

    An earlier invitation to this newsletter that was not answered is replaced, with its links.
    Nothing else about a person changes. Raises NotPrivate and NoTopic.
    """
    if not (newsletter.is_private and newsletter.is_active):
        raise NotPrivate(f"{newsletter} is not an active private newsletter.")
    followed = offers.carried(newsletter, Topic.objects.all() if topics is None else topics)
    if not followed:
        raise NoTopic(f"{newsletter} carries none of these topics.")
    result = Invited()
    # One by one: a person pastes some hundreds at most, and each takes a decision of its own.
    for address in _parsed(addresses_typed, result):
        _invite_one(newsletter, address, followed, source=f"staff {by.pk}", result=result)
    return result


def _parsed(typed: Iterable[str], result: Invited) -> list[Address]:
    found: dict[str, Address] = {}
    for each in typed:
        try:
            address = addresses.parse(each)
        except addresses.BadAddress as error:
            result.invalid.append(str(error))
        else:
            found.setdefault(address.key, address)
    return list(found.values())


def _invite_one(
    newsletter: Newsletter,
    address: Address,
    topics: Collection[Topic],
    *,
    source: str,
    result: Invited,
) -> None:
    if suppression.is_suppressed(address.hash):
        result.suppressed += 1
        return
    with transaction.atomic():
        subscriber = signup.person(address)
        places = subscriber.subscriptions.active()
        if places.filter(newsletter=newsletter).exists():
            result.already += 1
        elif not service_mails.may_invite(subscriber):
            result.too_soon += 1
        else:
            _offer(subscriber, newsletter, topics, source=source)
            result.invited += 1


def _offer(
    subscriber: Subscriber, newsletter: Newsletter, topics: Collection[Topic], *, source: str
) -> None:
    wishes.withdraw_invitation(subscriber, newsletter.pk)
    place = Subscription.objects.create(subscriber=subscriber, newsletter=newsletter)
    preferences.set_topics(place, topics)
    consent.record(
        subscriber,
        ConsentKind.ASKED,
        newsletter=newsletter,
        topics=topics,
        wording=consent.INVITE,
        source=source,
    )
    service_mails.ask_to_accept(subscriber, newsletter)
    doorbell.ring_after_commit()
