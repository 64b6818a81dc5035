"""Leaving one newsletter (RFC 8058), coming back by the undo button, or taking less instead."""

from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from subscribers import addresses, consent, leaving, links, moving, offers, pausing, preferences
from subscribers.models import LeavingReason, Subscriber, Subscription
from subscribers.views.pages import CHANGES, SeeOther, page, token_page

NO_TOPIC = "Tick the topics to keep, or leave it as it is: nothing comes."
NO_REASON = "Choose one of the reasons, or leave it as it is."


@token_page
@page(CHANGES)
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """RFC 8058. GET asks, POST acts and never redirects: scanners open links, but post no forms.

    The body is not even read, so that none can be wrong; our own button says so in its address.
    """
    subscription = _subscription(links.read_unsubscribe(token))
    if subscription is None:  # erased since; whoever asks for silence has it
        return render(request, "subscribers/unsubscribed.html")
    if request.method == "POST":
        source = "page" if request.GET.get("by") == "page" else "one-click"
        return _left(request, preferences.leave(subscription, source=source))
    if subscription.subscriber.subscriptions.open().filter(newsletter=subscription.newsletter_id):
        context = {
            "newsletter": subscription.newsletter,
            "masked": _masked(subscription.subscriber),
            "wording": consent.WORDINGS[consent.LEAVE],
        }
        return render(request, "subscribers/unsubscribe.html", context)
    return _left(request, subscription)


@token_page
@page(CHANGES)
def undo(request: HttpRequest, token: str) -> HttpResponse:
    """GET asks, POST takes an unsubscription of the last day back."""
    subscription = _subscription(links.read_undo(token))
    if subscription is None:
        raise links.BadLink
    context = {
        "newsletter": subscription.newsletter,
        "masked": _masked(subscription.subscriber),
    }
    if request.method != "POST":
        return render(request, "subscribers/undo.html", context)
    if not preferences.rejoin(subscription, source="undo"):
        raise links.BadLink
    return render(request, "subscribers/undone.html", context)


@token_page
@page(CHANGES)
def less(request: HttpRequest, token: str, what: str) -> HttpResponse:
    """POST takes one of the offers after leaving, or a reason; GET shows that page once more."""
    subscription = _subscription(links.read_less(token))
    if subscription is None or what not in OFFERS or not leaving.may_be_less(subscription):
        raise links.BadLink
    if request.method != "POST":
        return _left(request, subscription)
    return OFFERS[what](request, subscription)


def _weekly(request: HttpRequest, subscription: Subscription) -> HttpResponse:
    try:
        newsletter = leaving.take_weekly(subscription, source="less")
    except leaving.TooLate as error:
        raise links.BadLink from error
    return _taken(request, subscription, newsletter=newsletter)


def _pause(request: HttpRequest, subscription: Subscription) -> HttpResponse:
    try:
        until = leaving.take_pause(subscription, source="less")
    except leaving.TooLate as error:
        raise links.BadLink from error
    subscription.subscriber.refresh_from_db()
    return _taken(request, subscription, pause=pausing.day_of(subscription.subscriber, until))


def _topics(request: HttpRequest, subscription: Subscription) -> HttpResponse:
    ticked = set(request.POST.getlist("topic"))
    wanted = [topic for topic in subscription.topics.all() if topic.slug in ticked]
    if not wanted:
        return _left(request, subscription, topics_error=NO_TOPIC, status=422)
    try:
        kept = leaving.take_fewer_topics(subscription, wanted, source="less")
    except leaving.TooLate as error:
        raise links.BadLink from error
    return _taken(request, subscription, topics=kept)


def _reason(request: HttpRequest, subscription: Subscription) -> HttpResponse:
    given = request.POST.get("reason")
    if given not in LeavingReason.values:
        return _left(request, subscription, reason_error=NO_REASON, status=422)
    leaving.tell_reason(subscription, LeavingReason(given))
    return SeeOther(f"{request.path}?done=told")


OFFERS = {"weekly": _weekly, "pause": _pause, "topics": _topics, "reason": _reason}


def _taken(request: HttpRequest, subscription: Subscription, **what: object) -> HttpResponse:
    context = {"left": subscription.newsletter, "masked": _masked(subscription.subscriber), **what}
    return render(request, "subscribers/less.html", context)


def _left(
    request: HttpRequest, ended: Subscription, *, status: int = 200, **errors: object
) -> HttpResponse:
    """The page after leaving. No link to the preferences: see `links`."""
    places = offers.places(ended.subscriber.subscriptions.active())
    context = {
        "subscription": ended,
        "newsletter": ended.newsletter,
        "masked": _masked(ended.subscriber),
        "remaining": [place.newsletter for place in places],
        "told": request.GET.get("done") == "told",
        **(_offers(ended) if leaving.may_be_less(ended) else {}),
        **errors,
    }
    return render(request, "subscribers/unsubscribed.html", context, status=status)


def _offers(ended: Subscription) -> dict[str, object]:
    """What would have been less, as far as it makes sense, each with where its press goes."""
    subscriber, left_at = ended.subscriber, ended.ended_at
    if left_at is None:
        return {}
    paths = {
        f"{what}_path": urlsplit(links.less_url(ended.pk, left_at, what)).path for what in OFFERS
    }
    topics = list(ended.topics.all())
    until = leaving.pause_until(subscriber)
    return {
        **paths,
        "undo_url": urlsplit(links.undo_url(ended.pk, left_at)).path,
        "weekly": leaving.weekly_instead(ended),
        "pause": None if pausing.is_paused(subscriber) else pausing.day_of(subscriber, until),
        "topics": topics if len(topics) > 1 else [],
        "rate": offers.rate_of(ended.newsletter, topics),
        "reasons": LeavingReason.choices,
    }


def _subscription(number: int) -> Subscription | None:
    found = Subscription.objects.filter(pk=number)
    return found.select_related("newsletter", "subscriber").first()


def _masked(subscriber: Subscriber) -> str:
    """Nothing once the address was changed: the link may lie in the earlier mailbox."""
    return "" if moving.moved_at(subscriber.pk) else addresses.masked(subscriber.address)
