"""What is forgotten when nobody needs it any more."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef, Q

from subscribers import inbound, links, mailboxes, moving
from subscribers.importing import keeping
from subscribers.models import (
    ConsentEvent,
    Leaving,
    ServiceMail,
    ServiceMailState,
    Subscriber,
    SubscriberNote,
    SubscriberState,
    Subscription,
    WebhookEvent,
)
from subscribers.webhooks import events

UNCONFIRMED_FOR = timedelta(days=7)  # the pages and mails say so
SERVICE_MAILS_FOR = timedelta(days=30)  # after that not even a late bounce asks for them
AT_ONCE = 10_000  # rows; the next hour takes the others
LEAVINGS_FOR = timedelta(days=365)  # a year of reasons shows whether something helped


def forget(now: datetime) -> dict[str, int]:
    """Delete what is overdue at `now` and say how much; a second run finds nothing."""
    return {
        "unconfirmed subscribers": _forget_unconfirmed_subscribers(now),
        "unconfirmed subscriptions": _forget_unconfirmed_subscriptions(now),
        "service mails": _forget_service_mails(now),
        "counts of mailboxes": mailboxes.forget(now),
        "reasons for leaving": _forget_leavings(now),
        "consent events of people who left": _forget_consent(now),
        "rows of erased people": _forget_leftovers_of_the_erased(),
        "mails that came in": inbound.forget_files(now),
        "files of imports": keeping.forget_files(now) + keeping.forget_uploads_before_an_erasure(),
        "webhook events": events.forget(now),
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
    """Wishes of people who are with us, but never confirmed this one.

    The mail that asks may come days later: an import spreads them.
    """
    before = now - UNCONFIRMED_FOR
    asked_lately = ServiceMail.objects.confirmations().filter(
        subscriber=OuterRef("subscriber"), asked_at__gte=before
    )
    overdue = Subscription.objects.asked_for().filter(
        ~Exists(asked_lately), subscriber__state=SubscriberState.ACTIVE, created_at__lt=before
    )
    _, by_model = overdue.delete()
    return by_model.get("subscribers.Subscription", 0)


def _forget_service_mails(now: datetime) -> int:
    settled = ServiceMail.objects.filter(
        state__in=[ServiceMailState.SENT, ServiceMailState.FAILED],
        asked_at__lt=now - SERVICE_MAILS_FOR,
    )
    return settled.delete()[0]


def _forget_leavings(now: datetime) -> int:
    return Leaving.objects.filter(on__lt=(now - LEAVINGS_FOR).date()).delete()[0]


def _forget_consent(now: datetime) -> int:
    """The file of somebody who gets nothing any more, a while after the last thing in it (L1).

    When an address was changed is kept for as long as a link to the preferences could be old
    enough to belong to the earlier address (see `moving.is_before_move`).
    """
    before = now - timedelta(days=settings.CONSENT_KEPT_DAYS)
    of_the_same = {"subscriber": OuterRef("subscriber")}
    left = Subscription.objects.filter(ended_at__lt=before).values("subscriber")
    overdue = ConsentEvent.objects.filter(
        Q(subscriber__in=left) | Q(subscriber__state=SubscriberState.ERASED),
        ~Exists(Subscription.objects.open().filter(**of_the_same)),
        ~Exists(ConsentEvent.objects.filter(**of_the_same, at__gte=before)),
        at__lt=before,
    ).exclude(source=moving.MOVED, at__gte=now - links.PREFERENCES_FOR)
    # Found first and deleted then: SQLite would keep every other writer waiting for the search.
    found = list(overdue.values_list("pk", flat=True)[:AT_ONCE])
    return ConsentEvent.objects.filter(pk__in=found).delete()[0]


def _forget_leftovers_of_the_erased() -> int:
    """What was written about somebody in the very moment of their erasure, by another process."""
    of_the_erased = {"subscriber__state": SubscriberState.ERASED}
    written_about = [Subscription, ServiceMail, SubscriberNote, WebhookEvent]
    return sum(
        model._default_manager.filter(**of_the_erased).delete()[0]  # noqa: SLF001  # public API
        for model in written_about
    )
