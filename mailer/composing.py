"""Step 2a, what: which articles an edition carries, and in which order. Knows no recipients."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F

from iria_news.articles.models import Article, ArticleQuerySet
from mailer import approving
from mailer.models import Edition, EditionArticle, EditionKind, EditionState
from subscribers.models import Newsletter


def carried(newsletter: Newsletter) -> ArticleQuerySet:
    """Published articles of the newsletter's topics; of all topics if it names none."""
    articles = Article.objects.published().without_body()
    topics = list(newsletter.topics.values_list("pk", flat=True))
    return articles.filter(topics__in=topics).distinct() if topics else articles


def candidates(newsletter: Newsletter, *, slot: datetime) -> list[Article]:
    """The articles of the look-back window, those that no edition carried yet first.

    Older ones stay in: a reader whose delivery failed has not had them, and the freeze takes out,
    for each reader, what they have. The list is cut to the newsletter's maximum.
    """
    since = slot - timedelta(days=newsletter.look_back_days)
    window = carried(newsletter).filter(published_at__gt=since).newest_first()
    fresh = {article.pk for article in fresh_articles(newsletter, slot=slot)}
    articles = sorted(window, key=lambda article: article.pk not in fresh)  # stable
    return articles[: newsletter.max_articles]


def fresh_articles(newsletter: Newsletter, *, slot: datetime) -> list[Article]:
    """The articles of the window that no earlier edition of this newsletter has carried out."""
    since = slot - timedelta(days=newsletter.look_back_days)
    gone_out = EditionArticle.objects.filter(
        edition__newsletter=newsletter,
        edition__kind=EditionKind.REGULAR,
        edition__slot__lt=slot,
    ).exclude(edition__state__in=[EditionState.CANCELLED, EditionState.SKIPPED])
    return list(
        carried(newsletter)
        .filter(published_at__gt=since)
        .exclude(pk__in=gone_out.values("article"))
        .newest_first()
    )


def compose(edition: Edition) -> int:
    """Choose the articles of a draft anew; return how many it carries now.

    Changes nothing once the edition has left DRAFT, and then returns what it carries.
    """
    with transaction.atomic():
        # Touching the row takes its lock: an approval waits, and then meets another hash.
        if Edition.objects.filter(pk=edition.pk, state=EditionState.DRAFT).update(
            cursor=F("cursor")
        ):
            edition.items.all().delete()
            write_items(edition, candidates(edition.newsletter, slot=edition.slot))
    return edition.items.count()


def write_items(edition: Edition, articles: Sequence[Article]) -> None:
    """Make these, at most 62, what the edition carries; the first is the lead."""
    EditionArticle.objects.bulk_create(
        EditionArticle(edition=edition, article=article, bit=1 << rank)
        for rank, article in enumerate(articles)
    )
    edition.content_hash = approving.content_hash(edition)
    edition.save(update_fields=["content_hash"])
