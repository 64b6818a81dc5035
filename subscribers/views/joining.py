"""The pages on which a reader asks for something: sign-up, the preferences link, confirmation."""

import contextlib
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from subscribers import addresses, confirmation, consent, forms, limits, links, offers, signup
from subscribers.models import ServiceMail
from subscribers.views.pages import CHANGES, SHOWS, SeeOther, page, token_page

# Seconds. The work takes 5 to 20 ms on a quiet machine and differs by 10; nobody minds a fifth of
# a second after pressing a button.
EVEN_PACE = 0.2


@page(CHANGES)
def subscribe(request: HttpRequest) -> HttpResponse:
    """GET shows all that is offered; POST comes from there or from the small form."""
    if request.method != "POST":
        return _subscribe_page(request, forms.blank_sign_up(offers.public()))
    if request.POST.get(forms.HONEYPOT):
        return SeeOther(reverse("check-inbox"))
    form = forms.read_sign_up(request.POST, offers.public())
    if form.problems or form.address is None:
        return _subscribe_page(request, form, status=422)
    suggestion = addresses.suggestion(form.address)
    if suggestion and "suggested" not in request.POST:
        context = {"form": form, "suggestion": suggestion, "form_age": request.POST["form_age"]}
        return render(request, "subscribers/did_you_mean.html", context, status=422)
    try:
        limits.count(form.address, network=_network(request))
    except limits.TooMany as error:
        return _too_many(request, error)
    with _even_pace():
        signup.ask(
            form.address,
            newsletters=form.chosen_newsletters,
            topics=form.chosen_topics,
            source=_source(request),
            wording=consent.BAND if form.is_band else consent.FORM,
        )
    return SeeOther(reverse("check-inbox"))


@page(SHOWS)
def check_inbox(request: HttpRequest) -> HttpResponse:
    """The same for everybody, byte for byte (W5)."""
    return render(request, "subscribers/check_inbox.html")


@page(CHANGES)
def send_link(request: HttpRequest) -> HttpResponse:
    """POST mails the preferences link to its owner, if there is one."""
    if request.method != "POST":
        return render(request, "subscribers/send_link.html", {"form": forms.EmailForm()})
    if request.POST.get(forms.HONEYPOT):
        return SeeOther(reverse("check-inbox"))
    form = forms.read_email(request.POST)
    if form.problems or form.address is None:
        return render(request, "subscribers/send_link.html", {"form": form}, status=422)
    try:
        limits.count(form.address, network=_network(request))
    except limits.TooMany as error:
        return _too_many(request, error)
    with _even_pace():
        signup.ask_for_link(form.address)
    return SeeOther(reverse("check-inbox"))


@token_page
@page(CHANGES)
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows what was asked for; POST begins it, once."""
    service_mail = (
        ServiceMail.objects.confirmations()
        .unused()
        .select_related("subscriber")
        .filter(pk=links.read_confirm(token))
        .first()
    )
    if service_mail is None:
        raise links.BadLink
    if request.method == "POST":
        try:
            subscriber = confirmation.confirm(service_mail, source="/confirm/")
        except confirmation.LinkUsed as error:
            raise links.BadLink from error
        link = links.preferences_url(subscriber.pk, timezone.now())
        return SeeOther(f"{urlsplit(link).path}?done=confirmed")
    places = offers.places(service_mail.subscriber.subscriptions.asked_for())
    if not places:
        raise links.BadLink
    context = {
        "service_mail": service_mail,
        "masked": addresses.masked(service_mail.subscriber.address),
        "places": places,
        "wording": consent.WORDINGS[consent.CONFIRM],
    }
    return render(request, "subscribers/confirm.html", context)


@contextlib.contextmanager
def _even_pace() -> Iterator[None]:
    """Take equally long whatever is known about an address, or the clock would tell (W5)."""
    ready_at = time.monotonic() + EVEN_PACE
    yield
    time.sleep(max(0, ready_at - time.monotonic()))


def _subscribe_page(
    request: HttpRequest, form: forms.SignUpForm, *, status: int = 200
) -> HttpResponse:
    context = {
        "form": form,
        "section": "subscribe",
        "wording": consent.WORDINGS[consent.FORM],
    }
    return render(request, "subscribers/subscribe.html", context, status=status)


def _too_many(request: HttpRequest, error: limits.TooMany) -> HttpResponse:
    response = render(request, "subscribers/too_many.html", {"error": error}, status=429)
    response["Retry-After"] = str(max(1, round((error.until - timezone.now()).total_seconds())))
    return response


def _network(request: HttpRequest) -> str:
    return limits.network(
        request.META.get("REMOTE_ADDR", ""),
        request.headers.get("X-Forwarded-For", ""),
        proxies=settings.TRUSTED_PROXIES,
    )


def _source(request: HttpRequest) -> str:
    """The page of ours that the form stood on, as far as the browser tells."""
    try:
        referrer = urlsplit(request.headers.get("Referer", ""))
    except ValueError:
        return request.path
    path = referrer.path if referrer.netloc == request.get_host() else ""
    return path if path.isascii() and path.isprintable() and path else request.path
