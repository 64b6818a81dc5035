"""Own pages of what cannot wait: an urgent edition of one article, a draft that becomes one."""

from datetime import timedelta

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone

from iria_news.articles.models import Article
from iria_news.frame import admin_base, asking
from iria_news.frame.asking import NoFields, Question
from mailer import opening, urgency, urgent_news
from mailer.admin.acts import (
    APPROVE,
    COMPOSE,
    edition_for,
    nothing_to,
    page_url,
    refuse_unless,
    said,
)
from mailer.models import Edition, EditionState
from subscribers.models import Newsletter

NEWS = timedelta(days=3)  # an older article is not urgent


class UrgentForm(forms.Form):
    """Which article, and whose readers get it."""

    field_order = ["article", "newsletter"]
    newsletter = forms.ModelChoiceField(
        Newsletter.objects.filter(is_active=True, urgent_per_week__gt=0), widget=admin_base.Select
    )

    def __init__(self, data: QueryDict | None) -> None:
        super().__init__(data)
        recent = Article.objects.published().filter(published_at__gt=timezone.now() - NEWS)
        self.fields["article"] = forms.ModelChoiceField(
            recent.without_body().newest_first(), widget=admin_base.Select
        )
        self.order_fields(self.field_order)


def new(request: HttpRequest) -> HttpResponse:
    """Make an urgent draft of one article for the readers of a newsletter."""
    refuse_unless(request, COMPOSE, APPROVE)
    form = UrgentForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            edition = urgent_news.open_for(
                form.cleaned_data["article"], form.cleaned_data["newsletter"]
            )
        except opening.NothingToSend as reason:
            form.add_error(None, str(reason))
        else:
            return said(request, edition, done=True, success="An urgent draft: ask for approval.")
    question = Question(
        title="Urgent edition",
        question="Send one article at once?",
        sentences=[
            (
                "A draft that carries it alone. Two people approve it; then it leaves ahead of "
                "everything else, and those who got it do not get the article again."
            ),
        ],
        button="Make 1 urgent draft",
        back=reverse("admin:mailer_edition_changelist"),
    )
    return asking.ask(request, question, form)


def urgent(request: HttpRequest, pk: int) -> HttpResponse:
    """Put a draft ahead of everything else, or back into its place."""
    edition = edition_for(request, pk, COMPOSE, APPROVE)
    if request.method == "POST":
        return _made_urgent(request, edition)
    question = _urgent_question(edition)
    if edition.state != EditionState.DRAFT:
        return nothing_to(request, question, edition)
    return asking.ask(request, question, NoFields())


def _made_urgent(request: HttpRequest, edition: Edition) -> HttpResponse:
    try:
        if "ordinary" in request.GET:
            done, success = urgency.make_ordinary(edition), "It is an ordinary edition again."
        else:
            done, success = urgency.make_urgent(edition), "It is urgent: two people approve it."
    except urgency.TooMany as reason:
        messages.warning(request, str(reason))
        return redirect(page_url(edition))
    return said(request, edition, done=done, success=success)


def _urgent_question(edition: Edition) -> Question:
    used, most = urgency.used(edition.newsletter), edition.newsletter.urgent_per_week
    if edition.is_urgent:
        return Question(
            title="Make ordinary",
            question=f"Make {edition} an ordinary edition?",
            sentences=["One approval is enough then; those it has are void."],
            button="Make it ordinary",
            back=page_url(edition),
        )
    return Question(
        title="Make urgent",
        question=f"Make {edition} urgent?",
        sentences=[
            (
                "It leaves ahead of everything else, waits for no reader's hour, and two people "
                "approve it. Who gets it, does not get its articles again."
            ),
            f"{used} of at most {most} urgent editions of the last seven days are used.",
            urgency.why_not(edition),
        ],
        button="" if urgency.why_not(edition) else "Make it urgent",
        back=page_url(edition),
    )
