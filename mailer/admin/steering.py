"""Own pages that change an edition's way: pause, resume, cancel.

GET asks with numbers, POST calls one flow function and says what became of it.
"""

from django import forms
from django.http import HttpRequest, HttpResponse, QueryDict

from iria_news.frame import asking
from iria_news.frame.asking import NoFields, Question
from mailer import editions, ledger, reach
from mailer.admin.acts import edition_for, many, nothing_to, page_url, said
from mailer.models import AT_REST, OPEN, DeliveryState, Edition, EditionState


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


def pause(request: HttpRequest, pk: int) -> HttpResponse:
    edition = edition_for(request, pk, "mailer.steer_edition")
    form = ReasonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        done = editions.pause(edition, reason=_by(request, "Paused", form))
        wait = many(_left(edition), "mail")
        return said(request, edition, done=done, success=f"Paused. {wait} to go.")
    question = Question(
        title="Pause",
        question=f"Pause {edition}?",
        sentences=[
            f"{many(_left(edition), 'mail')} will wait until somebody resumes it.",
            "At most one more for each open connection leaves.",
        ],
        button="Pause",
        back=page_url(edition),
    )
    if edition.state not in editions.UNDER_WAY:
        return nothing_to(request, question, edition)
    return asking.ask(request, question, form)


def resume(request: HttpRequest, pk: int) -> HttpResponse:
    edition = edition_for(request, pk, "mailer.steer_edition")
    left = many(_left(edition), "mail")
    if request.method == "POST":
        done = editions.resume(edition)
        return said(request, edition, done=done, success=f"Resumed. {left} to go.")
    question = Question(
        title="Resume",
        question=f"Resume {edition}?",
        sentences=[
            edition.reason,
            f"{left} will leave from now on. Readers who left meanwhile are skipped.",
        ],
        button="Resume",
        back=page_url(edition),
    )
    if edition.state != EditionState.PAUSED:
        return nothing_to(request, question, edition)
    return asking.ask(request, question, NoFields())


def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask for the number of mails that will never be sent; a slip is 422, and nothing changed."""
    edition = edition_for(request, pk, "mailer.steer_edition")
    left = _left(edition)
    form = CancelForm(request.POST or None, left=left)
    if request.method == "POST" and form.is_valid():
        done = editions.cancel(edition, reason=_by(request, "Cancelled", form))
        success = f"Cancelled. {many(left, 'mail')} will never be sent."
        return said(request, edition, done=done, success=success)
    sent = ledger.read(edition.pk).by_state[DeliveryState.SENT]
    question = Question(
        title="Cancel",
        question=f"Cancel {edition}?",
        sentences=[
            f"Sent so far, and not to be recalled: {many(sent, 'mail')}.",
            f"{many(left, 'mail')} will never be sent; their articles count as not received.",
        ],
        button=f"Cancel {many(left, 'mail')}",
        back=page_url(edition),
        is_grave=True,
    )
    if edition.state in AT_REST:
        return nothing_to(request, question, edition)
    return asking.ask(request, question, form)


PAGES = {
    "pause": pause,
    "resume": resume,
    "cancel": cancel,
}


def _left(edition: Edition) -> int:
    """Mails not settled yet; before the freeze, the readers who may get one."""
    if edition.frozen_at is None:
        return reach.expected_readers_of(edition)
    by_state = ledger.read(edition.pk).by_state
    return sum(by_state[state] for state in OPEN)


def _by(request: HttpRequest, verb: str, form: ReasonForm) -> str:
    reason = form.cleaned_data["reason"]
    return f"{verb} by {request.user}" + (f": {reason}" if reason else ".")
