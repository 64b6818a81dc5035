"""Own pages of an approval: look and approve, ask for one, send back, take back.

GET asks with numbers, POST calls one flow function and says what became of it.
"""

from datetime import datetime

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from iria_news.frame import asking
from iria_news.frame.asking import NoFields, Question
from mailer import approvers, approving, editions, preflight, reach, tasks, urgency
from mailer.admin import acts, checks, readers
from mailer.admin.acts import APPROVE, COMPOSE, edition_for, many, nothing_to, page_url, said
from mailer.models import Edition, EditionState

HASH_SHOWN = 16  # characters; enough to compare by eye
CHANGED = "The edition changed since you read it. Nothing was approved. Look again."


class ApprovalForm(forms.Form):
    """What was read, and each warning seen."""

    content_hash = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, *args, warnings: list[str], **kwargs) -> None:
        super().__init__(*args, **kwargs)
        for number, sentence in enumerate(warnings):
            self.fields[f"seen_{number}"] = forms.BooleanField(label=f"I have seen “{sentence}”")


class NoteForm(forms.Form):
    note = forms.CharField(
        max_length=approving.NOTE_CHARACTERS,
        label="What should change",
        widget=forms.Textarea(attrs={"rows": 3}),
    )


def approve(request: HttpRequest, pk: int) -> HttpResponse:
    """GET shows numbers, checks and the hash of what readers see; POST approves that hash."""
    edition = edition_for(request, pk, APPROVE)
    person = asking.person(request)
    found = checks.of(edition)
    warnings = [shown.finding.sentence for shown in found if not shown.finding.is_blocking]
    current = approving.content_hash(edition)
    form = ApprovalForm(request.POST or None, warnings=warnings, initial={"content_hash": current})
    if request.method == "POST":
        if form.data.get("content_hash") != current:
            messages.warning(request, CHANGED)
            return redirect(request.path)
        if form.is_valid() or not _is_open(edition):
            return _approved(request, edition, current)
    stops = [one.finding for one in found if one.finding.is_blocking]
    refusal = approving.why_not(edition, by=person, stops=stops)
    return acts.show(
        request,
        edition,
        "approve",
        form=form,
        findings=found,
        is_open=_is_open(edition),
        refusal=refusal if stops or not approving.needs_nobody(edition) else "",
        content=_in_fours(current),
        status=422 if form.errors else 200,
        **_numbers(edition),
    )


def _is_open(edition: Edition) -> bool:
    """Whether there is something to approve: a draft, or a frozen one whose articles changed."""
    return edition.state == EditionState.DRAFT or _has_changed(edition)


def _has_changed(edition: Edition) -> bool:
    frozen = editions.frozen_and_paused(edition).exists()
    return frozen and approving.content_hash(edition) != edition.content_hash


def _numbers(edition: Edition) -> dict[str, object]:
    """How many mails, in how many waves, from when to when; and who else has approved it."""
    found = readers.known(edition)
    earliest = edition.due_at if edition.frozen_at else approving.earliest(edition)
    numbers: dict[str, object] = {
        "forecast": found,
        "mails": found.deliveries if found else reach.expected_readers_of(edition),
        "first_at": max(filter(None, [earliest, found.first_at if found else None])),
        "last_at": _last_at(found.last_at if found else None, earliest),
        "grace": edition.newsletter.grace_minutes,
    }
    if edition.is_urgent:
        numbers["first_approvals"] = approving.first_approvals(edition)
        numbers["urgent_used"] = urgency.used(edition.newsletter)
    return numbers


def _last_at(counted: datetime | None, earliest: datetime) -> datetime | None:
    return max(counted, earliest) if counted else None


def _approved(request: HttpRequest, edition: Edition, content_hash: str) -> HttpResponse:
    again = edition.state == EditionState.PAUSED
    approve = editions.approve_again if again else approving.approve
    try:
        done = approve(edition, content_hash=content_hash, by=asking.person(request))
    except approving.ContentChanged:
        messages.warning(request, CHANGED)
        return redirect(request.path)
    except approving.Refused as refused:
        messages.warning(request, f"{refused} Nothing was approved.")
        return redirect(request.path)
    edition.refresh_from_db()
    if done:
        tasks.ring_tick()
    return said(request, edition, done=done, success=_outcome(edition))


def _outcome(edition: Edition) -> str:
    if edition.state == EditionState.DRAFT:
        return "Your approval counts: 1 of 2. A second person must approve it."
    leaves = f"{edition.due_at:%H:%M} UTC on {edition.due_at.day} {edition.due_at:%B}"
    return f"Approved. It leaves at {leaves}; until then it can be undone."


def ask(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask for the approval of a draft."""
    edition = edition_for(request, pk, COMPOSE, APPROVE)
    person = asking.person(request)
    who = approvers.who_can(without=edition.written_by_id or person.pk)
    if request.method == "POST":
        done = approving.ask(edition, by=person)
        return said(request, edition, done=done, success=f"Asked for approval. {who}")
    stops = len(preflight.stops(edition))
    question = Question(
        title="Ask for approval",
        question=f"Ask for the approval of {edition}?",
        sentences=[
            f"{many(reach.expected_readers_of(edition), 'reader')} may get it. {who}",
            f"The checks stop it for {many(stops, 'reason')}; look at them first." if stops else "",
        ],
        button="Ask for approval",
        back=page_url(edition),
    )
    if edition.state != EditionState.DRAFT or edition.asked_at:
        return nothing_to(request, question, edition)
    return asking.ask(request, question, NoFields())


def send_back(request: HttpRequest, pk: int) -> HttpResponse:
    """Give a draft back to its author with a note."""
    edition = edition_for(request, pk, APPROVE)
    form = NoteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        note = form.cleaned_data["note"]
        done = approving.send_back(edition, by=asking.person(request), note=note)
        return said(request, edition, done=done, success=f"Sent back: {note}")
    question = Question(
        title="Send back",
        question=f"Send {edition} back?",
        sentences=["It stays a draft. Its author sees your note, and asks again when it is done."],
        button="Send back with this note",
        back=page_url(edition),
    )
    if edition.state != EditionState.DRAFT:
        return nothing_to(request, question, edition)
    return asking.ask(request, question, form)


def undo(request: HttpRequest, pk: int) -> HttpResponse:
    """Take an approval back before anything has left."""
    edition = edition_for(request, pk, APPROVE)
    if request.method == "POST":
        done = approving.undo(edition, by=asking.person(request))
        success = "Undone. It is a draft again; nothing has left."
        return said(request, edition, done=done, success=success)
    question = Question(
        title="Undo",
        question=f"Take the approval of {edition} back?",
        sentences=["It becomes a draft again. Nothing has left, and nothing does before the next."],
        button="Undo the approval",
        back=page_url(edition),
    )
    if edition.state != EditionState.APPROVED:
        return nothing_to(request, question, edition)
    return asking.ask(request, question, NoFields())


def _in_fours(content_hash: str) -> str:
    """As much of a hash as can be compared by eye."""
    return " ".join(content_hash[start : start + 4] for start in range(0, HASH_SHOWN, 4))


PAGES = {"approve": approve, "ask": ask, "send_back": send_back, "undo": undo}
