"""Composing a draft: GET shows it, each POST is one act on the version that was shown."""

from collections.abc import Callable
from dataclasses import replace

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse

from iria_news.frame import asking
from mailer import composing
from mailer.admin import acts, composer_acts, composer_forms, composer_page
from mailer.admin.composer_acts import Act, Done
from mailer.composing_changes import ChangedMeanwhile, Full, NoSuchItem, NotADraft
from mailer.models import Edition, EditionState

MAY_COMPOSE = ("mailer.change_edition", "mailer.approve_edition")  # one of them is enough


def compose(request: HttpRequest, pk: int) -> HttpResponse:
    """The composer's page, and its acts."""
    edition = acts.edition_for(request, pk, *MAY_COMPOSE)
    if request.method == "POST":
        act = Act(request, edition, asking.person(request))
        known = composer_acts.ACTS.get(act.name)
        return _answered(act, known) if known else redirect(_page(edition))
    if edition.state != EditionState.DRAFT:
        return _nothing_to_compose(request, edition)
    return composer_page.show(request, edition)


def compose_anew(request: HttpRequest, pk: int) -> HttpResponse:
    """GET lists what a draft would carry; POST chooses its articles anew."""
    edition = acts.edition_for(request, pk, *MAY_COMPOSE)
    if request.method == "POST":
        act = Act(request, edition, asking.person(request))
        return _answered(act, composer_acts.compose_anew)
    if edition.state != EditionState.DRAFT:
        return _nothing_to_compose(request, edition)
    articles = composing.candidates(edition.newsletter, slot=edition.slot)
    number = acts.many(len(articles), "article")
    question = asking.Question(
        title="Compose anew",
        question=f"Choose the articles of {edition} anew?",
        sentences=[
            f"It would carry {number}, in this order.",
            "What was left out stays out, and blurbs stay with their articles.",
        ],
        listed=[article.title for article in articles],
        button=f"Compose anew with {number}",
        back=_page(edition),
    )
    form = composer_forms.VersionForm(initial={"version": edition.version})
    return asking.ask(request, question, form)


PAGES = {"compose": compose, "compose_anew": compose_anew}


def _answered(act: Act, do: Callable[[Act], Done]) -> HttpResponse:
    """Act, and say what became of it."""
    try:
        done = do(act)
    except ChangedMeanwhile as changed:
        return _overtaken(act, f"{changed} Nothing was overwritten.")
    except (NotADraft, Full, NoSuchItem) as refused:
        return _refused(act, str(refused))
    except composer_acts.Mistaken as mistaken:
        return composer_page.show(act.request, act.edition, mistaken.shown)
    if _is_script(act.request):
        return _to_script(act, done.said, status=200)
    messages.success(act.request, done.said)
    return redirect(f"{_page(act.edition)}#{done.anchor}")


def _refused(act: Act, said: str) -> HttpResponse:
    if _is_script(act.request):
        return _to_script(act, said, status=409)
    messages.warning(act.request, said)
    is_draft = act.edition.state == EditionState.DRAFT
    return redirect(_page(act.edition) if is_draft else acts.page_url(act.edition))


def _overtaken(act: Act, said: str) -> HttpResponse:
    """A colleague was faster: their version, with what this person had typed in its place."""
    if _is_script(act.request):
        return _to_script(act, said, status=409)
    shown = replace(act.typed(), problem=said, status=409)
    return composer_page.show(act.request, act.edition, shown)


def _is_script(request: HttpRequest) -> bool:
    return not request.accepts("text/html")


def _to_script(act: Act, said: str, *, status: int) -> HttpResponse:
    return JsonResponse({"said": said, "version": act.edition.version}, status=status)


def _nothing_to_compose(request: HttpRequest, edition: Edition) -> HttpResponse:
    back = acts.page_url(edition)
    return acts.nothing_to(request, asking.Question("Compose", "", back), edition)


def _page(edition: Edition) -> str:
    return reverse("admin:mailer_edition_compose", args=[edition.pk])
