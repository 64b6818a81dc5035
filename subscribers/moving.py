"""A change of address: asked for on the preferences page, proved at the new one, told to the old.

Whoever asks learns nothing about the new address: all that depends on it happens behind the link
that is mailed there.
"""

from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from subscribers import (
    addresses,
    consent,
    doorbell,
    erasure,
    mailboxes,
    service_mails,
    suppression,
)
from subscribers.addresses import Address
from subscribers.models import (
    ConsentEvent,
    ConsentKind,
    ServiceMail,
    ServiceMailKind,
    ServiceMailState,
    Subscriber,
    SubscriberNote,
    SubscriberState,
    Subscription,
    SubscriptionTopic,
    WebhookEvent,
)

MOVED = "address"  # the source of the event that says when an address was changed


class SameAddress(Exception):
    """It is the reader's address already. Nothing was changed."""


class AskedTooOften(Exception):
    """The reader had enough mails about a change today. Nothing was changed."""


class LinkUsed(Exception):
    """Used already, asked for anew since, or one of the addresses may not be written to."""


def ask(subscriber: Subscriber, address: Address) -> None:
    """Mail a link to the new address; earlier such links of this reader work no more.

    Raises SameAddress or AskedTooOften. Whether the new address is with us, or suppressed, is not
    even looked up: the mail and the page behind its link take care of that.
    """
    if address.address == subscriber.address:
        raise SameAddress
    with transaction.atomic():
        Subscriber.objects.select_for_update().get(pk=subscriber.pk)
        asked = ServiceMail.objects.filter(subscriber=subscriber, kind=ServiceMailKind.NEW_ADDRESS)
        if not service_mails.ask_new_address(subscriber, address):
            raise AskedTooOften
        newest = asked.latest("pk")
        asked.unused().exclude(pk=newest.pk).update(used_at=Now())
        doorbell.ring_after_commit()


def asked_of(service_mail_id: int) -> ServiceMail | None:
    """The mail to a new address whose link still works, or None."""
    found = (
        ServiceMail.objects.unused()
        .filter(pk=service_mail_id, kind=ServiceMailKind.NEW_ADDRESS)
        .select_related("subscriber")
        .first()
    )
    if found is None or found.subscriber.state != SubscriberState.ACTIVE:
        return None
    new = addresses.parse(found.to_address)
    blocked = suppression.is_suppressed(new.hash)
    return None if blocked or suppression.is_suppressed(found.subscriber.address_hash) else found


def confirm(service_mail: ServiceMail) -> Subscriber:
    """Write to the new address from now on, and tell the old one. Raises LinkUsed.

    Of two presses at the same moment one wins. If the new address is with us as another person,
    the two become one (see `_merge`). Links to confirm or to the preferences that were made before
    open no more: they may lie in a mailbox that is somebody else's by now. The earlier address goes
    from rows and files; its hash stays, so that no import of an old list writes to it.
    """
    new = addresses.parse(service_mail.to_address)
    with transaction.atomic():
        people = Subscriber.objects.select_for_update().filter(
            Q(pk=service_mail.subscriber_id) | Q(address_key=new.key)
        )
        both = {each.pk: each for each in people.order_by("pk")}
        link = ServiceMail.objects.unused().filter(pk=service_mail.pk)
        if asked_of(service_mail.pk) is None or not link.update(used_at=Now()):
            raise LinkUsed
        subscriber = both.pop(service_mail.subscriber_id)
        for other in both.values():
            _merge(other, into=subscriber)
        _let_go_of(subscriber)
        old, old_key = subscriber.address, subscriber.address_key or ""
        if new.key != old_key:
            erasure.forget_earlier_address(subscriber)
            subscriber.former_addresses.filter(address_hash=new.hash).delete()
        subscriber.address, subscriber.address_key = new.address, new.key
        subscriber.address_hash = new.hash
        subscriber.save(update_fields=["address", "address_key", "address_hash"])
        service_mails.tell_old_address(subscriber, old)
        consent.record(subscriber, ConsentKind.CHANGED, wording=consent.ADDRESS, source=MOVED)
        mailboxes.answered(new.key)
        doorbell.ring_after_commit()
    if new.key != old_key:
        erasure.forget_files(old, old_key)
    return subscriber


def moved_at(subscriber_id: int) -> datetime | None:
    """When the address was last changed; None if it never was."""
    moves = ConsentEvent.objects.filter(subscriber=subscriber_id, source=MOVED)
    return moves.order_by("-at").values_list("at", flat=True).first()


def is_before_move(subscriber_id: int, issued_at: datetime) -> bool:
    """Whether a link made then may belong to an earlier address.

    Links know whole seconds only, rounded down: one of the very second of the change is refused,
    whichever mailbox it went to. The page about it offers a fresh one.
    """
    moved = moved_at(subscriber_id)
    return moved is not None and issued_at < moved


def _let_go_of(subscriber: Subscriber) -> None:
    """Links and mails that were meant for the earlier address."""
    mails = ServiceMail.objects.filter(subscriber=subscriber)
    mails.confirmations().unused().update(used_at=Now())
    waiting = mails.filter(state=ServiceMailState.WAITING, to_address="")
    waiting.update(
        state=ServiceMailState.FAILED, settled_at=timezone.now(), reason="address changed"
    )


def _merge(other: Subscriber, *, into: Subscriber) -> None:
    """Make two rows of one person one: `other` gives its places, consent and notes away.

    Every newsletter of either goes on, with the topics of both, so the more frequent choice wins;
    hour, format and pause are those of the one who asked. Unsubscribe links in mails to either
    address go on working, for the places move and keep their numbers. What `other` was sent is not
    known to `into`, so what came from there counts from now: rather an article of today missed
    than a week of them doubled.
    """
    other.subscriptions.asked_for().delete()
    mine = {place.newsletter_id: place for place in into.subscriptions.open()}
    for place in other.subscriptions.open():
        if place.newsletter_id in mine:
            _join_topics(place, into=mine[place.newsletter_id])
        else:
            SubscriptionTopic.objects.filter(subscription=place).update(since=Now())
    Subscription.objects.filter(subscriber=other).update(subscriber=into)
    ConsentEvent.objects.filter(subscriber=other).update(subscriber=into)
    SubscriberNote.objects.filter(subscriber=other).update(subscriber=into)
    WebhookEvent.objects.filter(subscriber=other).update(subscriber=into)
    mine_too = into.former_addresses.values("address_hash")
    other.former_addresses.exclude(address_hash__in=mine_too).update(subscriber=into)
    erasure.empty(other)


def _join_topics(place: Subscription, *, into: Subscription) -> None:
    Subscription.objects.filter(pk=into.pk, confirmed_at__isnull=True).update(
        confirmed_at=place.confirmed_at
    )
    followed = into.follows.values("topic")
    for follow in place.follows.exclude(topic__in=followed):
        SubscriptionTopic.objects.create(subscription=into, topic_id=follow.topic_id)
    Subscription.objects.filter(pk=place.pk).update(ended_at=Now(), ended_by="merged")
