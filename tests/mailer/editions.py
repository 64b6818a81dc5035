"""Editions at a chosen point of their way, made by the flow functions themselves."""

from django.utils import timezone

from mailer import cohorts, editions, opening, production
from mailer.models import Delivery, Edition, EditionState
from subscribers.models import Newsletter
from tests import factories


def audience(newsletter: Newsletter, readers: int, topics=None) -> list:
    return [
        factories.make_subscription(newsletter, topics=topics).subscriber for _ in range(readers)
    ]


def open_now(newsletter: Newsletter) -> Edition:
    edition = opening.open_edition(newsletter, slot=timezone.now())
    assert edition is not None
    return edition


def frozen(newsletter: Newsletter) -> Edition:
    """Open, freeze; the audience is written down."""
    edition = open_now(newsletter)
    assert editions.begin_freezing(edition)
    assert cohorts.freeze(edition.pk)
    edition.refresh_from_db()
    return edition


def sending(newsletter: Newsletter) -> Edition:
    """Open, freeze, render, start."""
    edition = frozen(newsletter)
    production.render_waiting()
    production.release_rendered()
    production.start_due()
    edition.refresh_from_db()
    assert edition.state == EditionState.SENDING, edition.reason
    return edition


def daily(readers: int, articles: int = 1, **fields) -> Newsletter:
    """A newsletter on one topic with so many readers and new articles."""
    topic = factories.make_topic("Security")
    newsletter = factories.make_newsletter(**fields)
    for _ in range(articles):
        factories.make_article(topics=[topic])
    audience(newsletter, readers, [topic])
    return newsletter


def states(edition: Edition) -> dict[str, int]:
    counts: dict[str, int] = {}
    for state in Delivery.objects.filter(edition=edition).values_list("state", flat=True):
        counts[state] = counts.get(state, 0) + 1
    return counts
