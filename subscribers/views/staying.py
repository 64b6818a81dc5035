"""The pages of those who are with us: preferences, leaving, and coming back by the undo button."""

from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from subscribers import addresses, consent, forms, links, offers, preferences, suppression
from subscribers.models import Subscriber, Subscription
from subscribers.views.pages import CHANGES, SeeOther, page, token_page

# What the preferences page says after a press that led there.
DONE = {
    "confirmed": ("Confirmed.", "You will get what is ticked below, from the next edition on."),
    "saved": ("Saved.", "From the next edition on, these choices count."),
    "left": ("Unsubscribed from everything.", "No further newsletter will leave for you."),
}


@token_page
@page(CHANGES)
def change_preferences(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows the choices; POST makes new ones, or leaves everything."""
    subscriber = Subscriber.objects.active().filter(pk=links.read_preferences(token)).first()
    if subscriber is None:
        raise links.BadLink
    if request.method != "POST":
        sections = forms.preferences_as_they_are(subscriber)
        return _preferences_page(request, subscriber, sections)
    if "leave" in request.POST:
        preferences.leave_all(subscriber, source="preferences")
        return SeeOther(f"{request.path}?done=left")
    if "save" not in request.POST:  # cut off, or not from our form: no tick is not a "no"
        sections = forms.preferences_as_they_are(subscriber)
        return _preferences_page(request, subscriber, sections, status=422)
    sections = forms.preferences_as_sent(subscriber, request.POST)
    if forms.problems(sections):
        return _preferences_page(request, subscriber, sections, status=422)
    choices = {each.offer.newsletter: each.topics for each in sections if each.is_ticked}
    try:
        preferences.choose(subscriber, choices, source="preferences")
    except preferences.Suppressed:
        return _preferences_page(request, subscriber, sections, status=422)
    return SeeOther(f"{request.path}?done=saved")


@token_page
@page(CHANGES)
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """RFC 8058. GET asks, POST acts and never redirects: scanners open links, but post no forms.

    The body is not even read, so that none can be wrong; our own button says so in its address.
    """
    subscription = (
        Subscription.objects.filter(pk=links.read_unsubscribe(token))
        .select_related("newsletter", "subscriber")
        .first()
    )
    if subscription is None:  # erased since; whoever asks for silence has it
        return render(request, "subscribers/unsubscribed.html")
    if request.method == "POST":
        source = "page" if request.GET.get("by") == "page" else "one-click"
        ended = preferences.leave(subscription, source=source)
        return render(request, "subscribers/unsubscribed.html", _after_leaving(ended))
    if subscription.subscriber.subscriptions.open().filter(newsletter=subscription.newsletter_id):
        context = {
            "newsletter": subscription.newsletter,
            "masked": addresses.masked(subscription.subscriber.address),
            "wording": consent.WORDINGS[consent.LEAVE],
        }
        return render(request, "subscribers/unsubscribe.html", context)
    return render(request, "subscribers/unsubscribed.html", _after_leaving(subscription))


@token_page
@page(CHANGES)
def undo(request: HttpRequest, token: str) -> HttpResponse:
    """GET asks, POST takes an unsubscription of the last day back."""
    subscription = (
        Subscription.objects.filter(pk=links.read_undo(token))
        .select_related("newsletter", "subscriber")
        .first()
    )
    if subscription is None:
        raise links.BadLink
    context = {
        "newsletter": subscription.newsletter,
        "masked": addresses.masked(subscription.subscriber.address),
    }
    if request.method != "POST":
        return render(request, "subscribers/undo.html", context)
    if not preferences.rejoin(subscription, source="undo"):
        raise links.BadLink
    return render(request, "subscribers/undone.html", context)


def _preferences_page(
    request: HttpRequest,
    subscriber: Subscriber,
    sections: list[forms.Section],
    *,
    status: int = 200,
) -> HttpResponse:
    context = {
        "subscriber": subscriber,
        "masked": addresses.masked(subscriber.address),
        "sections": sections,
        "problems": forms.problems(sections),
        "done": DONE.get(request.GET.get("done", "")),
        "is_suppressed": suppression.is_suppressed(subscriber.address_hash),
        "wording": consent.WORDINGS[consent.CHOOSE],
    }
    return render(request, "subscribers/preferences.html", context, status=status)


def _after_leaving(ended: Subscription) -> dict[str, object]:
    """For the page after leaving. No link to the preferences: see `links`."""
    places = offers.places(ended.subscriber.subscriptions.active())
    undo_url = ""
    if ended.ended_at and ended.ended_by in preferences.ENDED_BY_THEIR_READER:
        undo_url = urlsplit(links.undo_url(ended.pk, ended.ended_at)).path
    may_undo = ended.ended_at and timezone.now() - ended.ended_at < links.UNDO_WITHIN
    return {
        "subscription": ended,
        "newsletter": ended.newsletter,
        "masked": addresses.masked(ended.subscriber.address),
        "remaining": [place.newsletter for place in places],
        "undo_url": undo_url if may_undo else "",
    }
