"""The second half of the double opt-in: the button behind the link in a confirmation mail."""

from django.db import transaction
from django.db.models.functions import Now

from subscribers import consent, doorbell, mailboxes, service_mails, suppression, wishes
from subscribers.models import (
    ConsentKind,
    ServiceMail,
    ServiceMailKind,
    Subscriber,
    SubscriberState,
    Subscription,
    SubscriptionTopic,
)


class LinkUsed(Exception):
    """Confirmed already, or taken back by an unsubscription since. Nothing was changed."""


def confirm(service_mail: ServiceMail, *, source: str) -> Subscriber:
    """Begin what this mail asked about, and return whose it is. Raises LinkUsed.

    Of two presses at the same moment one wins. The other links that were mailed for the same wish
    are used up, too. What is followed counts from now: older articles are no news. A suppression
    ends, for this is the sign-up with confirmation that F14 asks for; but not by an invitation,
    which was our idea. A mail of welcome is asked for.
    """
    with transaction.atomic():
        # The person first, as everybody does who changes something about them.
        people = Subscriber.objects.select_for_update().filter(pk=service_mail.subscriber_id)
        subscriber = people.first()
        if subscriber is None:  # taken back with their import, or forgotten, in between
            raise LinkUsed
        _use(service_mail, subscriber)
        places = list(
            wishes.begun_by(service_mail).select_related("newsletter").order_by("created_at", "pk")
        )
        if not places:
            raise LinkUsed
        wishes.links_to_the_same(service_mail).update(used_at=Now())
        _begin(subscriber, places, source=source)
        mailboxes.answered(subscriber.address_key or "")
        if service_mail.kind == ServiceMailKind.CONFIRMATION:
            suppression.lift_by_confirmation(subscriber.address_hash)
        service_mails.ask_welcome(subscriber, places[0].newsletter)
        doorbell.ring_after_commit()
    subscriber.refresh_from_db()
    return subscriber


def _use(service_mail: ServiceMail, subscriber: Subscriber) -> None:
    """Use the link up; raises LinkUsed if it is no good."""
    link = ServiceMail.objects.confirmations().unused().filter(pk=service_mail.pk)
    invites = service_mail.kind == ServiceMailKind.INVITATION
    if invites and suppression.is_suppressed(subscriber.address_hash):
        raise LinkUsed
    if not link.update(used_at=Now()):
        raise LinkUsed


def _begin(subscriber: Subscriber, places: list[Subscription], *, source: str) -> None:
    Subscriber.objects.filter(pk=subscriber.pk, state=SubscriberState.PENDING).update(
        state=SubscriberState.ACTIVE, confirmed_at=Now()
    )
    Subscription.objects.filter(pk__in=[place.pk for place in places]).update(confirmed_at=Now())
    SubscriptionTopic.objects.filter(subscription__in=places).update(since=Now())
    for place in places:
        consent.record(
            subscriber,
            ConsentKind.CONFIRMED,
            newsletter=place.newsletter,
            topics=place.topics.all(),
            wording=consent.CONFIRM,
            source=source,
        )
