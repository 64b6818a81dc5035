"""Private notes on a subscriber's page: written and taken back by POST."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from iria_news.frame import asking, plain_text
from subscribers import notes
from subscribers.admin import standing


class NoteForm(forms.Form):
    text = forms.CharField(
        max_length=notes.LONGEST,
        label="A note for your colleagues",
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={"required": "The note is empty. Write something, or leave it."},
    )

    def clean_text(self) -> str:
        return plain_text.check_direction(self.cleaned_data["text"])


@require_POST
def write(request: HttpRequest, pk: int) -> HttpResponse:
    subscriber = standing.subscriber(request, pk, "subscribers.add_subscribernote")
    form = NoteForm(request.POST)
    if not form.is_valid():
        return _ask_again(request, form, back=standing.path(subscriber))
    notes.write(subscriber, form.cleaned_data["text"], by=asking.person(request))
    standing.log(request, subscriber, "Wrote a note.")
    messages.success(request, "The note is kept. No mail ever carries it.")
    return redirect(standing.path(subscriber))


@require_POST
def take_back(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete the note whose number is posted, if it is one's own."""
    subscriber = standing.subscriber(request, pk, "subscribers.delete_subscribernote")
    number = request.POST.get("note", "")
    if number.isascii() and number.isdecimal() and len(number) < 19:  # what a key can hold
        done = notes.take_back(int(number), on=subscriber, by=asking.person(request))
    else:
        done = False
    if done:
        standing.log(request, subscriber, "Deleted a note of their own.")
        messages.success(request, "The note is deleted.")
    else:
        messages.warning(request, "There is no such note of yours. Nothing was deleted.")
    return redirect(standing.path(subscriber))


def _ask_again(request: HttpRequest, form: NoteForm, *, back: str) -> HttpResponse:
    question = asking.Question(
        title="Add a note", question="The note is not kept yet.", button="Add note", back=back
    )
    return asking.ask(request, question, form)


PAGES = {"write-note": write, "delete-note": take_back}
