"""Step 2a, a person orders the articles of a draft, leaves some out and takes others in.

Every function is a change of one version of the draft: see `composing_changes.changing`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db.models import F

from iria_news.articles.models import Article
from mailer import composing
from mailer.composing_changes import Full, NoSuchItem, changing
from mailer.models import Edition, EditionArticle, LeftOut

SHOWN = 20  # of the articles that found no place; the newest, which is what anybody looks for


@dataclass(frozen=True)
class Place:
    """Where an article stands in the order, counted from 1."""

    number: int
    of: int


def move(edition: Edition, *, version: int, by: User, article: int, to_rank: int) -> Place:
    """Put an article at a rank (0 is the lead; beyond the ends means at the end)."""
    with changing(edition, version=version, by=by, what="Changed the order."):
        order = _order(edition)
        _take_out(order, article)
        rank = min(max(to_rank, 0), len(order))
        order.insert(rank, article)
        _renumber(edition, order)
    return Place(rank + 1, len(order))


def make_lead(edition: Edition, *, version: int, by: User, article: int) -> Place:
    """Put an article first."""
    return move(edition, version=version, by=by, article=article, to_rank=0)


def drop(edition: Edition, *, version: int, by: User, article: int, for_good: bool) -> None:
    """Leave an article out: of every edition of the newsletter, or only until the next."""
    verb = "Dropped" if for_good else "Moved to the next edition"
    what = f"{verb}: {_title(article)}"
    with changing(edition, version=version, by=by, what=what):
        order = _order(edition)
        _take_out(order, article)
        edition.items.filter(article=article).delete()
        _renumber(edition, order)
        LeftOut.objects.update_or_create(
            edition=edition, article_id=article, defaults={"is_dropped": for_good, "by": by}
        )


def take_in(edition: Edition, *, version: int, by: User, article: int) -> Place:
    """Put an article last that was left out of this edition, or that found no place in it.

    Raises NoSuchItem for one that is not published, not of the newsletter's topics, in the edition
    already, or dropped by another one; Full where the newsletter's maximum is reached.
    """
    with changing(edition, version=version, by=by, what=f"Took in: {_title(article)}"):
        order = _order(edition)
        most = edition.newsletter.max_articles
        if article in order or not _may_be_taken_in(edition, article):
            raise NoSuchItem
        if len(order) >= most:
            raise Full(
                f"{edition.newsletter} carries at most {most} articles. Leave one out, then "
                "take this one in."
            )
        edition.left_out.filter(article=article).delete()
        _renumber(edition, order)
        EditionArticle.objects.create(edition=edition, article_id=article, bit=1 << len(order))
    return Place(len(order) + 1, len(order) + 1)


def found_no_place(edition: Edition) -> list[Article]:
    """Candidates that are neither in the edition nor left out by a person, at most 20."""
    known = {*_order(edition), *edition.left_out.values_list("article", flat=True)}
    found = composing.all_candidates(edition.newsletter, slot=edition.slot)
    return [article for article in found if article.pk not in known][:SHOWN]


def _may_be_taken_in(edition: Edition, article: int) -> bool:
    dropped_before = composing.dropped(edition.newsletter).exclude(edition=edition)
    published = composing.of_its_topics(edition.newsletter).filter(pk=article)
    return published.exclude(pk__in=dropped_before.values("article")).exists()


def _order(edition: Edition) -> list[int]:
    return list(edition.items.order_by("bit").values_list("article", flat=True))


def _take_out(order: list[int], article: int) -> None:
    if article not in order:
        raise NoSuchItem
    order.remove(article)


def _renumber(edition: Edition, order: Sequence[int]) -> None:
    """Give the articles ranks from 0 on. A rank is taken once, so all leave theirs first."""
    edition.items.update(bit=-F("bit"))
    items = {item.article_id: item for item in edition.items.all()}
    for rank, article in enumerate(order):
        items[article].bit = 1 << rank
    EditionArticle.objects.bulk_update(items.values(), ["bit"])


def _title(article: int) -> str:
    return Article.objects.filter(pk=article).values_list("title", flat=True).first() or ""
