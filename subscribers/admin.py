"""The desk of those who look after readers: newsletters, subscribers, consent, suppressions."""

import difflib
import zoneinfo

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Exists, OuterRef, Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from iria_news.frame import admin_base, asking, badges
from subscribers import addresses, consent, offers, suppression
from subscribers.models import (
    ConsentEvent,
    Newsletter,
    ServiceMail,
    Subscriber,
    SubscriberState,
    Subscription,
    Suppression,
    SuppressionReason,
)

FOUND_AT_MOST = 50  # subscribers; whoever finds more types more of the address
NEVER_AN_ADDRESS = "Never an address: this note outlives the person."


class ZoneInput(admin_base.TextInput):
    """A field that proposes the time zones there are, without JavaScript."""

    def render(self, name, value, attrs=None, renderer=None) -> SafeString:
        field = super().render(name, value, {**(attrs or {}), "list": "zones"}, renderer)
        known = ((zone,) for zone in sorted(zoneinfo.available_timezones()))
        options = format_html_join("", '<option value="{}">', known)
        return format_html('{}<datalist id="zones">{}</datalist>', field, options)


class NewsletterForm(forms.ModelForm):
    class Meta:
        model = Newsletter
        fields = "__all__"  # noqa: DJ007  # the fieldsets of the page choose
        widgets = {"zone": ZoneInput, "topics": admin_base.CheckboxSelectMultiple}

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        present = self.instance.server
        names = {*settings.SUBMISSION_SERVERS, present}
        choices = [
            (name, name if name in settings.SUBMISSION_SERVERS else f"{name} (not configured)")
            for name in sorted(names)
        ]
        self.fields["server"].widget = admin_base.Select(choices=choices)

    def clean_server(self) -> str:
        server = self.cleaned_data["server"]
        if server not in settings.SUBMISSION_SERVERS:
            raise forms.ValidationError(
                f"No submission server is called “{server}”. "
                "Choose one of the list, or add it to SUBMISSION_SERVERS."
            )
        return server

    def clean_zone(self) -> str:
        zone = self.cleaned_data["zone"]
        known = zoneinfo.available_timezones()
        if zone not in known:
            close = difflib.get_close_matches(zone, known, n=1) or ["Europe/Berlin"]
            raise forms.ValidationError(
                f"The time zone “{zone}” is not in our list. "
                f"Choose it from the list, for example {close[0]}."
            )
        return zone


class NewsletterAdmin(admin_base.ModelAdmin):
    """Registered downstream, in `mailer.admin`, which knows the next slot and can send."""

    form = NewsletterForm
    empty_list = "No newsletters yet. A newsletter has a cadence and carries topics."
    list_display = ["name", "comes", "readers", "approval", "is_active", "is_private"]
    list_filter = ["is_active", "is_private", "cadence"]
    search_fields = ["name"]
    prepopulated_fields = {"slug": ["name"]}
    fieldsets = [
        (None, {"fields": [("name", "slug"), "description", ("look", "language"), "topics"]}),
        ("When", {"fields": [("cadence", "weekday"), ("wall_time", "zone")]}),
        ("What", {"fields": [("min_articles", "max_articles", "look_back_days")]}),
        ("How", {"fields": [("approval", "server"), "in_doubt", ("is_active", "is_private")]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Newsletter]:
        active = Q(
            subscriptions__confirmed_at__isnull=False,
            subscriptions__ended_at__isnull=True,
            subscriptions__subscriber__state=SubscriberState.ACTIVE,
        )
        queryset = super().get_queryset(request)
        return queryset.annotate(readers=Count("subscriptions", filter=active))

    @admin.display(description="Comes")
    def comes(self, newsletter) -> str:
        return offers.comes(newsletter)

    @admin.display(description="Readers", ordering="readers")
    def readers(self, newsletter) -> str:
        return f"{newsletter.readers:,}"

    def has_delete_permission(self, *_args, **_kwargs) -> bool:
        """Never: its subscriptions and editions are history. Switch it off instead."""
        return False


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


class NoteForm(forms.Form):
    note = forms.CharField(max_length=200, required=False, help_text=NEVER_AN_ADDRESS)

    def clean_note(self) -> str:
        note = self.cleaned_data["note"]
        if "@" in note:
            raise forms.ValidationError("This looks like an address. " + NEVER_AN_ADDRESS)
        return note


class SuppressionForm(forms.ModelForm):
    """An address goes in, its one-way mark is kept."""

    address = forms.CharField(
        widget=admin_base.TextInput, help_text="Only a one-way mark of it is kept."
    )

    class Meta:
        model = Suppression
        fields = ["note"]

    def clean_address(self) -> addresses.Address:
        try:
            address = addresses.parse(self.cleaned_data["address"])
        except addresses.BadAddress as error:
            raise forms.ValidationError(str(error)) from error
        if suppression.is_suppressed(address.hash):
            raise forms.ValidationError("This address was stopped before. Its first reason stays.")
        return address

    clean_note = NoteForm.clean_note


@admin.register(Suppression)
class SuppressionAdmin(admin_base.ReadOnlyAdmin):
    paginator = admin_base.EndlessPaginator
    empty_list = "Nobody is suppressed. Hard bounces and complaints will appear here."
    list_display = ["__str__", "reason", "note", "created_at"]
    list_filter = ["reason"]
    ordering = ["-pk"]
    fields = ["reason", "note", "created_at", "address_hash"]

    def has_add_permission(self, request: HttpRequest, *_args) -> bool:
        return request.user.has_perm("subscribers.add_suppression")

    def get_fields(self, request: HttpRequest, obj=None) -> list[str]:
        return self.fields if obj else ["address", "note"]

    def get_form(self, request: HttpRequest, obj=None, change=False, **kwargs):  # noqa: FBT002
        if obj is None:
            kwargs["form"] = SuppressionForm
            kwargs["fields"] = ["note"]
        return super().get_form(request, obj, change, **kwargs)

    def save_model(self, request: HttpRequest, obj: Suppression, form, change) -> None:
        address_hash = form.cleaned_data["address"].hash
        suppression.suppress(address_hash, SuppressionReason.OPERATOR, note=obj.note)
        kept = Suppression.objects.get(address_hash=address_hash)
        obj.pk, obj.reason = kept.pk, kept.reason  # what the admin logs and links to


@admin.register(ConsentEvent)
class ConsentEventAdmin(admin_base.ReadOnlyAdmin):
    paginator = admin_base.EndlessPaginator
    empty_list = "No consent yet. Each sign-up, confirmation and change appends a line here."
    list_display = ["at", "kind", "subscriber", "newsletter", "wording", "source"]
    list_filter = ["kind", "newsletter"]
    list_select_related = ["subscriber", "newsletter"]
    ordering = ["-pk"]


@admin.register(ServiceMail)
class ServiceMailAdmin(admin_base.ReadOnlyAdmin):
    paginator = admin_base.EndlessPaginator
    empty_list = "No service mails yet. A sign-up asks for the first."
    list_display = ["__str__", "state_badge", "subscriber", "asked_at", "attempts", "reason"]
    list_filter = ["state", "kind"]
    list_select_related = ["subscriber"]
    ordering = ["-pk"]

    @admin.display(description="State", ordering="state")
    def state_badge(self, mail) -> SafeString:
        return badges.badge(mail.state)
