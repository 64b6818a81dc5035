"""What one reader got and when: found by address, which is posted and never stands in a URL."""

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from mailer.models import Delivery, DeliveryEvent
from subscribers import admin as subscribers_admin
from subscribers.models import Subscriber

SHOWN = 100  # the latest; a reader of a daily newsletter gets that many in three months


@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """POST finds a subscriber by address; GET shows the deliveries of ?subscriber=, a number."""
    if not request.user.has_perms(["mailer.view_edition", "subscribers.view_subscriber"]):
        raise PermissionDenied
    if request.method == "POST":
        return _find(request)
    number = request.GET.get("subscriber", "")
    known = Subscriber.objects.filter(pk=int(number)) if _is_number(number) else ()
    subscriber = next(iter(known), None)
    context = {
        **admin.site.each_context(request),
        "title": "Deliveries",
        "subscriber": subscriber,
        "deliveries": _deliveries(subscriber) if subscriber else (),
        "events": _events(subscriber) if subscriber else (),
    }
    return TemplateResponse(request, "admin/mailer/deliveries.html", context)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19  # what a key can hold


def _find(request: HttpRequest) -> HttpResponse:
    here = reverse("admin:mailer_edition_deliveries")
    found = subscribers_admin.subscribers_of(request.POST.get("address", ""))
    if len(found) == 1:
        return redirect(f"{here}?subscriber={found[0]}")
    messages.warning(
        request,
        "Several addresses begin like this. Type the whole address."
        if found
        else "No subscriber has this address.",
    )
    return redirect(here)


def _deliveries(subscriber: Subscriber) -> QuerySet[Delivery]:
    rows = Delivery.objects.filter(subscriber=subscriber).select_related("edition__newsletter")
    return rows.order_by("-edition_id")[:SHOWN]


def _events(subscriber: Subscriber) -> QuerySet[DeliveryEvent]:
    rows = DeliveryEvent.objects.filter(subscriber=subscriber)
    return rows.select_related("edition__newsletter").order_by("-pk")[:SHOWN]
