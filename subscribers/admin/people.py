"""Subscribers: found and listed. Nothing of theirs is edited; acts stand on pages of their own."""

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from iria_news.frame import admin_base, badges
from subscribers import addresses, finding
from subscribers.admin import acts, adding, finding_form, notes, timeline
from subscribers.models import (
    Subscriber,
    Subscription,
    Suppression,
)

FOUND_AT_MOST = 50  # subscribers; whoever finds more types more of the address


class SubscriberList(ChangeList):
    """A list that is narrowed by a form above it, which works without a script."""

    def get_filters_params(self, params=None) -> dict:
        others = super().get_filters_params(params)
        return {name: of for name, of in others.items() if name not in finding_form.NAMES}

    def get_queryset(self, request: HttpRequest, exclude_parameters=None) -> QuerySet[Subscriber]:
        rows = super().get_queryset(request, exclude_parameters)
        self.finding = finding_form.FindingForm(request.GET)
        self.has_active_filters = self.has_active_filters or self.finding.asks_for_something()
        open_ones = Subscription.objects.open().select_related("newsletter")
        stopped = Suppression.objects.filter(address_hash=OuterRef("address_hash"))
        return (
            finding.narrow(rows, self.finding.criteria())
            .annotate(stopped=Exists(stopped))
            .prefetch_related(Prefetch("subscriptions", open_ones, to_attr="open_subscriptions"))
        )


@admin.register(Subscriber)
class SubscriberAdmin(admin_base.ReadOnlyAdmin):
    """Found by a form that posts, because no address may stand in an address line or a log."""

    paginator = admin_base.EndlessPaginator
    empty_list = "No subscribers yet. The first signs up by the form below every article."
    list_display = ["address_or_number", "state_badge", "newsletters", "created_at", "confirmed_at"]
    sortable_by = ["address_or_number"]  # the others have no index: each page would sort them all
    ordering = ["-pk"]
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest, *_args) -> bool:
        return request.user.has_perm("subscribers.add_subscriber")

    def get_changelist(self, *_args, **_kwargs) -> type[SubscriberList]:
        return SubscriberList

    @admin.display(description="Subscriber", ordering="address_key")
    def address_or_number(self, subscriber) -> str:
        return subscriber.address or str(subscriber)

    @admin.display(description="State")
    def state_badge(self, subscriber) -> SafeString:
        return badges.badge("suppressed" if subscriber.stopped else subscriber.state)

    @admin.display(description="Newsletters")
    def newsletters(self, subscriber) -> str:
        return ", ".join(str(held.newsletter) for held in subscriber.open_subscriptions)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        name = "subscribers_subscriber_{}".format
        return [
            path("find/", wrap(require_POST(self.find)), name=name("find")),
            *(
                path(f"<int:pk>/{act}/", wrap(page), name=name(act.replace("-", "_")))
                for act, page in {**acts.PAGES, **notes.PAGES}.items()
            ),
            *super().get_urls(),
        ]

    def add_view(self, request: HttpRequest, *_args, **_kwargs) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        return adding.page(request)

    def change_view(self, request: HttpRequest, object_id: str, *_args, **_kwargs) -> HttpResponse:
        """One person: how things stand, and how they came to. It is only ever read."""
        if request.method == "POST" or not self.has_view_permission(request):
            raise PermissionDenied
        subscriber = self.get_object(request, object_id)
        if subscriber is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        return timeline.page(request, subscriber)

    def find(self, request: HttpRequest) -> HttpResponseRedirect:
        """Go to the subscriber of an address, or to the list of those it begins."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = subscribers_of(request.POST.get("address", ""))
        if len(found) == 1:
            return redirect("admin:subscribers_subscriber_change", found[0])
        everybody = reverse("admin:subscribers_subscriber_changelist")
        if not found:
            messages.warning(request, "No subscriber has an address that begins like this.")
            return redirect(everybody)
        if len(found) > FOUND_AT_MOST:
            messages.info(request, f"More than {FOUND_AT_MOST} match; these are the first.")
        numbers = ",".join(str(number) for number in found[:FOUND_AT_MOST])
        return redirect(f"{everybody}?pk__in={numbers}")


def subscribers_of(typed: str) -> list[int]:
    """Numbers of the subscribers with this address, or else of those whose address begins so."""
    beginning = typed.strip().casefold()
    if not beginning:
        return []
    try:
        exact = Subscriber.objects.filter(address_key=addresses.parse(typed).key)
        if exact:
            return [exact[0].pk]
    except addresses.BadAddress:
        pass  # only the beginning of one
    alike = Subscriber.objects.filter(address_key__startswith=beginning).order_by("address_key")
    return list(alike.values_list("pk", flat=True)[: FOUND_AT_MOST + 1])
