"""Asking for newsletters. Whatever is known about an address, the one who asks is told the same."""

from collections.abc import Collection, Iterable

from django.db import transaction

from iria_news.articles.models import Topic
from subscribers import consent, offers, preferences, service_mails, suppression, tasks
from subscribers.addresses import Address
from subscribers.models import (
    ConsentKind,
    Newsletter,
    Subscriber,
    SubscriberState,
    Subscription,
)


def ask(
    address: Address,
    *,
    newsletters: Iterable[Newsletter],
    topics: Collection[Topic],
    source: str,
    wording: str,
) -> None:
    """Write down what somebody asks for, and ask the mailbox itself.

    Returns nothing, so that no caller can tell an address that is with us from one that is not.
    What really happens:

    - unknown, pending, or left everything: the wish is kept, unconfirmed, in place of an earlier
      one, and a confirmation mail is asked for;
    - on a newsletter already: nothing is changed, and at most once a day a mail brings the
      preferences link, for whoever types an address is not always its owner;
    - suppressed, for whatever reason: as if unknown. A mailbox that was gone may be back, and
      after a complaint or an erasure only this way leads back to us. The limits of confirmation
      mails see to it that the form is no way to bother anybody.
    """
    with transaction.atomic():
        subscriber = _subscriber(address)
        served = subscriber.subscriptions.active().exists()
        if served and not suppression.is_suppressed(address.hash):
            service_mails.notify(subscriber)
        else:
            _keep_wish(subscriber, newsletters, topics, source=source, wording=wording)
            service_mails.ask_to_confirm(subscriber)
        tasks.ring_after_commit()


def ask_for_link(address: Address) -> None:
    """Mail the preferences link to whoever is with us; the same for everybody to the one who asks.

    Who never confirmed has no preferences yet, and gets the confirmation mail once more.
    """
    with transaction.atomic():
        subscriber = Subscriber.objects.filter(address_key=address.key).first()
        if subscriber is not None and subscriber.state == SubscriberState.ACTIVE:
            service_mails.ask_for_link(subscriber)
        elif subscriber is not None:
            service_mails.ask_to_confirm(subscriber)
        tasks.ring_after_commit()


def _subscriber(address: Address) -> Subscriber:
    """The person with this address, new and pending if there is none; locked until the commit."""
    subscriber, _ = Subscriber.objects.get_or_create(
        address_key=address.key,
        defaults={"address": address.address, "address_hash": address.hash},
    )
    return Subscriber.objects.select_for_update().get(pk=subscriber.pk)


def _keep_wish(
    subscriber: Subscriber,
    newsletters: Iterable[Newsletter],
    topics: Collection[Topic],
    *,
    source: str,
    wording: str,
) -> None:
    subscriber.subscriptions.asked_for().delete()
    taken = set(subscriber.subscriptions.open().values_list("newsletter_id", flat=True))
    for newsletter in newsletters:
        followed = offers.carried(newsletter, topics)
        if newsletter.pk not in taken:
            place = Subscription.objects.create(subscriber=subscriber, newsletter=newsletter)
            preferences.set_topics(place, followed)
        consent.record(
            subscriber,
            ConsentKind.ASKED,
            newsletter=newsletter,
            topics=followed,
            wording=wording,
            source=source,
        )
