"""What was asked for and is not confirmed yet, and which mailed link begins what.

There are two kinds, and one never touches the other: the wish of a form, a program or a member of
staff, which is confirmed as a whole, and invitations, each to one private newsletter.
"""

from django.db.models.functions import Now

from subscribers.models import (
    ServiceMail,
    ServiceMailKind,
    ServiceMailQuerySet,
    Subscriber,
    SubscriptionQuerySet,
)


def wish(subscriber: Subscriber) -> SubscriptionQuerySet:
    """What was asked for by a form, a program, an import or staff; no invitation."""
    invited = _open_invitations(subscriber).values("newsletter")
    return subscriber.subscriptions.asked_for().exclude(newsletter__in=invited)


def invited_to(subscriber: Subscriber, newsletter_id: int) -> SubscriptionQuerySet:
    """The place that waits for an invitation to be taken up, if there is one."""
    return subscriber.subscriptions.asked_for().filter(newsletter=newsletter_id)


def begun_by(service_mail: ServiceMail) -> SubscriptionQuerySet:
    """What the link in a confirmation or an invitation begins."""
    if service_mail.kind == ServiceMailKind.INVITATION:
        assert service_mail.newsletter_id is not None
        return invited_to(service_mail.subscriber, service_mail.newsletter_id)
    return wish(service_mail.subscriber)


def links_to_the_same(service_mail: ServiceMail) -> ServiceMailQuerySet:
    """All unused links that begin the same as this one."""
    links = ServiceMail.objects.unused().filter(
        subscriber=service_mail.subscriber_id, kind=service_mail.kind
    )
    if service_mail.kind == ServiceMailKind.INVITATION:
        links = links.filter(newsletter=service_mail.newsletter_id)
    return links


def withdraw(subscriber: Subscriber) -> None:
    """Forget the wish, and use up the links that would have begun it."""
    wish(subscriber).delete()
    ServiceMail.objects.unused().filter(
        subscriber=subscriber, kind=ServiceMailKind.CONFIRMATION
    ).update(used_at=Now())


def withdraw_invitation(subscriber: Subscriber, newsletter_id: int) -> None:
    """Forget what an invitation to this newsletter offered, and use up its links."""
    invited_to(subscriber, newsletter_id).delete()
    _open_invitations(subscriber).filter(newsletter=newsletter_id).update(used_at=Now())


def take_back_questions(subscriber: Subscriber, newsletter_id: int) -> None:
    """Use up what the end of a newsletter answers: open confirmations, and invitations to it."""
    unused = ServiceMail.objects.unused().filter(subscriber=subscriber)
    unused.filter(kind=ServiceMailKind.CONFIRMATION).update(used_at=Now())
    _open_invitations(subscriber).filter(newsletter=newsletter_id).update(used_at=Now())


def _open_invitations(subscriber: Subscriber) -> ServiceMailQuerySet:
    return ServiceMail.objects.unused().filter(
        subscriber=subscriber, kind=ServiceMailKind.INVITATION, newsletter__isnull=False
    )
