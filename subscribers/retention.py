"""What is forgotten when nobody needs it any more."""

from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef

from subscribers.models import (
    ServiceMail,
    ServiceMailState,
    Subscriber,
    SubscriberState,
    Subscription,
)

UNCONFIRMED_FOR = timedelta(days=7)  # the pages and mails say so
SERVICE_MAILS_FOR = timedelta(days=30)  # after that not even a late bounce asks for them


def forget(now: datetime) -> dict[str, int]:
    """Delete what is overdue at `now` and say how much; a second run finds nothing."""
    return {
        "unconfirmed subscribers": _forget_unconfirmed_subscribers(now),
        "unconfirmed subscriptions": _forget_unconfirmed_subscriptions(now),
        "service mails": _forget_service_mails(now),
    }


def _forget_unconfirmed_subscribers(now: datetime) -> int:
    """People who never confirmed, with everything that was kept about them (W7).

    Who asked again has 7 days from the last mail on, or its link would lead nowhere.
    """
    before = now - UNCONFIRMED_FOR
    asked_lately = ServiceMail.objects.filter(subscriber=OuterRef("pk"), asked_at__gte=before)
    overdue = Subscriber.objects.filter(
        ~Exists(asked_lately), state=SubscriberState.PENDING, created_at__lt=before
    )
    _, by_model = overdue.delete()
    return by_model.get("subscribers.Subscriber", 0)


def _forget_unconfirmed_subscriptions(now: datetime) -> int:
    """Wishes of people who are with us, but never confirmed this one."""
    overdue = Subscription.objects.asked_for().filter(
        subscriber__state=SubscriberState.ACTIVE, created_at__lt=now - UNCONFIRMED_FOR
    )
    _, by_model = overdue.delete()
    return by_model.get("subscribers.Subscription", 0)


def _forget_service_mails(now: datetime) -> int:
    settled = ServiceMail.objects.filter(
        state__in=[ServiceMailState.SENT, ServiceMailState.FAILED],
        asked_at__lt=now - SERVICE_MAILS_FOR,
    )
    return settled.delete()[0]
