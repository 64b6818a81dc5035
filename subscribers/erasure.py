"""Erasing a person: gone from every table; a keyed hash stays, so that nothing brings them back.

The number of the row stays, for old ledgers count it. Who keeps more about people than this app
knows adds a function to PARTS.
"""

import re
from collections.abc import Callable

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from iria_news.articles.models import Language
from subscribers import consent, inbound
from subscribers.importing import keeping
from subscribers.models import (
    ConsentEvent,
    ConsentKind,
    FormerAddress,
    ServiceMail,
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
LONGEST_SOURCE = 200  # characters, as its column
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


def erase(subscriber: Subscriber, *, source: str, wording: str = consent.NONE) -> bool:
    """Clear the person from every table, for good; False if that was done before.

    All or nothing. What stays: the row's number without an address, the consent events without
    one, and a Suppression of each address they had with us, which only a new sign-up with
    confirmation ends (F14). A mail whose intent was committed before may still leave (G5). Files
    follow when the rows are gone: reading them takes a while, and holds up nobody.
    """
    with transaction.atomic():
        subscriber = Subscriber.objects.select_for_update().get(pk=subscriber.pk)
        if subscriber.state == SubscriberState.ERASED:
            return False
        _suppress(subscriber)
        _forget_requests(subscriber)
        _clean_events(subscriber)
        # Somebody else may have asked to move to this address, or have moved away from it.
        ServiceMail.objects.filter(to_address__iexact=subscriber.address).delete()
        consent.record(subscriber, ConsentKind.ERASED, wording=wording, source=source)
        WebhookEvent.objects.filter(subscriber=subscriber).delete()
        subscriber.notes.all().delete()
        empty(subscriber)
    forget_files(subscriber.address, subscriber.address_key or "")
    return True


def forget_earlier_address(subscriber: Subscriber) -> None:
    """Take the address that its reader is about to leave out of the rows, and keep its hash.

    Inside the transaction that changes it, for later nobody could tell what to look for.
    `forget_files` goes after it.
    """
    _forget_requests(subscriber)
    spelling = re.compile(re.escape(subscriber.address), re.IGNORECASE)
    for event in _events_that_name(subscriber):  # a few at most: somebody typed it there
        event.source = spelling.sub(REMOVED, event.source)[:LONGEST_SOURCE]
        event.save(update_fields=["source"])
    FormerAddress.objects.get_or_create(subscriber=subscriber, address_hash=subscriber.address_hash)


def forget_files(address: str, address_key: str) -> None:
    """Delete what lies on the disk and may name this address; after the commit (see `erase`)."""
    inbound.forget_person(address, address_key)
    keeping.forget_person(address, address_key)


def empty(subscriber: Subscriber) -> None:
    """Leave of a row nothing but its number; its places and mails go with the person."""
    for forget in PARTS:
        forget(subscriber)
    subscriber.service_mails.all().delete()
    subscriber.former_addresses.all().delete()
    subscriber.subscriptions.all().delete()
    Subscriber.objects.filter(pk=subscriber.pk).update(**NOBODY)


def _suppress(subscriber: Subscriber) -> None:
    """The address and the earlier ones, but for those that are another reader's by now."""
    earlier = set(subscriber.former_addresses.values_list("address_hash", flat=True))
    others = Subscriber.objects.active().filter(address_hash__in=earlier)
    earlier.difference_update(others.values_list("address_hash", flat=True))
    for address_hash in sorted({subscriber.address_hash, *earlier}):
        Suppression.objects.update_or_create(
            address_hash=address_hash,
            # The time says which files may be older than the erasure (`keeping`).
            defaults={"reason": SuppressionReason.ERASURE, "note": "", "created_at": Now()},
        )


def _forget_requests(subscriber: Subscriber) -> None:
    """A form that was sent before, and that no worker has looked at yet."""
    SignUpRequest.objects.filter(
        Q(address__iexact=subscriber.address) | Q(address__iexact=subscriber.address_key)
    ).delete()


def _clean_events(subscriber: Subscriber) -> None:
    """A source is a page or a file; if somebody typed the address into it, it goes."""
    _events_that_name(subscriber).update(source=REMOVED)


def _events_that_name(subscriber: Subscriber) -> QuerySet[ConsentEvent]:
    return ConsentEvent.objects.filter(subscriber=subscriber, source__icontains=subscriber.address)
