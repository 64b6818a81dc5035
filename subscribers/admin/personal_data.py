"""What the law lets a reader ask of us by letter: all we know of them, or to be forgotten."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from iria_news.frame import asking
from iria_news.frame.asking import NoFields, Question
from subscribers import erasure, passport
from subscribers.admin import standing
from subscribers.models import Subscriber
from subscribers.on_request import BY_STAFF


def download(request: HttpRequest, pk: int) -> HttpResponse:
    """POST answers with the file."""
    subscriber = standing.subscriber(request, pk, "subscribers.download_subscriber")
    if request.method == "POST":
        standing.log(request, subscriber, "Downloaded all we know of them.")
        return HttpResponse(
            passport.as_json(subscriber),
            content_type="application/json",
            headers={
                "Content-Disposition": f'attachment; filename="subscriber-{subscriber.pk}.json"',
                "Cache-Control": "no-store",
            },
        )
    question = Question(
        title="Download their data",
        question=f"Download all we know of {subscriber.address}?",
        sentences=[
            "One file with the person, their choices, consent, mails and our notes.",
            "Give it to nobody but its owner. That you took it is written down.",
        ],
        button="Download the data of 1 person",
        back=standing.path(subscriber),
    )
    return asking.ask(request, question, NoFields())


class EraseForm(forms.Form):
    """The second question: the number is typed, so that no slip of the hand erases anybody."""

    asked = forms.BooleanField(initial=True, widget=forms.HiddenInput)
    number = forms.CharField(max_length=20)

    def __init__(self, data=None, *, subscriber: Subscriber) -> None:
        super().__init__(data)
        self.expected = str(subscriber.pk)
        self.fields["number"].label = f"To erase, type {self.expected}"

    def clean_number(self) -> str:
        typed = self.cleaned_data["number"]
        if typed.replace(",", "") != self.expected:
            raise forms.ValidationError(
                f"You typed {typed}, not {self.expected}. Nobody was erased."
            )
        return typed


def erase(request: HttpRequest, pk: int) -> HttpResponse:
    """Asks twice: the first POST brings the second question, the second one erases."""
    subscriber = standing.subscriber(request, pk, "subscribers.erase_subscriber")
    if request.method != "POST":
        return asking.ask(request, _first_question(subscriber), NoFields())
    answer = request.POST if "asked" in request.POST else None
    form = EraseForm(answer, subscriber=subscriber)
    if not form.is_valid():
        return asking.ask(request, _second_question(subscriber), form)
    if erasure.erase(subscriber, source=BY_STAFF):
        standing.log(request, subscriber, "Erased on request.")
        messages.success(request, "Erased. A one-way mark keeps imports away.")
    else:
        messages.warning(request, "They were erased before.")
    return redirect(standing.path(subscriber))


def _first_question(subscriber: Subscriber) -> Question:
    return Question(
        title="Erase",
        question=f"Erase {subscriber.address}?",
        sentences=[
            "The person leaves every table: address, choices, history and notes.",
            "A one-way mark stays, so that no import brings them back.",
            "To stop mail and keep the history, go back and choose Suppress.",
        ],
        button="Go on to erase 1 person",
        back=standing.path(subscriber),
    )


def _second_question(subscriber: Subscriber) -> Question:
    return Question(
        title="Erase",
        question=f"Erase {subscriber.address} for good?",
        sentences=["It cannot be undone."],
        button="Erase 1 person",
        back=standing.path(subscriber),
        is_grave=True,
    )


PAGES = {"download": download, "erase": erase}
