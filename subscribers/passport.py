"""Everything we know about one person, as one file that they can read and a program, too (L4).

Who keeps more about people than this app knows adds a part to PARTS.
"""

import json
from collections.abc import Callable

from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from subscribers import consent, suppression
from subscribers.models import Subscriber, Subscription

# Name of the part -> what it knows: lists, dicts, texts, numbers, dates.
PARTS: dict[str, Callable[[Subscriber], object]] = {}


def of(subscriber: Subscriber) -> dict[str, object]:
    """All of it, by part. Times are UTC."""
    return {
        "written_at": timezone.now(),
        "person": _person(subscriber),
        "how_mails_are_sent": _manner(subscriber),
        "earlier_addresses_left_at": list(
            subscriber.former_addresses.order_by("left_at").values_list("left_at", flat=True)
        ),
        "newsletters": _newsletters(subscriber),
        "consent": _consent(subscriber),
        "service_mails": _service_mails(subscriber),
        "notes_of_staff": list(subscriber.notes.order_by("at").values("at", "text")),
        "we_stopped_sending": suppression.is_suppressed(subscriber.address_hash),
        **{name: part(subscriber) for name, part in PARTS.items()},
    }


def as_json(subscriber: Subscriber) -> bytes:
    """The file, in UTF-8."""
    text = json.dumps(of(subscriber), cls=DjangoJSONEncoder, indent=2, ensure_ascii=False)
    return f"{text}\n".encode()


def _person(subscriber: Subscriber) -> dict[str, object]:
    return {
        "number": subscriber.pk,
        "address": subscriber.address,
        "name": subscriber.name,
        "language": subscriber.language,
        "state": subscriber.state,
        "first_seen_at": subscriber.created_at,
        "confirmed_at": subscriber.confirmed_at,
    }


def _manner(subscriber: Subscriber) -> dict[str, object]:
    return {
        "time_zone": subscriber.zone or None,
        "hour": subscriber.hour,
        "text_only": subscriber.wants_text,
        "paused_from": subscriber.paused_from,
        "paused_until": subscriber.paused_until,
        "catch_up_after_a_pause": subscriber.wants_catch_up,
        "clicks_left_out": subscriber.refuses_tracking,
    }


def _newsletters(subscriber: Subscriber) -> list[dict[str, object]]:
    places = subscriber.subscriptions.select_related("newsletter").prefetch_related(
        "follows__topic"
    )
    return [_place(place) for place in places.order_by("pk")]


def _place(place: Subscription) -> dict[str, object]:
    return {
        "newsletter": place.newsletter.name,
        "asked_at": place.created_at,
        "confirmed_at": place.confirmed_at,
        "ended_at": place.ended_at,
        "ended_by": place.ended_by or None,
        "topics": [
            {"topic": follow.topic.name, "since": follow.since} for follow in place.follows.all()
        ],
    }


def _consent(subscriber: Subscriber) -> list[dict[str, object]]:
    """Each event with the very words that were shown."""
    events = subscriber.consent_events.select_related("newsletter").order_by("at", "pk")
    return [
        {
            "at": event.at,
            "what": event.kind,
            "newsletter": event.newsletter.name if event.newsletter else None,
            "topics": event.topics.split(",") if event.topics else [],
            "source": event.source,
            "wording": event.wording,
            "language": event.language,
            "words_shown": consent.shown(event),
        }
        for event in events
    ]


def _service_mails(subscriber: Subscriber) -> list[dict[str, object]]:
    fields = ("kind", "asked_at", "state", "settled_at", "used_at", "to_address")
    return list(subscriber.service_mails.order_by("asked_at", "pk").values(*fields))
