"""What can be joined: newsletters, what they carry, when they come, in words for readers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import Q
from django.utils.translation import gettext, pgettext

from iria_news import languages
from iria_news.articles.models import Topic
from subscribers import cadences, estimates
from subscribers.models import (
    Cadence,
    Newsletter,
    NewsletterQuerySet,
    Subscription,
    SubscriptionQuerySet,
)
from subscribers.models.newsletters import OFFERED

# Whoever gives only an address gets the first of these that is offered. Never alerts, unless there
# is nothing else: mail at any hour is something to ask for.
USUAL_FIRST = [
    *(Cadence.DAILY, Cadence.WEEKDAYS, Cadence.DAYS, Cadence.WEEKLY, Cadence.MONTHLY),
    Cadence.AT_ONCE,
]


@dataclass(frozen=True)
class Offer:
    newsletter: Newsletter
    topics: list[Topic]  # what it carries
    history: estimates.History = field(compare=False, repr=False)  # one for all offers of a page

    @property
    def rate(self) -> str:
        """How often it comes, with all it carries: "about 5 mails a week"."""
        return self.rate_for(self.topics)

    def rate_for(self, topics: Iterable[Topic]) -> str:
        return estimates.rate(self.newsletter, topics, self.topics, self.history)

    def per_week_for(self, topics: Iterable[Topic]) -> float | None:
        return estimates.per_week(self.newsletter, topics, self.topics, self.history)

    @property
    def comes(self) -> str:
        return comes(self.newsletter)


def public() -> list[Offer]:
    """Everything anybody may join, quietest surprise first.

    Three queries, and a fourth when a rate is asked for.
    """
    return _offers(Newsletter.objects.offered())


def to_subscriber(subscriber_id: int) -> list[Offer]:
    """What this person may tick: the public ones, and private ones they are on."""
    # Not by a join: that would read every subscription there is.
    theirs = Subscription.objects.open().filter(subscriber=subscriber_id).values("newsletter")
    return _offers(Newsletter.objects.filter(Q(pk__in=theirs) | OFFERED))


def usual(offers: list[Offer]) -> list[Offer]:
    """What somebody gets who gives only an address: one newsletter, or none if none is offered."""
    return offers[:1]


def carried(newsletter: Newsletter, topics: Iterable[Topic]) -> list[Topic]:
    """Those of the topics that this newsletter carries. None chosen for it means all."""
    its_own = set(newsletter.topics.all())
    return [topic for topic in topics if not its_own or topic in its_own]


def rate_of(newsletter: Newsletter, topics: Iterable[Topic]) -> str:
    """How often these topics of this one newsletter come. At most three queries."""
    its_own = list(newsletter.topics.all()) or list(Topic.objects.all())
    return estimates.rate(newsletter, topics, its_own, estimates.History())


def comes(newsletter: Newsletter) -> str:
    """When it arrives, as the end of a sentence: "on Mondays at 08:00 (Europe/Berlin)"."""
    if newsletter.cadence == Cadence.AT_ONCE:
        return gettext("at once, when an article is published")
    return gettext("{days} at {time} ({zone})").format(
        days=cadences.in_words(newsletter),
        time=f"{newsletter.wall_time:%H:%M}",
        zone=newsletter.zone,
    )


@dataclass(frozen=True)
class Place:
    """One subscription as a reader is told about it."""

    newsletter: Newsletter
    topics: list[Topic]
    all_topics: bool  # everything the newsletter carries

    @property
    def comes(self) -> str:
        return comes(self.newsletter)

    @property
    def follows(self) -> str:
        """The topics in words: "all", "Asia-Pacific, Europe and US"."""
        if self.all_topics:
            return pgettext("topics", "all")
        return languages.listed([topic.name for topic in self.topics] or [gettext("no topic")])


def places(subscriptions: SubscriptionQuerySet) -> list[Place]:
    """What these subscriptions bring, in the order of their newsletters' names. Four queries."""
    number_of_topics = Topic.objects.count()
    rows = subscriptions.select_related("newsletter").prefetch_related(
        "topics", "newsletter__topics"
    )
    return [
        Place(
            row.newsletter,
            list(row.topics.all()),
            len(row.topics.all()) >= (len(row.newsletter.topics.all()) or number_of_topics),
        )
        for row in rows.order_by("newsletter__name")
    ]


def _offers(newsletters: NewsletterQuerySet) -> list[Offer]:
    all_topics = list(Topic.objects.all())
    history = estimates.History()
    offers = [
        Offer(newsletter, list(newsletter.topics.all()) or all_topics, history)
        for newsletter in newsletters.prefetch_related("topics")
    ]
    return sorted(offers, key=lambda offer: USUAL_FIRST.index(Cadence(offer.newsletter.cadence)))
