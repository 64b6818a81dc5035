"""What staff do for a reader who asks by letter or telephone, in place of their own press."""

from django.db import transaction

from subscribers import doorbell, preferences, service_mails, suppression
from subscribers.models import Subscriber, SubscriberState, Subscription

BY_STAFF = "staff"  # in ended_by, and as the source of the consent event


class NoMailGoesThere(Exception):
    """Suppressed, erased or never confirmed: there is no preferences link to mail."""


def mail_link(subscriber: Subscriber) -> bool:
    """Mail the preferences link to its owner; False if they had enough of them lately.

    Raises NoMailGoesThere.
    """
    with transaction.atomic():
        if subscriber.state != SubscriberState.ACTIVE or suppression.is_suppressed(
            subscriber.address_hash
        ):
            raise NoMailGoesThere
        asked = service_mails.ask_for_link(subscriber)
        doorbell.ring_after_commit()
        return asked


def end(subscription: Subscription) -> bool:
    """End one subscription; False if it had ended before."""
    with transaction.atomic():
        still_open = Subscription.objects.open().select_for_update().filter(pk=subscription.pk)
        if not still_open.exists():
            return False
        preferences.leave(subscription, source=BY_STAFF)
        return True
