"""What editions add to one person's history: what went to them, and what their server said."""

from collections.abc import Iterable

from django.db.models.functions import Coalesce
from django.urls import reverse

from mailer.models import Delivery, DeliveryEvent, EventKind
from subscribers import timeline
from subscribers.models import Subscriber
from subscribers.timeline import Entry, Source

PERMISSION = "mailer.view_edition"
EVENT_TITLES: dict[str, str] = {
    EventKind.DEFERRED: "Refused for now, to be tried again",
    EventKind.FAILED: "Refused for good",
    EventKind.UNCERTAIN: "The server never answered",
    EventKind.RESENT: "The server never answered; sent again",
    EventKind.RESOLVED: "Decided by a person",
}


def register() -> None:
    """Have both sources in every history from now on."""
    timeline.add(Source("edition", "Editions", PERMISSION, _deliveries))
    timeline.add(Source("event", "Bounces and events", PERMISSION, _events))


def _deliveries(subscriber: Subscriber, limit: int) -> Iterable[Entry]:
    """Those on their way stand at the time their edition began, or is due."""
    deliveries = (
        Delivery.objects.filter(subscriber=subscriber)
        .select_related("edition__newsletter")
        .annotate(at=Coalesce("settled_at", "edition__started_at", "edition__due_at"))
    )
    for delivery in deliveries.order_by("-at", "-edition_id")[:limit]:
        facts = [f"The server's answer: {delivery.reason}"] if delivery.reason else []
        if delivery.attempts > 1:
            facts.append(f"{delivery.attempts} tries")
        yield Entry(
            delivery.at,
            "edition",
            delivery.edition_id,
            word=delivery.state,
            title=str(delivery.edition),
            facts=facts,
            path=reverse("admin:mailer_edition_change", args=[delivery.edition_id]),
        )


def _events(subscriber: Subscriber, limit: int) -> Iterable[Entry]:
    events = DeliveryEvent.objects.filter(subscriber=subscriber)
    for event in events.select_related("edition__newsletter").order_by("-at", "-pk")[:limit]:
        yield Entry(
            event.at,
            "event",
            event.pk,
            word=event.kind,
            title=f"{EVENT_TITLES[event.kind]}: {event.edition}",
            facts=[f"The server said: {said}"]
            if (said := f"{event.code} {event.text}".strip())
            else [],
        )
