"""The second half of the double opt-in: the button behind the link in a confirmation mail."""

from django.db import transaction
from django.db.models.functions import Now

from subscribers import consent, suppression
from subscribers.models import (
    ConsentKind,
    ServiceMail,
    Subscriber,
    SubscriberState,
    Subscription,
    SubscriptionTopic,
)


class LinkUsed(Exception):
    """Confirmed already, or taken back by an unsubscription since. Nothing was changed."""


def confirm(service_mail: ServiceMail, *, source: str) -> Subscriber:
    """Begin everything that was asked for, and return whose it is. Raises LinkUsed.

    Of two presses at the same moment one wins. The other links that were mailed for the same wish
    are used up, too. What is followed counts from now: older articles are no news. A suppression
    ends, for this is the sign-up with confirmation that F14 asks for.
    """
    with transaction.atomic():
        link = ServiceMail.objects.confirmations().unused().filter(pk=service_mail.pk)
        if not link.update(used_at=Now()):
            raise LinkUsed
        subscriber = Subscriber.objects.select_for_update().get(pk=service_mail.subscriber_id)
        places = list(subscriber.subscriptions.asked_for().select_related("newsletter"))
        if not places:
            raise LinkUsed
        ServiceMail.objects.confirmations().unused().filter(subscriber=subscriber).update(
            used_at=Now()
        )
        Subscriber.objects.filter(pk=subscriber.pk, state=SubscriberState.PENDING).update(
            state=SubscriberState.ACTIVE, confirmed_at=Now()
        )
        Subscription.objects.filter(pk__in=[place.pk for place in places]).update(
            confirmed_at=Now()
        )
        SubscriptionTopic.objects.filter(subscription__in=places).update(since=Now())
        suppression.lift_by_confirmation(subscriber.address_hash)
        for place in places:
            consent.record(
                subscriber,
                ConsentKind.CONFIRMED,
                newsletter=place.newsletter,
                topics=place.topics.all(),
                wording=consent.CONFIRM,
                source=source,
            )
    subscriber.refresh_from_db()
    return subscriber
