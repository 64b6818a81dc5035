"""Newsletters with what only we know of them: the next slot, and sending now."""

from datetime import datetime

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from iria_news.frame import asking
from mailer import coming, composing, opening, reach
from mailer.admin.moments import MomentForm
from mailer.models import EditionState
from subscribers import admin as subscribers_admin
from subscribers import counting
from subscribers.models import Newsletter


@admin.register(Newsletter)
class NewsletterAdmin(subscribers_admin.NewsletterAdmin):
    list_display = [
        *("name", "comes", "next_slot", "readers", "approval", "is_active", "is_private")
    ]

    @admin.display(description="Next slot")
    def next_slot(self, newsletter) -> str:
        return coming.of(newsletter, now=timezone.now()).when

    def get_urls(self) -> list[URLPattern]:
        send_now = self.admin_site.admin_view(self.send_now)
        return [
            path("<int:pk>/send-now/", send_now, name="subscribers_newsletter_send_now"),
            *super().get_urls(),
        ]

    def change_view(self, request: HttpRequest, object_id: str, *args, **kwargs) -> HttpResponse:
        newsletter = self.get_object(request, object_id)
        if newsletter is not None:
            kwargs["extra_context"] = {
                "coming": coming.of(newsletter, now=timezone.now()),
                "readers": counting.readers_of(newsletter.pk),
            }
        return super().change_view(request, object_id, *args, **kwargs)

    def send_now(self, request: HttpRequest, pk: int) -> HttpResponse:
        """GET asks with the numbers of this moment, POST sends once, however often it comes."""
        if not request.user.has_perm("mailer.approve_edition"):
            raise PermissionDenied
        newsletter = get_object_or_404(Newsletter, pk=pk)
        if request.method == "POST":
            form = MomentForm(request.POST, about=newsletter)
            if form.is_valid():
                return self._send(request, newsletter, form.cleaned_data["moment"])
            messages.warning(request, "This page was too old. Nothing was sent. Look again.")
            return redirect(request.path)
        return _ask_to_send(request, newsletter)

    def _send(self, request: HttpRequest, newsletter: Newsletter, at: datetime) -> HttpResponse:
        try:
            edition = opening.send_now(newsletter, by=asking.person(request), at=at)
        except opening.NothingToSend as reason:
            messages.warning(request, str(reason))
            return redirect(request.path)
        self.log_change(request, newsletter, f"Sent now: {edition}.")
        messages.success(request, f"On its way: {edition}.")
        return redirect("admin:mailer_edition_change", edition.pk)


def _ask_to_send(request: HttpRequest, newsletter: Newsletter) -> HttpResponse:
    fresh = composing.fresh_articles(newsletter, slot=timezone.now())
    readers = reach.expected_readers(newsletter)
    refusal = opening.why_not_now(newsletter)
    articles = f"{len(fresh):,} new article{'' if len(fresh) == 1 else 's'}"
    follow = f"{readers:,} reader{' follows' if readers == 1 else 's follow'}"
    question = asking.Question(
        title=f"Send {newsletter} now",
        question=f"Send {newsletter} now?",
        sentences=[f"{follow} it; {articles}.", _what_first(newsletter) if refusal else ""],
        listed=[article.title for article in fresh[: newsletter.max_articles]],
        button=f"Send to {readers:,} reader{'' if readers == 1 else 's'}" if not refusal else "",
        back=reverse("admin:subscribers_newsletter_change", args=[newsletter.pk]),
    )
    return asking.ask(request, question, MomentForm(about=newsletter))


def _what_first(newsletter: Newsletter) -> str:
    if newsletter.editions.filter(state=EditionState.DRAFT).exists():
        return "A draft carries what is new. Approve that one."
    return opening.why_not_now(newsletter)
