"""What this app adds to the file of one person's data, and takes out when a person is erased."""

from django.db.models import F

from mailer.models import Delivery, DeliveryEvent
from subscribers import erasure, passport
from subscribers.models import Subscriber


def editions_sent(subscriber: Subscriber) -> list[object]:
    """Every edition that was meant for this person, newest last, and what became of it."""
    rows = Delivery.objects.filter(subscriber=subscriber).order_by("edition_id")
    return list(
        rows.values(
            "state",
            "reason",
            newsletter=F("edition__newsletter__name"),
            edition_slug=F("edition__slug"),
            slot=F("edition__slot"),
            at=F("settled_at"),
        )
    )


def answers_of_servers(subscriber: Subscriber) -> list[object]:
    events = DeliveryEvent.objects.filter(subscriber=subscriber).order_by("at", "pk")
    return list(events.values("at", "kind", "code", "text", edition_slug=F("edition__slug")))


def forget(subscriber: Subscriber) -> None:
    """Answers of mail servers often name the address; that they were refusals may stay."""
    DeliveryEvent.objects.filter(subscriber=subscriber).update(text="")


def register() -> None:
    """Called once, when the app is ready."""
    passport.PARTS["editions"] = editions_sent
    passport.PARTS["answers_of_mail_servers"] = answers_of_servers
    erasure.PARTS.append(forget)
