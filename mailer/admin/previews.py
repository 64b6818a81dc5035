"""What readers will get, before they get it: everybody, a cohort, or one reader; and tests."""

from dataclasses import dataclass
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse

from iria_news.frame import asking
from iria_news.frame.asking import Question
from mailer import forecast, previewing, rendering, trial_mails
from mailer import messages as mails
from mailer.admin import acts, readers, totals
from mailer.admin.acts import APPROVE, COMPOSE, VIEW
from mailer.forecast import Choice
from mailer.models import Cohort, Edition
from mailer.previewing import Preview
from subscribers import admin as subscribers_admin
from subscribers.models import Subscriber

SEES_READERS = "subscribers.view_subscriber"
# What a form of the preview shows, and how wide its frame is; a phone's screen as most have it.
FORMS = {"desktop": "Desktop", "phone": "Phone", "dark": "Dark", "text": "Text only"}
# A frame has the colours of the editor's own system; here the form decides instead.
ASKS_FOR_DARK = "@media (prefers-color-scheme: dark)"
CANNOT = (
    *(rendering.TooLarge, rendering.NoArticles),
    *(mails.UnknownSlot, mails.MissingSlot),
)


class TestForm(forms.Form):
    address = forms.EmailField(label="Address", max_length=254)


@dataclass(frozen=True)
class Wanted:
    """Which body is looked at, as the address of the page says it."""

    articles: int
    corrections: int
    is_text: bool

    @classmethod
    def by(cls, edition: Edition, query: QueryDict) -> "Wanted":
        """What of the edition is asked for; everything, unless numbers name a part of it."""
        articles = sum(edition.items.values_list("bit", flat=True))
        corrections = sum(edition.corrections.values_list("bit", flat=True))
        if "list" in query or "corrections" in query:
            articles &= _number(query.get("list", ""))
            corrections &= _number(query.get("corrections", ""))
        return cls(articles, corrections, "text" in query)

    @property
    def query(self) -> str:
        text = {"text": ""} if self.is_text else {}
        return urlencode({"list": self.articles, "corrections": self.corrections, **text})

    def cohort(self, edition: Edition) -> Cohort:
        return previewing.cohort_of(
            edition,
            articles=self.articles,
            corrections=self.corrections,
            is_text=self.is_text,
        )


def page(request: HttpRequest, pk: int) -> HttpResponse:
    """GET shows the mail in one of four forms; POST finds a reader by address or number."""
    edition = acts.edition_for(request, pk, VIEW)
    if request.method == "POST":
        return _find(request)
    reader = _reader(request)
    choice = forecast.of_reader(edition, reader) if reader else None
    wanted = Wanted.by(edition, request.GET)
    if choice and not choice.reason:
        wanted = Wanted(choice.articles, choice.corrections, choice.is_text)
    form = request.GET.get("form", "")
    form = "text" if wanted.is_text else form if form in FORMS else "desktop"
    preview, failure = _preview(edition, wanted)
    return acts.show(
        request,
        edition,
        "preview",
        preview=preview,
        failure=failure,
        html=_in_form(preview.html, form) if preview else "",
        form=form,
        forms=FORMS,
        wanted=wanted,
        reader=reader,
        reader_says=_says(edition, reader, choice) if reader else "",
        forecast=readers.known(edition),
        may_find=request.user.has_perm(SEES_READERS),
        may_test=request.user.has_perm(COMPOSE) or request.user.has_perm(APPROVE),
    )


def _preview(edition: Edition, wanted: Wanted) -> tuple[Preview | None, str]:
    if not wanted.articles and not wanted.corrections:
        return None, "It carries nothing, so there is no mail."
    try:
        return previewing.of(wanted.cohort(edition)), ""
    except CANNOT as error:
        return None, f"This mail cannot be built: {error or type(error).__name__}"


def _in_form(html: str, form: str) -> str:
    return html.replace(ASKS_FOR_DARK, "@media all" if form == "dark" else "@media not all")


def _find(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perm(SEES_READERS):
        return redirect(request.path)
    typed = request.POST.get("reader", "").strip()
    found = [_number(typed)] if _number(typed) else subscribers_admin.subscribers_of(typed)
    if len(found) == 1 and Subscriber.objects.filter(pk=found[0]).exists():
        return redirect(f"{request.path}?reader={found[0]}")
    messages.warning(
        request,
        "Several addresses begin like this. Type the whole address."
        if len(found) > 1
        else "No subscriber has this address or number.",
    )
    return redirect(request.path)


def _reader(request: HttpRequest) -> Subscriber | None:
    if not request.user.has_perm(SEES_READERS):
        return None
    number = _number(request.GET.get("reader", ""))
    return Subscriber.objects.filter(pk=number).first() if number else None


def _says(edition: Edition, reader: Subscriber, choice: Choice | None) -> str:
    """What this reader gets and when, or why nothing."""
    if choice is None:
        return f"Does not follow {edition.newsletter}, so nothing of it."
    if choice.reason:
        return f"Gets nothing: {totals.EXCLUDED_BECAUSE.get(choice.reason, choice.reason)}."
    places = [rank + 1 for rank in range(62) if choice.articles >> rank & 1]
    what = acts.listed("item", places) if places else "no item"
    if choice.corrections:
        what += f" and {acts.many(choice.corrections.bit_count(), 'correction')}"
    says = f"{'Gets' if choice.is_exact else 'Would get'} {what}"
    if choice.release_at is None:
        return f"{says}."
    zone = reader.zone or edition.newsletter.zone
    wall = choice.release_at.astimezone(ZoneInfo(zone))
    hour = "at an hour of their own" if reader.hour is not None else "when it leaves"
    utc = f"{choice.release_at:%H:%M} UTC on {choice.release_at.day} {choice.release_at:%B}"
    return f"{says}, {hour}: {wall:%H:%M} in {zone}, with the wave of {utc}."


def test_mail(request: HttpRequest, pk: int) -> HttpResponse:
    """Send what is previewed to an address, marked as a test."""
    edition = acts.edition_for(request, pk, COMPOSE, APPROVE)
    wanted = Wanted.by(edition, request.GET)
    back = f"{reverse('admin:mailer_edition_preview', args=[edition.pk])}?{wanted.query}"
    person = asking.person(request)
    form = TestForm(request.POST or None, initial={"address": person.email})
    if request.method == "POST" and form.is_valid():
        try:
            address = form.cleaned_data["address"]
            trial_mails.send(edition, wanted.cohort(edition), address=address, by=person)
        except trial_mails.NotSent as reason:
            form.add_error("address", str(reason))
        except CANNOT as error:
            form.add_error(None, f"This mail cannot be built: {error or type(error).__name__}")
        else:
            messages.success(request, f"Sent. Its subject begins with {previewing.TEST}.")
            return redirect(back)
    question = Question(
        title="Send a test mail",
        question=f"Send a test mail of {edition}?",
        sentences=[
            (
                f"One mail, with {previewing.TEST} before its subject. The links in it open and "
                "change nothing."
            ),
        ],
        button="Send 1 test mail",
        back=back,
    )
    return asking.ask(request, question, form)


def _number(text: str) -> int:
    """A number that a key or a sum of bits can be; 0 for anything else."""
    is_one = text.isascii() and text.isdecimal() and len(text) < 20
    number = int(text) if is_one else 0
    return number if number < 1 << 63 else 0


PAGES = {"preview": page, "test_mail": test_mail}
