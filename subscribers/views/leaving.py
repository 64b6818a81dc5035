"""Leaving one newsletter (RFC 8058), coming back by the undo button, or taking less instead."""

from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext, gettext_noop

from subscribers import addresses, consent, leaving, links, moving, offers, pausing, preferences
from subscribers.models import LeavingReason, Subscriber, Subscription
from subscribers.views.pages import CHANGES, SeeOther, page, speak_to, token_page

NO_TOPIC = gettext_noop("Tick the topics to keep, or leave it as it is: nothing comes.")
NO_REASON = gettext_noop("Choose one of the reasons, or leave it as it is.")


@token_page
@page(CHANGES)
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """RFC 8058. GET asks, POST acts and never redirects: scanners open links, but post no forms.

    The body is not even read, so that none can be wrong; our own button says so in its address.
    """
    number = links.read_unsubscribe(token)
    if number == links.NOBODY:
        return render(request, "subscribers/test_link.html")
    subscription = _subscription(number)
    if subscription is None:  # erased since; whoever asks for silence has it
        return render(request, "subscribers/unsubscribed.html")
    if request.method == "POST":
        return _leave(request, subscription)
    if _is_open(subscription):
        context = {
            "newsletter": subscription.newsletter,
            "masked": _masked(subscription.subscriber),
            "wording": consent.words(consent.LEAVE),
        }
        return render(request, "subscribers/unsubscribe.html", context)
    return _left(request, subscription)


def _leave(request: HttpRequest, subscription: Subscription) -> HttpResponse:
    """The way back is shown to whoever has just left, not to all who get hold of the mail."""
    leaves_now = _is_open(subscription)
    if request.GET.get("by") == "page":
        ended = preferences.leave(subscription, source="page", wording=consent.LEAVE)
    else:
        ended = preferences.leave(subscription, source="one-click")
    if ended is None:
        return render(request, "subscribers/unsubscribed.html")
    return _left(request, ended, with_offers=leaves_now)


def _is_open(subscription: Subscription) -> bool:
    places = subscription.subscriber.subscriptions.open()
    return places.filter(newsletter=subscription.newsletter_id).exists()


@token_page
@page(CHANGES)
def undo(request: HttpRequest, token: str) -> HttpResponse:
    """GET asks, POST takes the unsubscription of the last day back that the link was made at."""
    subscription = _subscription(links.read_undo(token))
    if subscription is None or not leaving.followed_at(subscription, links.undo_issued_at(token)):
        raise links.BadLink
    context = {
        "newsletter": subscription.newsletter,
        "masked": _masked(subscription.subscriber),
        "wording": consent.words(consent.LESS),
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
    if not leaving.followed_at(subscription, links.less_issued_at(token)):
        raise links.BadLink
    if request.method != "POST":
        return _left(request, subscription, with_offers=True)
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
        said = {"topics_error": gettext(NO_TOPIC)}
        return _left(request, subscription, with_offers=True, status=422, **said)
    try:
        kept = leaving.take_fewer_topics(subscription, wanted, source="less")
    except leaving.TooLate as error:
        raise links.BadLink from error
    return _taken(request, subscription, topics=kept)


def _reason(request: HttpRequest, subscription: Subscription) -> HttpResponse:
    given = request.POST.get("reason")
    if given not in LeavingReason.values:
        said = {"reason_error": gettext(NO_REASON)}
        return _left(request, subscription, with_offers=True, status=422, **said)
    leaving.tell_reason(subscription, LeavingReason(given))
    return SeeOther(f"{request.path}?done=told")


OFFERS = {"weekly": _weekly, "pause": _pause, "topics": _topics, "reason": _reason}


def _taken(request: HttpRequest, subscription: Subscription, **what: object) -> HttpResponse:
    context = {"left": subscription.newsletter, "masked": _masked(subscription.subscriber), **what}
    return render(request, "subscribers/less.html", context)


def _left(
    request: HttpRequest,
    ended: Subscription,
    *,
    with_offers: bool = False,
    status: int = 200,
    **errors: object,
) -> HttpResponse:
    """The page after leaving. No link to the preferences: see `links`.

    Nor the names of what still comes: mails are passed on, and newsletters may be private.
    """
    context = {
        "subscription": ended,
        "newsletter": ended.newsletter,
        "masked": _masked(ended.subscriber),
        "has_others": ended.subscriber.subscriptions.active().exists(),
        "told": request.GET.get("done") == "told",
        **(_offers(ended) if with_offers and leaving.may_be_less(ended) else {}),
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
        "pause": pausing.day_of(subscriber, until) if leaving.may_pause(subscriber) else None,
        "topics": topics if len(topics) > 1 else [],
        "rate": offers.rate_of(ended.newsletter, topics),
        "reasons": LeavingReason.choices,
        "wording": consent.words(consent.LESS),
    }


def _subscription(number: int) -> Subscription | None:
    """The place that a link was made for, and from now on its reader's language is spoken."""
    places = Subscription.objects.select_related("newsletter", "subscriber")
    found = places.filter(pk=number).first()
    if found is not None:
        speak_to(found.subscriber)
    return found


def _masked(subscriber: Subscriber) -> str:
    """Nothing once the address was changed: the link may lie in the earlier mailbox."""
    return "" if moving.moved_at(subscriber.pk) else addresses.masked(subscriber.address)
