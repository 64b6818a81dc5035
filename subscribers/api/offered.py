"""What can be joined and followed. Private newsletters do not exist here."""

from django.http import HttpRequest
from ninja import Router, Schema

from iria_news.articles.models import Topic
from subscribers import consent, offers
from subscribers.api.authentication import Key
from subscribers.api_keys import Scope

router = Router(tags=["What there is"], auth=Key(Scope.READ))


class NewsletterOut(Schema):
    slug: str
    name: str
    description: str
    language: str
    cadence: str
    comes: str
    rate: str
    topics: list[str]


class Wording(Schema):
    version: str
    text: str


class Newsletters(Schema):
    newsletters: list[NewsletterOut]
    wording: Wording


class TopicOut(Schema):
    slug: str
    name: str
    description: str


class Topics(Schema):
    topics: list[TopicOut]


@router.get("/newsletters", response=Newsletters, operation_id="listNewsletters")
def newsletters(request: HttpRequest) -> Newsletters:
    """Everything anybody may join, and the words to show beside a form of yours."""
    return Newsletters(
        newsletters=[_newsletter(offer) for offer in offers.public()],
        wording=Wording(version=consent.API, text=consent.WORDINGS[consent.API]),
    )


@router.get("/topics", response=Topics, operation_id="listTopics")
def topics(request: HttpRequest) -> Topics:
    """Everything a reader can follow, in the order of our navigation."""
    return Topics(
        topics=[
            TopicOut(slug=topic.slug, name=topic.name, description=topic.description)
            for topic in Topic.objects.all()
        ]
    )


def _newsletter(offer: offers.Offer) -> NewsletterOut:
    newsletter = offer.newsletter
    return NewsletterOut(
        slug=newsletter.slug,
        name=newsletter.name,
        description=newsletter.description,
        language=newsletter.language,
        cadence=newsletter.cadence,
        comes=offer.comes,
        rate=offer.rate,
        topics=[topic.slug for topic in offer.topics],
    )
