"""What endpoints are told. Written down in the transaction in which it happens, or not at all.

docs/webhooks.md is the contract: kinds, payloads, and what is told about many readers at once.
"""

import itertools
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils import timezone

from subscribers.models import (
    EventKind,
    Newsletter,
    Subscriber,
    WebhookCall,
    WebhookEndpoint,
    WebhookEvent,
)
from subscribers.webhooks import bell

KEPT_FOR = timedelta(days=30)  # events hold addresses; docs/webhooks.md names the time
PAGE = 1_000  # rows in one statement
UID_BYTES = 18  # 24 characters; 144 random bits

# What an endpoint may ask for; a test comes when a person asks for it.
OFFERED = [kind for kind in EventKind if kind is not EventKind.TEST]


@dataclass(frozen=True)
class Happening:
    """One thing that happened. Of a reader we need the number and the address."""

    kind: EventKind
    subscriber: Subscriber | None = None
    newsletter: Newsletter | None = None
    facts: Mapping[str, object] = field(default_factory=dict)


def emit(
    kind: EventKind,
    *,
    subscriber: Subscriber | None = None,
    newsletter: Newsletter | None = None,
    **facts: object,
) -> None:
    """Have every endpoint told that wants to know. For the transaction in which it happens.

    One query if nobody wants to know. `facts` are values that JSON can hold.
    """
    emit_all([Happening(kind, subscriber, newsletter, facts)])


def emit_all(happenings: Iterable[Happening]) -> None:
    """The same about many, a thousand in one statement; read only if somebody listens."""
    listeners = _listeners()
    if listeners:
        for page in _pages(happenings):
            _write(page, listeners)


def write(happening: Happening, endpoints: Sequence[int]) -> WebhookEvent:
    """One event for exactly these endpoints, whatever they want to know."""
    event = _event(happening, timezone.now())
    event.save(force_insert=True)
    WebhookCall.objects.bulk_create(
        WebhookCall(endpoint_id=endpoint, event=event) for endpoint in endpoints
    )
    bell.ring_after_commit()
    return event


def forget(now: datetime) -> int:
    """Delete what is older than 30 days, with its calls; return how many events that were.

    Events about a person go with the person, in `erasure` and `retention`.
    """
    old = WebhookEvent.objects.filter(at__lt=now - KEPT_FOR).order_by("at")
    forgotten = 0
    while page := list(old.values_list("pk", flat=True)[:PAGE]):
        _, by_model = WebhookEvent.objects.filter(pk__in=page).delete()
        forgotten += by_model["subscribers.WebhookEvent"]
    return forgotten


def _listeners() -> dict[str, list[int]]:
    """Who wants to know what: kind -> endpoints that are on."""
    listeners: dict[str, list[int]] = {}
    active = WebhookEndpoint.objects.filter(is_active=True).order_by("pk")
    for pk, kinds in active.values_list("pk", "events"):
        for kind in kinds:
            listeners.setdefault(kind, []).append(pk)
    return listeners


def _write(happenings: Sequence[Happening], listeners: dict[str, list[int]]) -> None:
    now = timezone.now()
    wanted = [_event(one, now) for one in happenings if one.kind in listeners]
    if not wanted:
        return
    WebhookCall.objects.bulk_create(
        (
            WebhookCall(endpoint_id=endpoint, event=event)
            for event in WebhookEvent.objects.bulk_create(wanted)
            for endpoint in listeners[event.kind]
        ),
        batch_size=PAGE,
    )
    bell.ring_after_commit()


def _event(happening: Happening, now: datetime) -> WebhookEvent:
    about: dict[str, object] = {}
    if happening.subscriber is not None:
        about["subscriber"] = {
            "id": happening.subscriber.pk,
            "address": happening.subscriber.address,
        }
    if happening.newsletter is not None:
        about["newsletter"] = happening.newsletter.slug
    return WebhookEvent(
        uid=f"msg_{secrets.token_urlsafe(UID_BYTES)}",
        kind=happening.kind,
        subscriber=happening.subscriber,
        payload={
            "type": happening.kind.value,
            "timestamp": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "data": about | dict(happening.facts),
        },
    )


def _pages(happenings: Iterable[Happening]) -> Iterator[list[Happening]]:
    rest = iter(happenings)
    while page := list(itertools.islice(rest, PAGE)):
        yield page
