"""A change of address: asked for beside the preferences, proved behind a link to the new one."""

from datetime import timedelta
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop

from subscribers import addresses, consent, limits, links, moving, offers, preference_forms
from subscribers.views import asking, choosing
from subscribers.views.pages import CHANGES, SeeOther, page, speak_to, token_page

SAME = gettext_noop("This is your address already. Enter the new one.")
OFTEN = gettext_noop("You have asked for several changes today. Please try again tomorrow.")


@token_page
@page(CHANGES)
def ask(request: HttpRequest, token: str) -> HttpResponse:
    """POST asks the new address, whoever it belongs to; GET shows the preferences.

    Needs a fresh link: one in an old mail, forwarded to somebody, must not give the place away.
    """
    reader = choosing.reader_with(token)
    back = reverse("preferences", args=[token])
    if request.method != "POST":
        return SeeOther(back)
    if not reader.fresh_for:
        return SeeOther(f"{back}?done=old")
    form = preference_forms.read_move(request.POST)
    if form.address is not None:
        try:
            limits.count(form.address, network=asking.network(request))
            moving.ask(reader.subscriber, form.address)
            return SeeOther(f"{back}?done=asked")
        except limits.TooMany as error:
            return asking.too_many(request, error, template="subscribers/too_many.html")
        except moving.SameAddress:
            form.error = gettext(SAME)
        except moving.AskedTooOften:
            form.error = gettext(OFTEN)
    return choosing.show(request, token, reader, move=form, status=422)


@token_page
@page(CHANGES)
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows what will change; POST changes it, once."""
    service_mail = moving.asked_of(links.read_new_address(token))
    if service_mail is None:
        raise links.BadLink
    speak_to(service_mail.subscriber)
    if request.method == "POST":
        try:
            subscriber = moving.confirm(service_mail)
        except moving.LinkUsed as error:
            raise links.BadLink from error
        if timezone.now() - service_mail.asked_at >= links.FRESH:
            # The mail may have been passed on, and a link as old as it belongs to the old address.
            return render(request, "subscribers/moved.html")
        # Of the next second: links of this one may belong to the old address.
        fresh = links.preferences_url(subscriber.pk, timezone.now() + timedelta(seconds=1))
        return SeeOther(f"{urlsplit(fresh).path}?done=moved")
    context = {
        "old_masked": addresses.masked(service_mail.subscriber.address),
        "new_masked": addresses.masked(service_mail.to_address),
        "places": offers.places(service_mail.subscriber.subscriptions.active()),
        "wording": consent.words(consent.ADDRESS),
    }
    return render(request, "subscribers/new_address.html", context)
