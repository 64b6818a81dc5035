"""What every act on an edition says before and after: a question, and what became of it."""

from dataclasses import replace

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from iria_news.frame import asking
from iria_news.frame.asking import NoFields, Question
from mailer.models import Edition

VIEW, COMPOSE = "mailer.view_edition", "mailer.change_edition"
APPROVE, STEER = "mailer.approve_edition", "mailer.steer_edition"


def refuse_unless(request: HttpRequest, *permissions: str) -> None:
    """Let those through who have one of the permissions. Raises PermissionDenied."""
    if not any(request.user.has_perm(permission) for permission in permissions):
        raise PermissionDenied


def edition_for(request: HttpRequest, pk: int, *permissions: str) -> Edition:
    """The edition, for those who have one of the permissions."""
    refuse_unless(request, *permissions)
    return get_object_or_404(Edition.objects.select_related("newsletter"), pk=pk)


def many(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def page_url(edition: Edition) -> str:
    return reverse("admin:mailer_edition_change", args=[edition.pk])


def nothing_to(request: HttpRequest, question: Question, edition: Edition) -> HttpResponse:
    """The same page without its button, when the edition has gone on meanwhile."""
    sentence = f"There is nothing to {question.title.lower()}: the edition is {edition.state}."
    without = replace(question, question=sentence, sentences=[], listed=[], button="")
    return asking.ask(request, without, NoFields())


def said(request: HttpRequest, edition: Edition, *, done: bool, success: str) -> HttpResponse:
    """Say what became of it, keep it in the history of the edition, and go back to its page."""
    if done:
        messages.success(request, success)
        LogEntry.objects.log_actions(
            asking.person(request).pk, [edition], CHANGE, success, single_object=True
        )
    else:
        edition.refresh_from_db()
        messages.warning(request, f"Too late, nothing changed: the edition is {edition.state}.")
    return redirect(page_url(edition))


def show(
    request: HttpRequest, edition: Edition, tab: str, *, status: int = 200, **context: object
) -> HttpResponse:
    """One of the pages of an edition, below the tabs that lead from one to the other."""
    shown = {
        **admin.site.each_context(request),
        "title": f"{edition}: {tab}",
        "edition": edition,
        "tab": tab,
        **context,
    }
    template = f"admin/mailer/edition/{tab}.html"
    return TemplateResponse(request, template, shown, status=status)


def listed(noun: str, numbers: list[int]) -> str:
    """For example "items 1, 2 and 4"."""
    *first, last = map(str, numbers)
    return f"{noun}s {', '.join(first)} and {last}" if first else f"{noun} {last}"
