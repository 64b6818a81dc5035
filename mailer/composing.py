"""Step 2a, what: which articles an edition carries, and in which order. Knows no recipients."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, Q, QuerySet

from iria_news.articles.models import Article, ArticleQuerySet
from mailer import approving, composing_changes, corrections
from mailer.models import Edition, EditionArticle, EditionKind, EditionState, LeftOut
from subscribers.models import Cadence, Newsletter


def of_its_topics(newsletter: Newsletter) -> ArticleQuerySet:
    """Published articles of the newsletter's topics; of all topics if it names none."""
    articles = Article.objects.published().without_body()
    topics = list(newsletter.topics.values_list("pk", flat=True))
    return articles.filter(topics__in=topics).distinct() if topics else articles


def carried(newsletter: Newsletter) -> ArticleQuerySet:
    """The same without what a person has dropped for good."""
    return of_its_topics(newsletter).exclude(pk__in=dropped(newsletter).values("article"))


def dropped(newsletter: Newsletter) -> QuerySet[LeftOut]:
    """What no edition of this newsletter carries any more; a cancelled edition has no say."""
    return _left_out(newsletter).filter(is_dropped=True)


def _left_out(newsletter: Newsletter) -> QuerySet[LeftOut]:
    found = LeftOut.objects.filter(edition__newsletter=newsletter)
    return found.exclude(edition__state=EditionState.CANCELLED)


def candidates(newsletter: Newsletter, *, slot: datetime) -> list[Article]:
    """What an edition of this slot carries unless a person decides otherwise, at most its maximum.

    First what no edition carried yet, then the rest of the look-back window: a reader whose
    delivery failed has not had those, and the freeze takes out, for each reader, what they have.
    """
    return all_candidates(newsletter, slot=slot)[: newsletter.max_articles]


def all_candidates(newsletter: Newsletter, *, slot: datetime) -> list[Article]:
    """The same with those that find no place any more."""
    fresh = fresh_articles(newsletter, slot=slot)
    window = _due_by(newsletter, slot).filter(published_at__gt=_window_of(newsletter, slot))
    known = {article.pk for article in fresh}
    return [*fresh, *(article for article in window.newest_first() if article.pk not in known)]


def fresh_articles(newsletter: Newsletter, *, slot: datetime) -> list[Article]:
    """The articles that no earlier edition of this newsletter has carried out, newest first.

    However late they were published, and however many slots were skipped meanwhile: since the
    newsletter began, as nobody subscribed to what was there before. What was beyond the look-back
    window when it came to us is a back catalogue, and no news. A newsletter that goes out with
    each article collects nothing, so there the look-back window is all.
    """
    since = _window_of(newsletter, slot)
    if newsletter.cadence != Cadence.AT_ONCE:
        since = min(since, newsletter.created_at)
    gone_out = EditionArticle.objects.filter(
        edition__newsletter=newsletter,
        edition__kind=EditionKind.REGULAR,
        edition__slot__lt=slot,
    ).exclude(edition__state=EditionState.CANCELLED)
    # Skipped before the freeze, nobody was asked; after it, nobody was left who wanted them.
    gone_out = gone_out.exclude(edition__state=EditionState.SKIPPED, edition__frozen_at=None)
    was_news = Q(published_at__gt=F("arrived_at") - timedelta(days=newsletter.look_back_days))
    found = _due_by(newsletter, slot).filter(was_news, published_at__gt=since)
    return list(found.exclude(pk__in=gone_out.values("article")).newest_first())


def _window_of(newsletter: Newsletter, slot: datetime) -> datetime:
    return slot - timedelta(days=newsletter.look_back_days)


def _due_by(newsletter: Newsletter, slot: datetime) -> ArticleQuerySet:
    """Without what a person moved from this edition, or a later one, to the next."""
    moved = _left_out(newsletter).filter(edition__slot__gte=slot)
    return carried(newsletter).exclude(pk__in=moved.values("article"))


def compose(edition: Edition, *, version: int | None = None, by: User | None = None) -> int:
    """Choose the articles of a draft anew; return how many it carries now.

    What a person left out stays out, and blurbs stay with their articles. With `by` it is a
    person's change of `version`, and raises as `composing_changes.changing` does. Without, it
    is nobody's, and changes nothing once the edition has left DRAFT.
    """
    with transaction.atomic():
        if by is not None and version is not None:
            with composing_changes.changing(edition, version=version, by=by, what="Composed anew."):
                _choose_anew(edition)
        # Touching the row takes its lock: an approval waits, and then meets another hash.
        elif Edition.objects.filter(pk=edition.pk, state=EditionState.DRAFT).update(
            cursor=F("cursor")
        ):
            _choose_anew(edition)
            _keep_hash(edition)
    return edition.items.count()


def _choose_anew(edition: Edition) -> None:
    blurbs = dict(edition.items.exclude(blurb="").values_list("article", "blurb"))
    edition.items.all().delete()
    _write(edition, candidates(edition.newsletter, slot=edition.slot), blurbs)


def write_items(edition: Edition, articles: Sequence[Article]) -> None:
    """Make these, at most 62, what the edition carries; the first is the lead."""
    _write(edition, articles, {})
    _keep_hash(edition)


def _write(edition: Edition, articles: Sequence[Article], blurbs: dict[int, str]) -> None:
    EditionArticle.objects.bulk_create(
        EditionArticle(
            edition=edition, article=article, bit=1 << rank, blurb=blurbs.get(article.pk, "")
        )
        for rank, article in enumerate(articles)
    )


def _keep_hash(edition: Edition) -> None:
    corrections.take_up(edition)
    edition.content_hash = approving.content_hash(edition)
    edition.save(update_fields=["content_hash"])
