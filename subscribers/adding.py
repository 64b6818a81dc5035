"""A reader put in by staff. A sign-up like any other: nobody is active before they confirm."""

from collections.abc import Collection
from enum import Enum

from django.db import transaction

from iria_news.articles.models import Topic
from subscribers import consent, signup, suppression
from subscribers.addresses import Address
from subscribers.models import Newsletter, ServiceMail, Subscriber


class Added(Enum):
    """What became of it."""

    ASKED = "a confirmation mail is on its way"
    ASKED_ENOUGH = "the wish is kept as it was: enough confirmation mails went there lately"
    ALREADY_THERE = "on a newsletter already; nothing was changed"
    SUPPRESSED = "we stopped writing to it; nothing was changed"


def add(
    address: Address,
    *,
    newsletters: Collection[Newsletter],
    topics: Collection[Topic],
    source: str,
) -> Added:
    """Ask a mailbox to confirm what its owner agreed to elsewhere; say what became of it.

    `source` is a sentence: where and when they agreed. A suppression stands: only its reader's own
    sign-up ends it. Whoever is on a newsletter chooses others by the link in any mail. Twice within
    the limits of confirmation mails is once.
    """
    with transaction.atomic():
        known = Subscriber.objects.select_for_update().filter(address_key=address.key).first()
        if suppression.is_suppressed(address.hash):
            return Added.SUPPRESSED
        if known is not None and known.subscriptions.active().exists():
            return Added.ALREADY_THERE
        mails = ServiceMail.objects.confirmations().filter(subscriber__address_key=address.key)
        before = mails.count()
        signup.ask(
            address,
            newsletters=newsletters,
            topics=topics,
            source=f"staff: {source}",
            wording=consent.NONE,
        )
        return Added.ASKED if mails.count() > before else Added.ASKED_ENOUGH
