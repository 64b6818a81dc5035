"""Past editions for readers, and two checks for machines. GET only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, TypedDict, cast

from django.core.paginator import Paginator
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from iria_news import dates
from iria_news.articles.models import Article
from mailer import contents, monitoring
from mailer.models import Edition, EditionQuerySet
from subscribers import links
from subscribers.models import Newsletter

if TYPE_CHECKING:
    from django_stubs_ext import WithAnnotations

PER_PAGE = 30


class Shown(TypedDict):
    """What lists say of an edition besides its columns."""

    article_count: int
    headline: str


@require_safe
def edition_list(request: HttpRequest) -> HttpResponse:
    """What has been sent, newest first; private newsletters are not here."""
    newsletters = Newsletter.objects.offered()
    chosen = None
    editions = _listed(Edition.objects.public())
    if slug := request.GET.get("newsletter"):
        chosen = get_object_or_404(newsletters, slug=slug)
        editions = editions.filter(newsletter=chosen)
    page = Paginator(editions, PER_PAGE).get_page(request.GET.get("page"))
    months = [
        (month, list(editions_of_month))
        for month, editions_of_month in groupby(page, key=lambda one: dates.said(one.slot, "F Y"))
    ]
    context = {
        "page": page,
        "months": months,
        "newsletters": newsletters,
        "chosen": chosen,
        "section": "editions",
    }
    return render(request, "mailer/editions.html", context)


@require_safe
def edition_page(request: HttpRequest, slug: str) -> HttpResponse:
    """The public copy of an edition, with all its topics."""
    edition = get_object_or_404(_listed(Edition.objects.public()), slug=slug)
    siblings = _listed(Edition.objects.public()).filter(newsletter=edition.newsletter)
    context = {
        "older": siblings.filter(slot__lt=edition.slot).first(),
        "newer": siblings.filter(slot__gt=edition.slot).last(),
        "section": "editions",
    }
    return render(request, "mailer/edition.html", {**_content(edition), **context})


@never_cache
@require_safe
def private_edition_page(request: HttpRequest, token: str) -> HttpResponse:
    """The same for an edition of a private newsletter: for whoever has the link from a mail.

    Nothing leads here but that link, and no search engine is to keep what it shows.
    """
    try:
        number = links.read_edition(token)
    except links.BadLink as error:
        raise Http404 from error
    edition = get_object_or_404(_listed(Edition.objects.readable()), pk=number)
    context = {**_content(edition), "is_private": True}
    response = render(request, "mailer/edition.html", context)
    response["X-Robots-Tag"] = "noindex, nofollow"
    return response


def _content(edition: Edition) -> dict[str, object]:
    """What it says, and its articles as far as they are still published, the lead first."""
    readable = Article.objects.published().without_body().prefetch_related("topics")
    shown = readable.in_bulk(edition.items.values_list("article", flat=True))
    articles = []
    for pk, blurb in edition.items.order_by("bit").values_list("article", "blurb"):
        if pk in shown:
            shown[pk].standfirst = blurb or shown[pk].standfirst  # as the mail says it
            articles.append(shown[pk])
    return {
        "edition": edition,
        "articles": articles,
        "sections": _sections(articles) if edition.by_topic else [Section("", "h2", articles)],
        "introduction": contents.paragraphs(edition.introduction),
        "note": contents.paragraphs(edition.note),
    }


@dataclass
class Section:
    name: str  # empty: the articles stand in their order
    heading: str = "h3"  # of its articles
    articles: list[Article] = field(default_factory=list)


def _sections(articles: Iterable[Article]) -> list[Section]:
    """Articles under their first topic, topics in the order in which they first appear."""
    sections: dict[str, Section] = {}
    for article in articles:
        topic = next(iter(article.topics.all()), None)
        name = topic.name if topic else gettext("More")
        sections.setdefault(name, Section(name)).articles.append(article)
    return list(sections.values())


def _listed(found: EditionQuerySet) -> QuerySet[WithAnnotations[Edition, Shown]]:
    """These editions, newest first, with the headline that the list shows."""
    editions = (
        found.with_headline()
        .select_related("newsletter")
        .annotate(article_count=Count("items"))
        .order_by("-slot", "-pk")
    )
    # django-stubs names the annotated type anew in each expression; it is this one.
    return cast("QuerySet[WithAnnotations[Edition, Shown]]", editions)


@never_cache
@require_safe
def healthz(_request: HttpRequest) -> HttpResponse:
    """This process answers; nothing else is asked."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(_request: HttpRequest) -> HttpResponse:
    """200 when mail can flow, 503 otherwise, with a sentence for each part."""
    parts = monitoring.readiness()
    ready = all(state == "ok" for state in parts.values())
    return JsonResponse(
        {"status": "ready" if ready else "not ready", "parts": parts}, status=200 if ready else 503
    )
