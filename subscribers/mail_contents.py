"""What each kind of service mail says: the values its templates show. Sends nothing."""

from collections.abc import Callable

from subscribers import links, offers
from subscribers.models import ServiceMail, ServiceMailKind, SubscriberState

Context = dict[str, object]


def of(service_mail: ServiceMail) -> Context | None:
    """What the templates of this mail show. None when there is nothing to say any more."""
    if service_mail.subscriber.state == SubscriberState.ERASED:
        return None
    return CONTENTS[ServiceMailKind(service_mail.kind)](service_mail)


def _confirmation(service_mail: ServiceMail) -> Context | None:
    subscriber = service_mail.subscriber
    places = subscriber.subscriptions.asked_for()
    if service_mail.used_at is not None or not places.exists():
        return None
    return {
        "address": subscriber.address,
        "asked_at": service_mail.asked_at,
        "deadline": service_mail.asked_at + links.CONFIRM_WITHIN,
        "places": offers.places(places),
        "button_url": links.confirm_url(service_mail.pk, service_mail.asked_at),
    }


def _preferences(service_mail: ServiceMail) -> Context | None:
    subscriber = service_mail.subscriber
    return {
        "address": subscriber.address,
        "asked_at": service_mail.asked_at,
        "places": offers.places(subscriber.subscriptions.active()),
        "button_url": links.preferences_url(subscriber.pk, service_mail.asked_at),
    }


# The name of a kind is also the folder of its templates.
CONTENTS: dict[ServiceMailKind, Callable[[ServiceMail], Context | None]] = {
    ServiceMailKind.CONFIRMATION: _confirmation,
    ServiceMailKind.PREFERENCES: _preferences,
}
