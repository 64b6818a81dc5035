"""Articles with what only we know of them: who was mailed one, and telling them at once."""

from datetime import datetime

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse

from iria_news.articles.admin import ArticleAdmin as NewsroomArticleAdmin
from iria_news.articles.models import Article
from iria_news.frame import asking
from mailer import corrections, urgent_corrections
from mailer.admin.moments import MomentForm
from mailer.models import EditionState
from mailer.urgent_corrections import Share
from subscribers.models import Approval

PERMISSION = "mailer.approve_edition"


admin.site.unregister(Article)


@admin.register(Article)
class ArticleAdmin(NewsroomArticleAdmin):
    def get_urls(self) -> list[URLPattern]:
        tell = self.admin_site.admin_view(self.tell)
        return [path("<int:pk>/tell/", tell, name="articles_article_tell"), *super().get_urls()]

    def change_view(self, request: HttpRequest, object_id: str, *args, **kwargs) -> HttpResponse:
        article = self.get_object(request, object_id)
        if article is not None and request.user.has_perm(PERMISSION):
            mailed = corrections.mailed_before(article).exists()
            address = reverse("admin:articles_article_tell", args=[article.pk])
            kwargs["extra_context"] = {"tell_url": address if mailed else ""}
        return super().change_view(request, object_id, *args, **kwargs)

    def tell(self, request: HttpRequest, pk: int) -> HttpResponse:
        """GET asks with the number of readers, POST opens the editions, however often it comes."""
        if not request.user.has_perm(PERMISSION):
            raise PermissionDenied
        article = get_object_or_404(Article.objects.without_body(), pk=pk)
        if request.method == "POST":
            form = MomentForm(request.POST, about=article)
            if form.is_valid():
                return self._tell(request, article, form.cleaned_data["moment"])
            messages.warning(request, "This page was too old. Nobody was told. Look again.")
            return redirect(request.path)
        return _ask_to_tell(request, article)

    def _tell(self, request: HttpRequest, article: Article, at: datetime) -> HttpResponse:
        try:
            opened = urgent_corrections.tell(article, by=asking.person(request), at=at)
        except urgent_corrections.NothingToTell as reason:
            messages.warning(request, str(reason))
            return redirect(request.path)
        names = ", ".join(str(edition) for edition in opened)
        self.log_change(request, article, f"Its readers are told: {names}.")
        waiting = [edition for edition in opened if edition.state == EditionState.DRAFT]
        if waiting:
            messages.warning(request, "Opened, and waiting for a colleague who approves it.")
            return redirect("admin:mailer_edition_change", waiting[0].pk)
        messages.success(request, f"On its way: {names}.")
        return redirect("admin:mailer_edition_change", opened[0].pk)


def _ask_to_tell(request: HttpRequest, article: Article) -> HttpResponse:
    found = urgent_corrections.shares(article)
    refusal = urgent_corrections.why_not(article, found)
    readers = sum(share.readers for share in found)
    question = asking.Question(
        title="Tell its readers",
        question=refusal or f"Tell {_many(readers)} now?",
        sentences=[]
        if refusal
        else [
            f"They were mailed “{article}” before it was corrected, and do not know yet.",
            "A mail of its own tells them. Otherwise they are told with their next edition.",
        ],
        listed=[] if refusal else [_in_words(share) for share in found],
        button="" if refusal else f"Tell {_many(readers)} now",
        back=reverse("admin:articles_article_change", args=[article.pk]),
    )
    return asking.ask(request, question, MomentForm(about=article))


def _in_words(share: Share) -> str:
    waits = share.newsletter.approval == Approval.PERSON
    said = f"{_many(share.readers)} through {share.newsletter}"
    return f"{said}, once a colleague has approved it" if waits else said


def _many(readers: int) -> str:
    return f"{readers:,} reader{'' if readers == 1 else 's'}"
