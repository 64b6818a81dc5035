"""Erasing a person: gone from every table; a keyed hash stays, so that nothing brings them back.

The number of the row stays, for old ledgers count it. Who keeps more about people than this app
knows adds a function to PARTS.
"""

from collections.abc import Callable

from django.db import transaction
from django.db.models import Q

from iria_news.articles.models import Language
from subscribers import consent, inbound
from subscribers.importing import keeping
from subscribers.models import (
    ConsentEvent,
    ConsentKind,
    SignUpRequest,
    Subscriber,
    SubscriberState,
    Suppression,
    SuppressionReason,
    WebhookEvent,
)

# Each takes out what it keeps about a person, inside the transaction and while the address is
# still known. Called again for a person without an address it must do no harm.
PARTS: list[Callable[[Subscriber], None]] = []
REMOVED = "(removed)"
# Every column of a person but the number, and the day on which the row was made.
NOBODY = {
    "address": "",
    "address_key": None,
    "address_hash": "",
    "name": "",
    "language": Language.ENGLISH,
    "state": SubscriberState.ERASED,
    "confirmed_at": None,
    "imported_by": None,
    "zone": "",
    "hour": None,
    "wants_text": False,
    "refuses_tracking": False,
    "paused_from": None,
    "paused_until": None,
    "wants_catch_up": True,
}


def erase(subscriber: Subscriber, *, source: str) -> bool:
    """Clear the person from every table, for good; False if that was done before.

    All or nothing. What stays: the row's number without an address, the consent events without
    one, and a Suppression that only a new sign-up with confirmation ends (F14). A mail whose intent
    was committed before may still leave (G5).
    """
    with transaction.atomic():
        subscriber = Subscriber.objects.select_for_update().get(pk=subscriber.pk)
        if subscriber.state == SubscriberState.ERASED:
            return False
        Suppression.objects.update_or_create(
            address_hash=subscriber.address_hash,
            defaults={"reason": SuppressionReason.ERASURE, "note": ""},
        )
        inbound.forget_person(subscriber)
        keeping.forget_person(subscriber.address, subscriber.address_key or "")
        _forget_requests(subscriber)
        _clean_events(subscriber)
        consent.record(subscriber, ConsentKind.ERASED, wording=consent.ERASE, source=source)
        WebhookEvent.objects.filter(subscriber=subscriber).delete()
        subscriber.notes.all().delete()
        empty(subscriber)
    return True


def empty(subscriber: Subscriber) -> None:
    """Leave of a row nothing but its number; its places and mails go with the person."""
    for forget in PARTS:
        forget(subscriber)
    subscriber.service_mails.all().delete()
    subscriber.subscriptions.all().delete()
    Subscriber.objects.filter(pk=subscriber.pk).update(**NOBODY)


def _forget_requests(subscriber: Subscriber) -> None:
    """A form that was sent before, and that no worker has looked at yet."""
    SignUpRequest.objects.filter(
        Q(address__iexact=subscriber.address) | Q(address__iexact=subscriber.address_key)
    ).delete()


def _clean_events(subscriber: Subscriber) -> None:
    """A source is a page or a file; if somebody typed the address into it, it goes."""
    ConsentEvent.objects.filter(subscriber=subscriber, source__icontains=subscriber.address).update(
        source=REMOVED
    )
