"""The preferences page: what comes, when and how; a pause; leaving everything."""

from dataclasses import dataclass
from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop

from subscribers import (
    addresses,
    consent,
    doorbell,
    links,
    moving,
    pausing,
    preference_forms,
    preferences,
    service_mails,
    suppression,
)
from subscribers.models import Subscriber
from subscribers.preference_forms import MoveForm, PreferencesForm
from subscribers.views.pages import CHANGES, SeeOther, page, speak_to, token_page

# What the page says after a press that led there.
DONE = {
    "confirmed": (
        gettext_noop("Confirmed."),
        gettext_noop("You will get what is ticked below, from the next edition on."),
    ),
    "saved": (
        gettext_noop("Saved."),
        gettext_noop("From the next edition on, these choices count."),
    ),
    "left": (
        gettext_noop("Unsubscribed from everything."),
        gettext_noop("No further newsletter will leave for you."),
    ),
    "resumed": (
        gettext_noop("Resumed."),
        gettext_noop("The pause is over; the next edition comes as before."),
    ),
    "asked": (
        gettext_noop("Now check the new inbox."),
        gettext_noop(
            "A mail with a button is on its way there, good for 3 days. Nothing changes before."
        ),
    ),
    "moved": (
        gettext_noop("Address changed."),
        gettext_noop(
            "From the next edition on your mails come here. We have told the earlier address."
        ),
    ),
    "mailed": (
        gettext_noop("Now check your inbox."),
        gettext_noop(
            "A fresh link is on its way, unless one came in the last 15 minutes. "
            "It is good for all."
        ),
    ),
    "old": (
        gettext_noop("This link is older than an hour."),
        gettext_noop(
            "To change the address, download your data or be erased, have a fresh "
            "one mailed to you."
        ),
    ),
}
SAYS_THE_TOTAL = {"confirmed", "saved"}


@dataclass(frozen=True)
class Reader:
    """Somebody with a link to their preferences."""

    subscriber: Subscriber
    fresh_for: timedelta  # how long the link still opens everything; nothing is zero

    @property
    def fresh_minutes(self) -> int:
        return -(-self.fresh_for // timedelta(minutes=1))


def reader_with(token: str) -> Reader:
    """Whose link it is, and from now on their language is spoken.

    Raises BadLink, also for one that was mailed to an earlier address.
    """
    number = links.read_preferences(token)
    subscriber = Subscriber.objects.active().filter(pk=number).first()
    issued_at = links.preferences_issued_at(token)
    if subscriber is None or moving.is_before_move(number, issued_at):
        raise links.BadLink
    speak_to(subscriber)
    left = issued_at + links.FRESH - timezone.now()
    return Reader(subscriber, max(left, timedelta(0)))


@token_page
@page(CHANGES)
def change_preferences(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows the choices; POST makes new ones, ends a pause, or leaves everything."""
    if links.read_preferences(token) == links.NOBODY:
        return render(request, "subscribers/test_link.html")
    reader = reader_with(token)
    subscriber = reader.subscriber
    if request.method != "POST":
        return show(request, token, reader)
    if "leave" in request.POST:
        preferences.leave_all(subscriber, source="preferences", wording=consent.CHOOSE)
        return SeeOther(f"{request.path}?done=left")
    if "resume" in request.POST:
        pausing.resume(subscriber, source="preferences")
        return SeeOther(f"{request.path}?done=resumed")
    if "fresh" in request.POST:
        return _mail_a_fresh_link(request, token, reader)
    return _save(request, token, reader)


def _mail_a_fresh_link(request: HttpRequest, token: str, reader: Reader) -> HttpResponse:
    if suppression.is_suppressed(reader.subscriber.address_hash):  # the page says whom to write to
        return show(request, token, reader, status=422)
    service_mails.ask_for_link(reader.subscriber)
    doorbell.ring_after_commit()
    return SeeOther(f"{request.path}?done=mailed")


def _save(request: HttpRequest, token: str, reader: Reader) -> HttpResponse:
    if "save" not in request.POST:  # cut off, or not from our form: no tick is not a "no"
        return show(request, token, reader, status=422)
    form = preference_forms.as_sent(reader.subscriber, request.POST)
    if form.problems:
        return show(request, token, reader, form, status=422)
    try:
        preferences.save(
            reader.subscriber, form.choices, form.manner, form.pause_until, source="preferences"
        )
    except preferences.Suppressed:
        return show(request, token, reader, form, status=422)
    except preferences.Gone as error:
        raise links.BadLink from error
    return SeeOther(f"{request.path}?done=saved")


def show(
    request: HttpRequest,
    token: str,
    reader: Reader,
    form: PreferencesForm | None = None,
    move: MoveForm | None = None,
    *,
    status: int = 200,
) -> HttpResponse:
    """The whole page; with what was sent, where something of it is to be put right."""
    form = form or preference_forms.as_they_are(reader.subscriber)
    done = request.GET.get("done", "")
    context = {
        "token": token,
        "reader": reader,
        "subscriber": reader.subscriber,
        "masked": addresses.masked(reader.subscriber.address),
        "form": form,
        "move": move or MoveForm(),
        "problems": [*form.problems, *(move.problems if move else [])],
        "done": [gettext(words) for words in DONE.get(done, ())],
        "total": form.total if done in SAYS_THE_TOTAL else "",
        "is_paused": pausing.is_paused(reader.subscriber),
        "is_suppressed": suppression.is_suppressed(reader.subscriber.address_hash),
        "wording": consent.words(consent.CHOOSE),
    }
    return render(request, "subscribers/preferences.html", context, status=status)
