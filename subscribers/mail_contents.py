"""What each kind of service mail says: the values its templates show. Sends nothing."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from iria_news.articles.models import Topic
from subscribers import addresses, links, offers, suppression, wishes
from subscribers.models import Newsletter, ServiceMail, ServiceMailKind, SubscriberState

Context = dict[str, object]


@dataclass(frozen=True)
class Item:
    """One article of an edition, as a welcome mail lists it."""

    title: str
    url: str
    standfirst: str


@dataclass(frozen=True)
class LatestEdition:
    url: str  # of the edition's page
    items: list[Item]


def _no_edition(_newsletter: Newsletter, _topics: Collection[Topic]) -> LatestEdition | None:
    return None


# Editions are not known here. Whoever knows them puts a function in this place: the latest edition
# of a newsletter that went out, with what of it is within these topics; None if there is nothing.
latest_edition: Callable[[Newsletter, Collection[Topic]], LatestEdition | None] = _no_edition


def of(service_mail: ServiceMail) -> Context | None:
    """What the templates of this mail show. None when there is nothing to say any more."""
    if service_mail.subscriber.state == SubscriberState.ERASED:
        return None
    return CONTENTS[ServiceMailKind(service_mail.kind)](service_mail)


def _confirmation(service_mail: ServiceMail) -> Context | None:
    """Nothing if the link is used up, or what it would begin was taken back."""
    places = wishes.begun_by(service_mail)
    if service_mail.used_at is not None or not places.exists():
        return None
    return {
        "address": service_mail.subscriber.address,
        "asked_at": service_mail.asked_at,
        "deadline": service_mail.asked_at + links.CONFIRM_WITHIN,
        "places": offers.places(places),
        "button_url": links.confirm_url(service_mail.pk, service_mail.asked_at),
    }


def _invitation(service_mail: ServiceMail) -> Context | None:
    """As a confirmation, but never to somebody we stopped writing to."""
    if suppression.is_suppressed(service_mail.subscriber.address_hash):
        return None
    return _confirmation(service_mail)


def _preferences(service_mail: ServiceMail) -> Context | None:
    """Nothing for somebody we stopped writing to, whoever asked for it."""
    subscriber = service_mail.subscriber
    if suppression.is_suppressed(subscriber.address_hash):
        return None
    return {
        "address": subscriber.address,
        "asked_at": service_mail.asked_at,
        "places": offers.places(subscriber.subscriptions.active()),
        "button_url": links.preferences_url(subscriber.pk, service_mail.asked_at),
    }


def _welcome(service_mail: ServiceMail) -> Context | None:
    """What was confirmed, and the latest edition of the newsletter it was asked for."""
    subscriber = service_mail.subscriber
    places = offers.places(subscriber.subscriptions.active())
    if not places or suppression.is_suppressed(subscriber.address_hash):
        return None
    first = next((each for each in places if each.newsletter == service_mail.newsletter), places[0])
    edition = latest_edition(first.newsletter, first.topics)
    return {
        "address": subscriber.address,
        "places": places,
        "first": first,
        "edition_url": edition.url if edition else "",
        "items": edition.items if edition else [],
        "button_url": links.preferences_url(subscriber.pk, service_mail.asked_at),
    }


def _new_address(service_mail: ServiceMail) -> Context | None:
    """Sent to the new address. Nothing if it was asked for anew since, or may not be written to."""
    subscriber = service_mail.subscriber
    new = addresses.parse(service_mail.to_address)
    if service_mail.used_at is not None or suppression.is_suppressed(new.hash):
        return None
    return {
        "old_masked": addresses.masked(subscriber.address),
        "asked_at": service_mail.asked_at,
        "deadline": service_mail.asked_at + links.NEW_ADDRESS_WITHIN,
        "places": offers.places(subscriber.subscriptions.active()),
        "button_url": links.new_address_url(service_mail.pk, service_mail.asked_at),
    }


def _old_address(service_mail: ServiceMail) -> Context:
    """Sent to the old address, and so without a word about the new one."""
    return {"address": service_mail.to_address, "changed_at": service_mail.asked_at}


# The name of a kind is also the folder of its templates.
CONTENTS: dict[ServiceMailKind, Callable[[ServiceMail], Context | None]] = {
    ServiceMailKind.CONFIRMATION: _confirmation,
    ServiceMailKind.INVITATION: _invitation,
    ServiceMailKind.WELCOME: _welcome,
    ServiceMailKind.PREFERENCES: _preferences,
    ServiceMailKind.NEW_ADDRESS: _new_address,
    ServiceMailKind.OLD_ADDRESS: _old_address,
}
