"""The pages on which a reader asks for something: sign-up, the preferences link, confirmation."""

from datetime import datetime
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from subscribers import (
    addresses,
    confirmation,
    consent,
    forms,
    limits,
    links,
    offers,
    signup,
    wishes,
)
from subscribers.models import RequestKind, ServiceMail, ServiceMailKind, SubscriberState
from subscribers.views import asking
from subscribers.views.pages import (
    CHANGES,
    SHOWS,
    SeeOther,
    page,
    speak_as_named,
    speak_to,
    token_page,
    with_language,
)


@page(CHANGES)
def subscribe(request: HttpRequest) -> HttpResponse:
    """GET shows all that is offered; POST comes from there, or from a small form anywhere."""
    if request.method != "POST":
        return asking.blank(request, asking.ON_A_PAGE)
    return asking.answer(request, asking.ON_A_PAGE)


@page(SHOWS)
def check_inbox(request: HttpRequest) -> HttpResponse:
    """The same for everybody, byte for byte (W5)."""
    speak_as_named(request)
    return render(request, "subscribers/check_inbox.html")


@page(CHANGES)
def send_link(request: HttpRequest) -> HttpResponse:
    """POST mails the preferences link to its owner, if there is one."""
    speak_as_named(request)
    done = with_language(request, reverse("check-inbox"))
    if request.method != "POST":
        return render(request, "subscribers/send_link.html", {"form": forms.EmailForm()})
    if request.POST.get(forms.HONEYPOT):
        return SeeOther(done)
    form = forms.read_email(request.POST)
    if form.problems or form.address is None:
        return render(request, "subscribers/send_link.html", {"form": form}, status=422)
    try:
        limits.count(form.address, network=asking.network(request))
    except limits.TooMany as error:
        return asking.too_many(request, error, template="subscribers/too_many.html")
    signup.receive(form.address, kind=RequestKind.LINK, source=request.path)
    return SeeOther(done)


def _proved_at(service_mail: ServiceMail) -> datetime:
    """As of when the press on a mail's button opens the preferences.

    A mail that is older than an hour may have been passed on: of somebody who is with us already,
    it must not open what takes a fresh link (W4).
    """
    now = timezone.now()
    is_new = service_mail.subscriber.state == SubscriberState.PENDING
    is_fresh = now - service_mail.asked_at < links.FRESH
    return now if is_new or is_fresh else service_mail.asked_at


@token_page
@page(CHANGES)
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows what was asked for, or offered by an invitation; POST begins it, once."""
    service_mail = (
        ServiceMail.objects.confirmations()
        .unused()
        .select_related("subscriber")
        .filter(pk=links.read_confirm(token))
        .first()
    )
    if service_mail is None:
        raise links.BadLink
    speak_to(service_mail.subscriber)
    if request.method == "POST":
        try:
            subscriber = confirmation.confirm(service_mail, source="/confirm/")
        except confirmation.LinkUsed as error:
            raise links.BadLink from error
        link = links.preferences_url(subscriber.pk, _proved_at(service_mail))
        return SeeOther(f"{urlsplit(link).path}?done=confirmed")
    places = offers.places(wishes.begun_by(service_mail))
    if not places:
        raise links.BadLink
    context = {
        "service_mail": service_mail,
        "is_invitation": service_mail.kind == ServiceMailKind.INVITATION,
        "masked": addresses.masked(service_mail.subscriber.address),
        "places": places,
        "wording": consent.words(consent.CONFIRM),
    }
    return render(request, "subscribers/confirm.html", context)
