"""Subscribers: found, read, suppressed. Nothing of theirs is edited here."""

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from iria_news.frame import admin_base, asking, badges
from subscribers import addresses, consent, suppression
from subscribers.admin.suppressions import NoteForm
from subscribers.models import (
    ConsentEvent,
    ServiceMail,
    Subscriber,
    SubscriberState,
    Subscription,
    Suppression,
    SuppressionReason,
)

FOUND_AT_MOST = 50  # subscribers; whoever finds more types more of the address


class SubscriptionInline(admin_base.ReadOnlyInline):
    model = Subscription
    fields = ["newsletter", "followed", "created_at", "confirmed_at", "ended_at", "ended_by"]
    readonly_fields = fields
    ordering = ["ended_at", "pk"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subscription]:
        queryset = super().get_queryset(request)
        return queryset.select_related("newsletter").prefetch_related("topics")

    @admin.display(description="Topics")
    def followed(self, subscription) -> str:
        return ", ".join(topic.name for topic in subscription.topics.all())


class ConsentInline(admin_base.ReadOnlyInline):
    model = ConsentEvent
    verbose_name_plural = "consent"
    fields = ["at", "kind", "newsletter", "words", "source", "topics"]
    readonly_fields = fields
    ordering = ["-at", "-pk"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ConsentEvent]:
        return super().get_queryset(request).select_related("newsletter")

    @admin.display(description="In which words")
    def words(self, event) -> str:
        return consent.WORDINGS.get(event.wording, event.wording)


class ServiceMailInline(admin_base.ReadOnlyInline):
    model = ServiceMail
    fields = ["kind", "state", "asked_at", "attempts", "reason", "settled_at", "used_at"]
    readonly_fields = fields
    ordering = ["-pk"]


@admin.register(Subscriber)
class SubscriberAdmin(admin_base.ReadOnlyAdmin):
    """Found by a form that posts, because no address may stand in an address line or a log."""

    paginator = admin_base.EndlessPaginator
    empty_list = "No subscribers yet. The first signs up by the form below every article."
    list_display = ["address_or_number", "state_badge", "newsletters", "created_at", "confirmed_at"]
    list_filter = ["state", "subscriptions__newsletter", "language"]
    ordering = ["-pk"]
    list_per_page = 50
    fields = [
        ("address", "name"),
        ("state", "is_suppressed"),
        ("language", "created_at", "confirmed_at"),
    ]
    readonly_fields = ["is_suppressed"]
    inlines = [SubscriptionInline, ConsentInline, ServiceMailInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subscriber]:
        open_ones = Subscription.objects.open().select_related("newsletter")
        stopped = Suppression.objects.filter(address_hash=OuterRef("address_hash"))
        return (
            super()
            .get_queryset(request)
            .annotate(stopped=Exists(stopped))
            .prefetch_related(Prefetch("subscriptions", open_ones, to_attr="open_subscriptions"))
        )

    @admin.display(description="Subscriber", ordering="address_key")
    def address_or_number(self, subscriber) -> str:
        return subscriber.address or str(subscriber)

    @admin.display(description="State", ordering="state")
    def state_badge(self, subscriber) -> SafeString:
        return badges.badge("suppressed" if subscriber.stopped else subscriber.state)

    @admin.display(description="Newsletters")
    def newsletters(self, subscriber) -> str:
        return ", ".join(str(held.newsletter) for held in subscriber.open_subscriptions)

    @admin.display(description="Suppressed")
    def is_suppressed(self, subscriber) -> str:
        return "yes, no mail goes there" if subscriber.stopped else "no"

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("find/", wrap(require_POST(self.find)), name="subscribers_subscriber_find"),
            path("<int:pk>/suppress/", wrap(self.suppress), name="subscribers_subscriber_suppress"),
            *super().get_urls(),
        ]

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

    def suppress(self, request: HttpRequest, pk: int) -> HttpResponse:
        """GET asks, POST stops every mail to this address."""
        if not request.user.has_perm("subscribers.add_suppression"):
            raise PermissionDenied
        subscriber = get_object_or_404(
            Subscriber.objects.exclude(state=SubscriberState.ERASED), pk=pk
        )
        back = reverse("admin:subscribers_subscriber_change", args=[pk])
        form = NoteForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            done = suppression.suppress(
                subscriber.address_hash,
                SuppressionReason.OPERATOR,
                note=form.cleaned_data["note"],
            )
            messages.success(
                request, "Stopped: no more mail." if done else "It was stopped before."
            )
            return redirect(back)
        question = asking.Question(
            title="Suppress",
            question=f"Stop every mail to {subscriber.address}?",
            sentences=[
                "All subscriptions end now.",
                "Only a new sign-up with confirmation, by its reader, lifts it again.",
            ],
            button="Stop mail to 1 address",
            back=back,
            is_grave=True,
        )
        return asking.ask(request, question, form)


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
