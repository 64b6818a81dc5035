"""Own pages that steer a lane: suspend, release, undo suppressions. GET asks, POST acts once."""

from dataclasses import replace
from datetime import timedelta

from django import forms
from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone

from iria_news.frame import asking
from iria_news.frame.asking import NoFields, Question
from mailer.admin import lane_words
from mailer.models import Throttle
from mailer.throttle import limits, operators, suppressions

UNDONE = timedelta(hours=1)  # how far back "Undo suppressions" goes


class ReasonForm(forms.Form):
    reason = forms.CharField(max_length=120, required=False, label="Reason, for your colleagues")

    def clean_reason(self) -> str:
        reason = self.cleaned_data["reason"]
        if "@" in reason:
            raise forms.ValidationError("This looks like an address. Logs and lists show it.")
        return reason


def suspend(request: HttpRequest, pk: int) -> HttpResponse:
    row = _row(request, pk)
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        reason = form.cleaned_data["reason"]
        done = operators.suspend(row.server, row.domain, by=_name(request), reason=reason)
        return _said(request, row, done=done, success="Suspended.")
    question = _question(
        row,
        verb="Suspend",
        sentences=[
            f"This hour: {lane_words.numbers(row)}. Rate now: {lane_words.rate_in_words(row)}.",
            "Its mails wait until a person releases it, or until their edition expires.",
        ],
    )
    if row.is_held:
        return _nothing_to(request, question, "It is suspended until a person releases it.")
    return asking.ask(request, question, form)


def release(request: HttpRequest, pk: int) -> HttpResponse:
    row = _row(request, pk)
    if request.method == "POST":
        done = operators.release(row.server, row.domain, by=_name(request))
        return _said(
            request, row, done=done, success=f"Released. Rate: {lane_words.rate_in_words(row)}."
        )
    question = _question(
        row,
        verb="Release",
        sentences=[
            lane_words.state_of(row)[1],
            f"It goes on at once, at the speed it had: {lane_words.rate_in_words(row)}.",
        ],
    )
    if not limits.closed_for(row) and not row.failures:
        return _nothing_to(request, question, "It is open.")
    return asking.ask(request, question, NoFields())


def undo(request: HttpRequest, pk: int) -> HttpResponse:
    """Undo the suppressions of the last hour, after a provider called good mailboxes gone."""
    row = _row(request, pk)
    since = timezone.now() - UNDONE
    if request.method == "POST":
        number = suppressions.undo(row.server, row.domain, since, by=_name(request))
        success = f"Undone: {_many(number, 'suppression')}."
        return _said(request, row, done=number > 0, success=success)
    number = suppressions.count(row.server, row.domain, since)
    question = _question(
        row,
        verb="Undo suppressions",
        sentences=[
            f"{_many(number, 'mailbox', 'mailboxes')} called gone here since {since:%H:%M} UTC.",
            "Their subscriptions are open again afterwards, and the next edition goes to them.",
        ],
    )
    question = replace(question, button=f"Undo {_many(number, 'suppression')}", is_grave=True)
    if not number:
        return _nothing_to(request, question, "No suppression of the last hour came from it.")
    return asking.ask(request, question, NoFields())


PAGES = {"suspend": suspend, "release": release, "undo": undo}


def _row(request: HttpRequest, pk: int) -> Throttle:
    if not request.user.has_perm(lane_words.PERMISSION):
        raise PermissionDenied
    return get_object_or_404(lane_words.with_numbers(Throttle.objects.all()), pk=pk)


def _name(request: HttpRequest) -> str:
    return asking.person(request).get_username()


def _many(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _question(row, *, verb: str, sentences: list[str]) -> Question:
    lane = f"{row.server}, {lane_words.lane_in_words(row)}"
    return Question(
        title=verb,
        question=f"{verb}: {lane}?",
        sentences=sentences,
        button=f"{verb} {row.domain or row.server}",
        back=reverse("admin:mailer_throttle_change", args=[row.pk]),
    )


def _nothing_to(request: HttpRequest, question: Question, sentence: str) -> HttpResponse:
    """The same page without its button, when there is nothing to do any more."""
    without = replace(question, question=sentence, sentences=[], button="")
    return asking.ask(request, without, NoFields())


def _said(request: HttpRequest, row, *, done: bool, success: str) -> HttpResponse:
    """Say what became of it, keep it in the history of the lane, and go back to the list.

    To the list, because a row that says nothing any more goes by itself.
    """
    if done:
        messages.success(request, f"{row.server}, {lane_words.lane_in_words(row)}: {success}")
        LogEntry.objects.log_actions(
            asking.person(request).pk, [row], CHANGE, success, single_object=True
        )
    else:
        messages.warning(request, "Too late, nothing changed. Look again.")
    return redirect("admin:mailer_throttle_changelist")
