"""Past editions for readers, and two checks for machines. GET only."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.core.paginator import Paginator
from django.db.models import Count, F, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, NullIf
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.utils.formats import date_format
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from iria_news.articles.models import Article
from mailer import monitoring
from mailer.models import Edition, EditionArticle, EditionState
from subscribers.models import Newsletter

PER_PAGE = 30
PUBLIC_STATES = [EditionState.SENDING, EditionState.DONE, EditionState.PAUSED]


@require_safe
def edition_list(request: HttpRequest) -> HttpResponse:
    """What has been sent, newest first; private newsletters are not here."""
    newsletters = Newsletter.objects.offered()
    chosen = None
    editions = _public()
    if slug := request.GET.get("newsletter"):
        chosen = get_object_or_404(newsletters, slug=slug)
        editions = editions.filter(newsletter=chosen)
    page = Paginator(editions, PER_PAGE).get_page(request.GET.get("page"))
    for edition in page:
        edition.month = date_format(edition.slot, "F Y")
    context = {"page": page, "newsletters": newsletters, "chosen": chosen, "section": "editions"}
    return render(request, "mailer/editions.html", context)


@require_safe
def edition_page(request: HttpRequest, slug: str) -> HttpResponse:
    """The public copy of an edition, with all its topics."""
    edition = get_object_or_404(_public(), slug=slug)
    articles = list(
        Article.objects.published()
        .without_body()
        .filter(editions=edition)
        .order_by("editionarticle__bit")
        .prefetch_related("topics")
    )
    siblings = _public().filter(newsletter=edition.newsletter)
    context = {
        "edition": edition,
        "headline": edition.headline,
        "articles": articles,
        "sections": _sections(articles),
        "older": siblings.filter(slot__lt=edition.slot).first(),
        "newer": siblings.filter(slot__gt=edition.slot).last(),
        "section": "editions",
    }
    return render(request, "mailer/edition.html", context)


@dataclass
class Section:
    name: str
    articles: list[Article] = field(default_factory=list)


def _sections(articles: Iterable[Article]) -> list[Section]:
    """Articles under their first topic, topics in the order in which they first appear."""
    sections: dict[str, Section] = {}
    for article in articles:
        topic = next(iter(article.topics.all()), None)
        name = topic.name if topic else "More"
        sections.setdefault(name, Section(name)).articles.append(article)
    return list(sections.values())


def _public() -> QuerySet[Edition]:
    """Editions that anybody may read, with the headline that the list shows."""
    items = EditionArticle.objects.filter(edition=OuterRef("pk")).order_by("bit")
    return (
        Edition.objects.filter(
            started_at__isnull=False, state__in=PUBLIC_STATES, newsletter__is_private=False
        )
        .select_related("newsletter")
        .annotate(
            article_count=Count("items"),
            headline=Coalesce(
                NullIf(F("subject"), Value("")),
                Subquery(items.values("article__title")[:1]),
                Value("No articles"),
            ),
        )
        .order_by("-slot", "-pk")
    )


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
