"""Addresses that we stopped writing to. Knows hashes, so that a mark outlives its person."""

from django.db import transaction
from django.db.models.functions import Now

from subscribers import consent
from subscribers.models import (
    ConsentKind,
    EventKind,
    ServiceMail,
    Subscriber,
    Suppression,
    SuppressionReason,
)
from subscribers.webhooks import events

# An operator's own act is no news to the programs of the house; an erasure is told by `consent`.
TOLD_AS = {
    SuppressionReason.GONE: EventKind.BOUNCED,
    SuppressionReason.COMPLAINT: EventKind.COMPLAINED,
}


class NotYoursToLift(Exception):
    """Only its reader can end this suppression, by a new sign-up with confirmation (F14)."""


def is_suppressed(address_hash: str) -> bool:
    return Suppression.objects.filter(address_hash=address_hash).exists()


def suppress(address_hash: str, reason: SuppressionReason, *, note: str = "") -> bool:
    """Stop every mail to an address; False if it was stopped before (the first reason stays).

    Ends all subscriptions of its subscriber, if there is one, and with them the confirmation
    links that are still open. `note` is for operators and never holds an address.
    """
    with transaction.atomic():
        _, created = Suppression.objects.get_or_create(
            address_hash=address_hash, defaults={"reason": reason, "note": note}
        )
        subscriber = Subscriber.objects.filter(address_hash=address_hash).first()
        if subscriber is None:
            return created
        ended = subscriber.subscriptions.open().update(ended_at=Now(), ended_by=reason)
        ServiceMail.objects.confirmations().unused().filter(subscriber=subscriber).update(
            used_at=Now()
        )
        if created or ended:
            consent.record(
                subscriber, ConsentKind.SUPPRESSED, wording=consent.NONE, source=f"we: {reason}"
            )
            if kind := TOLD_AS.get(reason):
                events.emit(kind, subscriber=subscriber)
        return created


def lift_by_operator(suppression: Suppression) -> bool:
    """End a suppression by hand; False if it was gone already.

    People press "spam" by mistake, and write to us about it: a complaint may be lifted. Raises
    NotYoursToLift for every other reason. Subscriptions that ended stay ended.
    """
    if suppression.reason != SuppressionReason.COMPLAINT:
        raise NotYoursToLift(suppression)
    return _delete(suppression.address_hash)


def lift_by_confirmation(address_hash: str) -> bool:
    """End whatever suppression there is: its reader has just pressed the button in a mail of ours.

    That is the latest and clearest word on the matter, also after a complaint or an erasure; and
    of a mailbox that was gone it proves that somebody reads it again.
    """
    return _delete(address_hash)


def _delete(address_hash: str) -> bool:
    deleted, _ = Suppression.objects.filter(address_hash=address_hash).delete()
    return deleted > 0
