"""The page of one subscriber: how things stand, what staff may do, and how it came to that."""

from django.contrib import admin
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from subscribers import timeline
from subscribers.admin.notes import NoteForm
from subscribers.models import (
    Subscriber,
    SubscriberState,
    Subscription,
    SubscriptionTopic,
    Suppression,
)


def page(request: HttpRequest, subscriber: Subscriber) -> HttpResponse:
    """GET only. ?only= is the name of a source, ?page= a number, 1 the newest."""
    sources = [
        source for source in timeline.SOURCES.values() if request.user.has_perm(source.permission)
    ]
    only = request.GET.get("only", "")
    shown = [source.name for source in sources if source.name == only] or [
        source.name for source in sources
    ]
    context = {
        **admin.site.each_context(request),
        "title": "Subscriber",
        "subtitle": str(subscriber),
        "original": subscriber,
        "is_erased": subscriber.state == SubscriberState.ERASED,
        "is_paused": bool(subscriber.paused_until and subscriber.paused_until > timezone.now()),
        "suppression": Suppression.objects.filter(address_hash=subscriber.address_hash).first(),
        "places": _places(subscriber),
        "sources": sources,
        "only": only if only in shown else "",
        "history": timeline.page(subscriber, sources=shown, number=_number(request)),
        "note_form": NoteForm(auto_id="note-%s"),
    }
    return TemplateResponse(request, "admin/subscribers/subscriber/change_form.html", context)


def _places(subscriber: Subscriber) -> list[Subscription]:
    """Open ones, with `followed`: topics and since when."""
    followed = SubscriptionTopic.objects.select_related("topic").order_by("topic__name")
    places = subscriber.subscriptions.open().select_related("newsletter")
    return list(
        places.prefetch_related(Prefetch("follows", followed, to_attr="followed")).order_by(
            "newsletter__name"
        )
    )


def _number(request: HttpRequest) -> int:
    text = request.GET.get("page", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 1
