"""Asking for newsletters. Whatever is known about an address, the one who asks is told the same.

A page or program hands in a request and answers (`receive`); a worker acts on it (`receiving`), by
the rules below. Nothing is looked up about an address while somebody waits for the answer.
"""

from collections.abc import Collection, Iterable

from django.db import transaction

from iria_news.articles.models import Language, Topic
from subscribers import (
    consent,
    doorbell,
    offers,
    preferences,
    service_mails,
    suppression,
    wishes,
)
from subscribers.addresses import Address
from subscribers.models import (
    ConsentKind,
    Newsletter,
    RequestKind,
    SignUpRequest,
    Subscriber,
    SubscriberState,
    Subscription,
)

LONGEST_SOURCE = 200  # characters, as its column


def receive(
    address: Address,
    *,
    kind: str = RequestKind.JOIN,
    newsletters: Iterable[Newsletter] = (),
    topics: Iterable[Topic] = (),
    source: str,
    wording: str = "",
    language: str = "",
) -> None:
    """Write one request down and ring: the same work for every address (W5).

    `limits.count` comes before it. `kind` is one of RequestKind; a link takes neither newsletters
    nor a wording. `language` is the one to write in, and in which the wording was shown. Raises
    ValueError for a wording that nobody knows.
    """
    if kind == RequestKind.JOIN and wording not in consent.WORDINGS:
        raise ValueError(f"There is no wording {wording!r}: nobody could say what was agreed to.")
    SignUpRequest.objects.create(
        kind=kind,
        address=address.address,
        newsletters=[newsletter.pk for newsletter in newsletters],
        topics=[topic.pk for topic in topics],
        source=source[:LONGEST_SOURCE],
        wording=wording,
        language=language,
    )
    doorbell.ring_after_commit()


def ask(
    address: Address,
    *,
    newsletters: Iterable[Newsletter],
    topics: Collection[Topic],
    source: str,
    wording: str,
    language: str = "",
) -> None:
    """Take a wish up at once and ring, for callers who may know the address: staff, say."""
    with transaction.atomic():
        take_up(
            address,
            newsletters=newsletters,
            topics=topics,
            source=source,
            wording=wording,
            language=language,
        )
        doorbell.ring_after_commit()


def take_up(
    address: Address,
    *,
    newsletters: Iterable[Newsletter],
    topics: Collection[Topic],
    source: str,
    wording: str,
    language: str = "",
) -> None:
    """Write down what somebody asks for, and ask the mailbox itself. Rings for nobody.

    Returns nothing, so that no caller can tell an address that is with us from one that is not.
    What really happens:

    - unknown, pending, or left everything: the wish is kept, unconfirmed, and a confirmation mail
      is asked for. It takes the place of an earlier wish together with that wish's links: what a
      mailed link begins never changes, so if the person has had enough mails, nothing does. Who
      never confirmed is written to in the language of the newest form;
    - on a newsletter already: nothing is changed, and at most once a day a mail brings the
      preferences link, for whoever types an address is not always its owner;
    - suppressed, for whatever reason: as if unknown. A mailbox that was gone may be back, and
      after a complaint or an erasure only this way leads back to us. The limits of confirmation
      mails see to it that the form is no way to bother anybody.
    """
    with transaction.atomic():
        subscriber = person(address, language)
        _adopt(subscriber, language)
        served = subscriber.subscriptions.active().exists()
        if served and not suppression.is_suppressed(address.hash):
            service_mails.notify(subscriber)
        elif service_mails.may_confirm(subscriber):
            _replace_wish(
                subscriber,
                newsletters,
                topics,
                source=source,
                wording=wording,
                language=language,
            )
            service_mails.ask_to_confirm(subscriber)


def ask_for_link(address: Address) -> None:
    """Have the link mailed at once and ring; see `mail_link`."""
    with transaction.atomic():
        mail_link(address)
        doorbell.ring_after_commit()


def mail_link(address: Address) -> None:
    """Mail the preferences link to whoever is with us; the same for everybody to the one who asks.

    Whom we stopped writing to gets nothing: strangers can type the address, too.
    Who never confirmed has no preferences yet, and gets the confirmation mail once more: the wish
    is the same, so earlier links go on working.
    """
    with transaction.atomic():
        subscriber = Subscriber.objects.filter(address_key=address.key).first()
        if subscriber is None or suppression.is_suppressed(address.hash):
            return
        if subscriber.state == SubscriberState.ACTIVE:
            service_mails.ask_for_link(subscriber)
        elif wishes.wish(subscriber).exists():
            service_mails.ask_to_confirm(subscriber)


def person(address: Address, language: str = "") -> Subscriber:
    """The person with this address, new and pending if there is none; locked until the commit."""
    known = language if language in Language.values else Language.ENGLISH
    subscriber, _ = Subscriber.objects.get_or_create(
        address_key=address.key,
        defaults={"address": address.address, "address_hash": address.hash, "language": known},
    )
    return Subscriber.objects.select_for_update().get(pk=subscriber.pk)


def _adopt(subscriber: Subscriber, language: str) -> None:
    """Speak to somebody who never confirmed as their newest form does; readers chose themselves."""
    if subscriber.state != SubscriberState.PENDING or language not in Language.values:
        return
    if subscriber.language != language:
        subscriber.language = language
        subscriber.save(update_fields=["language"])


def _replace_wish(
    subscriber: Subscriber,
    newsletters: Iterable[Newsletter],
    topics: Collection[Topic],
    *,
    source: str,
    wording: str,
    language: str,
) -> None:
    wishes.withdraw(subscriber)
    taken = set(subscriber.subscriptions.open().values_list("newsletter_id", flat=True))
    for newsletter in newsletters:
        followed = offers.carried(newsletter, topics)
        if newsletter.pk not in taken:
            place = Subscription.objects.create(subscriber=subscriber, newsletter=newsletter)
            preferences.set_topics(place, followed)
        consent.record(
            subscriber,
            ConsentKind.ASKED,
            newsletter=newsletter,
            topics=followed,
            wording=wording,
            source=source,
            language=language,
        )
