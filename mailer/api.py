"""Past editions for programs: public ones only, newest first, in pages."""

import re
from datetime import datetime
from typing import Annotated

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from ninja import Query, Router, Schema
from pydantic import BeforeValidator, Field

from iria_news.api import paging, problems
from iria_news.api.parsing import Strict
from iria_news.articles.models import Article
from mailer.models import Edition, EditionQuerySet
from subscribers.api import fields
from subscribers.api.authentication import Key
from subscribers.api_keys import Scope
from subscribers.models import Newsletter

router = Router(tags=["Editions"], auth=Key(Scope.READ))
PER_PAGE = 30
MOST_PER_PAGE = 100


class EditionOut(Schema):
    slug: str
    newsletter: str
    headline: str
    at: datetime
    url: str


class Editions(Schema):
    editions: list[EditionOut]
    next: str | None


class ArticleOut(Schema):
    slug: str
    title: str
    standfirst: str
    byline: str
    language: str
    topics: list[str]
    published_at: datetime
    url: str


class WholeEdition(EditionOut):
    articles: list[ArticleOut]


def _digits(value: object) -> object:
    """As JSON writes a whole number: pydantic would take " +5 " and "1_0" as well."""
    if isinstance(value, str) and not (value.isascii() and value.isdigit()):
        raise ValueError("This takes a whole number in digits.")
    return value


class Filters(Strict):
    newsletter: fields.Slug | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_PER_PAGE), BeforeValidator(_digits)] = PER_PAGE
    cursor: Annotated[str, Field(max_length=40)] | None = None


@router.get("/editions", response=Editions, operation_id="listEditions")
def editions(request: HttpRequest, filters: Query[Filters]) -> Editions:
    """What anybody may read, newest first. `next` is the cursor of the page that follows."""
    found = _readable()
    if filters.newsletter is not None:
        found = found.filter(newsletter=_newsletter(filters.newsletter))
    if filters.cursor is not None:
        found = found.filter(_behind(filters.cursor))
    rows = found.order_by("-slot", "-pk")
    page = list(rows[: filters.limit + 1])
    shown = page[: filters.limit]
    return Editions(
        editions=[_edition(one) for one in shown],
        next=paging.cursor(shown[-1].pk) if len(page) > len(shown) else None,
    )


@router.get("/editions/{slug}", response=WholeEdition, operation_id="getEdition")
def edition(request: HttpRequest, slug: str) -> WholeEdition:
    """One edition and its articles, without those that were withdrawn since."""
    # PostgreSQL takes no NUL, not even to look for.
    one = _readable().filter(slug=slug).first() if re.fullmatch(fields.SLUG, slug) else None
    if one is None:
        raise problems.Problem(
            404, "No edition that anybody may read is called so. GET /api/v1/editions lists them."
        )
    readable = Article.objects.published().without_body().prefetch_related("topics")
    articles = readable.in_bulk(one.items.values_list("article", flat=True))
    ranked = one.items.order_by("bit").values_list("article", flat=True)
    return WholeEdition(
        **_edition(one).model_dump(),
        articles=[_article(articles[pk]) for pk in ranked if pk in articles],
    )


def _readable() -> EditionQuerySet:
    return Edition.objects.public().with_headline().select_related("newsletter")


def _newsletter(slug: str) -> Newsletter:
    """Also one that nobody can join any more; a private one is as unknown as any."""
    newsletter = Newsletter.objects.filter(slug=slug, is_private=False).first()
    if newsletter is None:
        raise problems.mistake(
            "query/newsletter", f"No newsletter is called “{slug}”. See GET /api/v1/newsletters."
        )
    return newsletter


def _behind(cursor: str) -> Q:
    """Older than the row of the cursor, whatever became of that row's state since."""
    last = Edition.objects.filter(pk=paging.read_cursor(cursor)).first()
    if last is None:
        raise paging.bad_cursor()
    return Q(slot__lt=last.slot) | Q(slot=last.slot, pk__lt=last.pk)


def _edition(one: Edition) -> EditionOut:
    return EditionOut(
        slug=one.slug,
        newsletter=one.newsletter.slug,
        headline=one.headline,  # type: ignore[attr-defined]  # of `with_headline`
        at=one.slot,
        url=settings.SITE_URL + reverse("edition", args=[one.slug]),
    )


def _article(article: Article) -> ArticleOut:
    assert article.published_at is not None  # it is published
    return ArticleOut(
        slug=article.slug,
        title=article.title,
        standfirst=article.standfirst,
        byline=article.byline,
        language=article.language,
        topics=[topic.slug for topic in article.topics.all()],
        published_at=article.published_at,
        url=settings.SITE_URL + article.get_absolute_url(),
    )
