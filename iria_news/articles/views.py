"""The reading pages. They set no cookie and change nothing."""

from django.core.paginator import InvalidPage, Paginator
from django.db.models import Exists, OuterRef
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from iria_news.articles import front as front_page
from iria_news.articles import reading
from iria_news.articles.models import Article, ArticleQuerySet, ArticleState, Topic

PAGE = 20  # articles on one page of a topic
RELATED = 3


@require_safe
def front(request: HttpRequest) -> HttpResponse:
    return render(request, "articles/front.html", {"front": front_page.compose()})


@require_safe
def topic(request: HttpRequest, slug: str) -> HttpResponse:
    topic = get_object_or_404(Topic, slug=slug)
    articles = topic.articles.all().published().newest_first().without_body()
    try:
        page = Paginator(articles.prefetch_related("topics"), PAGE).page(request.GET.get("page", 1))
    except InvalidPage as error:
        raise Http404 from error
    return render(request, "articles/topic.html", {"topic": topic, "page": page})


@require_safe
def article(request: HttpRequest, slug: str) -> HttpResponse:
    """A withdrawn article keeps its address and its headline, with a note for its text."""
    articles = Article.objects.readable().prefetch_related("topics", "corrections")
    article = get_object_or_404(articles, slug=slug)
    context: dict[str, object] = {"article": article, "related": _related(article)}
    if article.state == ArticleState.WITHDRAWN:
        return render(request, "articles/withdrawn.html", context)
    context |= {
        "reading": reading.prepare(article.body),
        "shows_standfirst": not reading.opens_with(article.body, article.standfirst),
    }
    return render(request, "articles/article.html", context)


def _related(article: Article) -> ArticleQuerySet:
    """The newest that share a topic."""
    shared = Article.topics.through.objects.filter(
        article=OuterRef("pk"), topic__in=[topic.pk for topic in article.topics.all()]
    )
    others = Article.objects.published().filter(Exists(shared)).exclude(pk=article.pk)
    return others.newest_first().without_body().prefetch_related("topics")[:RELATED]
