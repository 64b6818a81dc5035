"""Own pages that change an edition's way: approve, compose, pause, resume, cancel.

GET asks with numbers, POST calls one flow function and says what became of it.
"""

from dataclasses import replace

from django import forms
from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from iria_news.frame import asking
from iria_news.frame.asking import NoFields, Question
from mailer import approving, composing, editions, ledger
from mailer.models import AT_REST, OPEN, DeliveryState, Edition, EditionState

HASH_SHOWN = 16  # characters; enough to compare by eye


class HashForm(forms.Form):
    content_hash = forms.CharField(widget=forms.HiddenInput)


class ReasonForm(forms.Form):
    reason = forms.CharField(max_length=120, required=False, label="Reason, for your colleagues")


class CancelForm(ReasonForm):
    """Typing the number is what keeps a slip of the mouse from costing an edition."""

    shown = forms.IntegerField(widget=forms.HiddenInput)
    number = forms.CharField(max_length=12)

    def __init__(self, data: QueryDict | None, *, left: int) -> None:
        super().__init__(data, initial={"shown": left})
        self.fields["number"].label = f"To cancel, type {self['shown'].value()}"

    def clean(self) -> dict[str, object]:
        values = super().clean() or {}
        typed, shown = str(values.get("number", "")), str(values.get("shown"))
        if typed and typed.replace(",", "").strip() != shown:
            self.add_error("number", f"You typed {typed}, not {shown}. Nothing was cancelled.")
        return values


def approve(request: HttpRequest, pk: int) -> HttpResponse:
    """GET shows the articles with the hash of what they say; POST approves that hash."""
    edition = _edition(request, pk, "mailer.approve_edition")
    if request.method == "POST":
        read = request.POST.get("content_hash", "")
        try:
            done = approving.approve(edition, content_hash=read, by=asking.person(request))
        except approving.ContentChanged:
            messages.warning(
                request, "The edition changed since you read it. Nothing was approved. Look again."
            )
            return redirect(request.path)
        return _said(request, edition, done=done, success="Approved.")
    titles = list(edition.items.order_by("bit").values_list("article__title", flat=True))
    readers = editions.expected_readers_of(edition)
    question = Question(
        title="Approve",
        question=f"Approve {edition}?",
        sentences=[
            f"{_many(readers, 'reader')} will get it, less those who have had all of it.",
            f"Content {edition.content_hash[:HASH_SHOWN]}: any change to it voids the approval.",
        ],
        listed=titles,
        button=f"Approve for {_many(readers, 'reader')}",
        back=_page(edition),
    )
    if edition.state != EditionState.DRAFT:
        return _nothing_to(request, question, edition)
    form = HashForm(initial={"content_hash": edition.content_hash})
    return asking.ask(request, question, form)


def compose(request: HttpRequest, pk: int) -> HttpResponse:
    """Choose the articles of a draft anew."""
    edition = _edition(request, pk, "mailer.approve_edition")
    is_draft = edition.state == EditionState.DRAFT
    if request.method == "POST":
        number = composing.compose(edition)
        return _said(
            request, edition, done=is_draft, success=f"It carries {_many(number, 'article')} now."
        )
    articles = composing.candidates(edition.newsletter, slot=edition.slot)
    question = Question(
        title="Compose anew",
        question=f"Choose the articles of {edition} anew?",
        sentences=[f"It would carry {_many(len(articles), 'article')}, in this order."],
        listed=[article.title for article in articles],
        button="Compose anew",
        back=_page(edition),
    )
    if not is_draft:
        return _nothing_to(request, question, edition)
    return asking.ask(request, question, NoFields())


def pause(request: HttpRequest, pk: int) -> HttpResponse:
    edition = _edition(request, pk, "mailer.steer_edition")
    form = ReasonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        done = editions.pause(edition, reason=_by(request, "Paused", form))
        wait = _many(_left(edition), "mail")
        return _said(request, edition, done=done, success=f"Paused. {wait} to go.")
    question = Question(
        title="Pause",
        question=f"Pause {edition}?",
        sentences=[
            f"{_many(_left(edition), 'mail')} will wait until somebody resumes it.",
            "At most one more for each open connection leaves.",
        ],
        button="Pause",
        back=_page(edition),
    )
    if edition.state not in editions.UNDER_WAY:
        return _nothing_to(request, question, edition)
    return asking.ask(request, question, form)


def resume(request: HttpRequest, pk: int) -> HttpResponse:
    edition = _edition(request, pk, "mailer.steer_edition")
    left = _many(_left(edition), "mail")
    if request.method == "POST":
        done = editions.resume(edition)
        return _said(request, edition, done=done, success=f"Resumed. {left} to go.")
    question = Question(
        title="Resume",
        question=f"Resume {edition}?",
        sentences=[
            edition.reason,
            f"{left} will leave from now on. Readers who left meanwhile are skipped.",
        ],
        button="Resume",
        back=_page(edition),
    )
    if edition.state != EditionState.PAUSED:
        return _nothing_to(request, question, edition)
    return asking.ask(request, question, NoFields())


def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask for the number of mails that will never be sent; a slip is 422, and nothing changed."""
    edition = _edition(request, pk, "mailer.steer_edition")
    left = _left(edition)
    form = CancelForm(request.POST or None, left=left)
    if request.method == "POST" and form.is_valid():
        done = editions.cancel(edition, reason=_by(request, "Cancelled", form))
        success = f"Cancelled. {_many(left, 'mail')} will never be sent."
        return _said(request, edition, done=done, success=success)
    sent = ledger.read(edition.pk).by_state[DeliveryState.SENT]
    question = Question(
        title="Cancel",
        question=f"Cancel {edition}?",
        sentences=[
            f"Sent so far, and not to be recalled: {_many(sent, 'mail')}.",
            f"{_many(left, 'mail')} will never be sent; their articles count as not received.",
        ],
        button=f"Cancel {_many(left, 'mail')}",
        back=_page(edition),
        is_grave=True,
    )
    if edition.state in AT_REST:
        return _nothing_to(request, question, edition)
    return asking.ask(request, question, form)


PAGES = {
    "approve": approve,
    "compose": compose,
    "pause": pause,
    "resume": resume,
    "cancel": cancel,
}


def _edition(request: HttpRequest, pk: int, permission: str) -> Edition:
    if not request.user.has_perm(permission):
        raise PermissionDenied
    return get_object_or_404(Edition.objects.select_related("newsletter"), pk=pk)


def _left(edition: Edition) -> int:
    """Mails not settled yet; before the freeze, the readers who may get one."""
    if edition.frozen_at is None:
        return editions.expected_readers_of(edition)
    by_state = ledger.read(edition.pk).by_state
    return sum(by_state[state] for state in OPEN)


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _by(request: HttpRequest, verb: str, form: ReasonForm) -> str:
    reason = form.cleaned_data["reason"]
    return f"{verb} by {request.user}" + (f": {reason}" if reason else ".")


def _page(edition: Edition) -> str:
    return reverse("admin:mailer_edition_change", args=[edition.pk])


def _nothing_to(request: HttpRequest, question: Question, edition: Edition) -> HttpResponse:
    """The same page without its button, when the edition has gone on meanwhile."""
    sentence = f"There is nothing to {question.title.lower()}: the edition is {edition.state}."
    without = replace(question, question=sentence, sentences=[], listed=[], button="")
    return asking.ask(request, without, NoFields())


def _said(request: HttpRequest, edition: Edition, *, done: bool, success: str) -> HttpResponse:
    """Say what became of it, keep it in the history of the edition, and go back to its page."""
    if done:
        messages.success(request, success)
        LogEntry.objects.log_actions(
            asking.person(request).pk, [edition], CHANGE, success, single_object=True
        )
    else:
        edition.refresh_from_db()
        messages.warning(request, f"Too late, nothing changed: the edition is {edition.state}.")
    return redirect(_page(edition))
