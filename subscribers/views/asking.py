"""How a sign-up is answered, wherever its form stands: on a page of ours or in another site.

Nothing is looked up about the address on the way, so no answer and no clock can tell who is with
us (W5).
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from iria_news import languages
from subscribers import addresses, consent, forms, limits, showcase, signup
from subscribers.forms import SignUpForm
from subscribers.views.pages import SeeOther, speak_as_named, with_language


@dataclass(frozen=True)
class Look:
    """The pages of one way in: names of addresses, and templates."""

    action: str  # where its forms are sent
    wording: str  # what its own form says is agreed to
    done: str  # the page after a sign-up that was taken
    form: str
    suggestion: str
    press_again: str
    too_many: str


ON_A_PAGE = Look(
    action="subscribe",
    wording=consent.FORM,
    done="check-inbox",
    form="subscribers/subscribe.html",
    suggestion="subscribers/did_you_mean.html",
    press_again="subscribers/press_again.html",
    too_many="subscribers/too_many.html",
)


def blank(request: HttpRequest, look: Look) -> HttpResponse:
    """The form as it is first shown."""
    speak_as_named(request)
    form = forms.blank_sign_up(showcase.offered())
    return _show(request, look, look.form, form, wording=look.wording, status=200)


def answer(request: HttpRequest, look: Look) -> HttpResponse:
    """Take the form that was sent, or ask for what it lacks; everything typed is kept."""
    speak_as_named(request)
    done = with_language(request, reverse(look.done))
    if request.POST.get(forms.HONEYPOT):
        return SeeOther(done)
    form = forms.read_sign_up(request.POST, showcase.offered())
    if form.problems or form.address is None:
        return _show(request, look, look.form, form, wording=look.wording)
    suggestion = addresses.suggestion(form.address)
    if suggestion and "suggested" not in request.POST:
        wording = _wording(form)
        return _show(request, look, look.suggestion, form, wording=wording, suggestion=suggestion)
    if not form.is_of_good_age:
        return _show(request, look, look.press_again, form, wording=_wording(form))
    try:
        limits.count(form.address, network=network(request))
    except limits.TooMany as error:
        return too_many(request, error, template=look.too_many)
    signup.receive(
        form.address,
        newsletters=form.chosen_newsletters,
        topics=form.chosen_topics,
        source=_source(request),
        wording=_wording(form),
        language=languages.current(),
    )
    return SeeOther(done)


def too_many(request: HttpRequest, error: limits.TooMany, *, template: str) -> HttpResponse:
    response = render(request, template, {"error": error}, status=429)
    response["Retry-After"] = str(max(1, round((error.until - timezone.now()).total_seconds())))
    return response


def network(request: HttpRequest) -> str:
    return limits.network(
        request.META.get("REMOTE_ADDR", ""),
        request.headers.get("X-Forwarded-For", ""),
        proxies=settings.TRUSTED_PROXIES,
    )


def _show(
    request: HttpRequest,
    look: Look,
    template: str,
    form: SignUpForm,
    *,
    wording: str,
    suggestion: str = "",
    status: int = 422,
) -> HttpResponse:
    context = {
        "form": form,
        "section": "subscribe",
        "action": with_language(request, reverse(look.action)),
        "suggestion": suggestion,
        "is_repeated": "suggested" in request.POST,
        "wording": consent.words(wording),
    }
    return render(request, template, context, status=status)


def _wording(form: SignUpForm) -> str:
    return consent.BAND if form.is_band else consent.FORM


def _source(request: HttpRequest) -> str:
    """The page of ours that the form stood on, as far as the browser tells."""
    try:
        referrer = urlsplit(request.headers.get("Referer", ""))
    except ValueError:
        return request.path
    path = referrer.path if referrer.netloc == request.get_host() else ""
    return path if path.isascii() and path.isprintable() and path else request.path
