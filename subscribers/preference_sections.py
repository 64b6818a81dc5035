"""The newsletters of the preferences page, each with the topics that are ticked."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.http import QueryDict
from django.utils.translation import gettext

from iria_news.articles.models import Topic
from subscribers import offers
from subscribers.forms import Problem
from subscribers.models import Cadence, Subscriber
from subscribers.offers import Offer


@dataclass
class Section:
    """One newsletter on the preferences page, and what is ticked there."""

    offer: Offer
    is_ticked: bool
    ticked: Collection[str]  # slugs of topics
    error: str = ""

    @property
    def name(self) -> str:
        return f"topic-{self.offer.newsletter.slug}"

    @property
    def topics(self) -> list[Topic]:
        return [topic for topic in self.offer.topics if topic.slug in self.ticked]

    @property
    def count(self) -> str:
        """ "4 of 8" or "all 8"."""
        number, of = len(self.topics), len(self.offer.topics)
        words = gettext("all {of}") if number == of else gettext("{number} of {of}")
        return words.format(number=number, of=of)

    @property
    def rate(self) -> str:
        """What these topics bring; with none ticked, what all of them would."""
        return self.offer.rate_for(self.topics or self.offer.topics)

    @property
    def is_at_once(self) -> bool:
        return self.offer.newsletter.cadence == Cadence.AT_ONCE


def as_they_are(subscriber: Subscriber) -> list[Section]:
    """Newsletters that are not followed show all their topics ticked: one tick then joins them."""
    places = subscriber.subscriptions.active().prefetch_related("topics")
    followed = {
        place.newsletter_id: {topic.slug for topic in place.topics.all()} for place in places
    }
    return [
        Section(
            offer,
            is_ticked=offer.newsletter.pk in followed,
            ticked=followed.get(offer.newsletter.pk, {topic.slug for topic in offer.topics}),
        )
        for offer in offers.to_subscriber(subscriber.pk)
    ]


def as_sent(subscriber: Subscriber, post: QueryDict) -> list[Section]:
    """What was ticked, with an error where a newsletter is left without a topic."""
    newsletters = set(post.getlist("newsletter"))
    sections = []
    for offer in offers.to_subscriber(subscriber.pk):
        section = Section(offer, offer.newsletter.slug in newsletters, ())
        section.ticked = set(post.getlist(section.name))
        if section.is_ticked and not section.topics:
            name = offer.newsletter.name
            section.error = gettext(
                "Tick at least one topic of {name}, or untick {name} itself."
            ).format(name=name)
        sections.append(section)
    return sections


def problems(sections: Iterable[Section]) -> list[Problem]:
    return [Problem(section.name, section.error) for section in sections if section.error]
