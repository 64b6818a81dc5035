"""Webhooks: the endpoints that are told what happens, and the log of what they were told."""

import json
from urllib.parse import urlsplit

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import formats
from django.utils.html import format_html
from django.utils.safestring import SafeString

from iria_news.frame import admin_base, asking, badges
from subscribers.admin import webhook_acts
from subscribers.models import CallState, EventKind, WebhookCall, WebhookEndpoint
from subscribers.webhooks import endpoints, events


class EndpointForm(forms.ModelForm):
    events = forms.MultipleChoiceField(
        label="What it is told",
        choices=[(kind.value, f"{kind.value}: {kind.label}") for kind in events.OFFERED],
        widget=admin_base.CheckboxSelectMultiple,
        error_messages={"required": "Tick at least one, or there would be nothing to tell it."},
    )

    class Meta:
        model = WebhookEndpoint
        fields = ["name", "events"]  # and "url", which the page below adds
        help_texts = {
            "name": "Whose it is, and what for.",
            "url": "https only, on port 443 or 8443; never a private address.",
        }

    def clean_url(self) -> str:
        url = self.cleaned_data["url"]
        try:
            endpoints.check_address(url)
        except endpoints.BadAddress as problem:
            raise forms.ValidationError(str(problem)) from problem
        return url


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(admin_base.ModelAdmin):
    """No secret stands on any page but that of the POST that made it."""

    form = EndpointForm
    change_form_template = "admin/subscribers/webhookendpoint/change_form.html"
    empty_list = (
        "No program is told what happens. Add an endpoint, and we call it at sign-ups, "
        "confirmations, changes, leavings, bounces, complaints and when an edition is done."
    )
    list_display = ["name", "host", "state_badge", "told", "why"]
    list_filter = ["is_active"]
    search_fields = ["name"]
    ordering = ["name"]
    fields = ["name", "url", "events"]
    actions = None  # deleting has a page of its own, which asks with numbers

    def formfield_for_dbfield(self, db_field, request: HttpRequest, **kwargs):
        if db_field.name == "url":
            kwargs |= {"assume_scheme": "https", "label": "Address"}
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    @admin.display(description="Host")
    def host(self, endpoint) -> str:
        """The rest of the address may hold a secret of theirs."""
        return urlsplit(endpoint.url).hostname or ""

    @admin.display(description="State", ordering="is_active")
    def state_badge(self, endpoint) -> SafeString:
        return badges.badge(_state_of(endpoint))

    @admin.display(description="Is told")
    def told(self, endpoint) -> str:
        return f"{len(endpoint.events)} of {len(events.OFFERED)} kinds"

    @admin.display(description="Why")
    def why(self, endpoint) -> str:
        return _why(endpoint)

    def save_model(self, request: HttpRequest, obj: WebhookEndpoint, form, change) -> None:
        """What the form holds, and nothing else: a worker may be writing the rest."""
        chosen = {name: form.cleaned_data[name] for name in ("name", "url", "events")}
        if change:
            endpoints.change(obj, **chosen)
        else:
            saved = endpoints.create(**chosen, by=asking.person(request))
            obj.pk, obj.secret = saved.pk, saved.secret

    def add_view(self, request: HttpRequest, form_url="", extra_context=None) -> HttpResponse:
        """One button: whatever is pressed, the secret comes next."""
        one_button = {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, {**(extra_context or {}), **one_button})

    def response_add(self, request: HttpRequest, obj, post_url_continue=None) -> HttpResponse:
        return webhook_acts.show_secret(request, obj, obj.secret, title="Endpoint added")

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        pages = [
            path(f"<int:pk>/{name}/", wrap(page), name=f"subscribers_webhookendpoint_{name}")
            for name, page in webhook_acts.PAGES.items()
        ]
        return [*pages, *super().get_urls()]

    def delete_view(self, request: HttpRequest, object_id: str, extra_context=None) -> HttpResponse:
        return webhook_acts.remove(request, self.get_object(request, object_id))

    def change_view(self, request: HttpRequest, object_id: str, *args, **kwargs) -> HttpResponse:
        endpoint = self.get_object(request, object_id)
        if endpoint is not None:
            kwargs["extra_context"] = {
                "state": _state_of(endpoint),
                "why": _why(endpoint),
                "waiting": endpoint.calls.filter(state=CallState.WAITING).count(),
                "may_steer": request.user.has_perm(webhook_acts.PERMISSION),
            }
        return super().change_view(request, object_id, *args, **kwargs)


@admin.register(WebhookCall)
class WebhookCallAdmin(admin_base.ReadOnlyAdmin):
    """The queue and the log. What an endpoint answered stands here in our words (F15)."""

    change_form_template = "admin/subscribers/webhookcall/change_form.html"
    paginator = admin_base.EndlessPaginator
    empty_list = (
        "Nothing was told yet. Each event is listed here with what its endpoint answered; "
        "“Send a test” on the page of an endpoint makes the first."
    )
    list_display = ["number", "event_kind", "endpoint", "state_badge", "attempts", "answer", "at"]
    list_filter = ["state", "endpoint"]
    list_select_related = ["event", "endpoint"]
    ordering = ["-pk"]
    list_per_page = 50
    fields = [
        ("endpoint", "event_kind"),
        ("state", "attempts", "answer"),
        ("at", "not_before", "settled_at"),
        "uid",
        "payload",
    ]
    readonly_fields = ["event_kind", "at", "uid", "payload"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookCall]:
        return super().get_queryset(request).select_related("event", "endpoint")

    @admin.display(description="Call", ordering="pk")
    def number(self, call) -> str:
        return f"{call.pk}"

    @admin.display(description="Event")
    def event_kind(self, call) -> str:
        return EventKind(call.event.kind).value

    @admin.display(description="State", ordering="state")
    def state_badge(self, call) -> SafeString:
        return badges.badge(call.state.replace("_", " "))

    @admin.display(description="Happened at")
    def at(self, call) -> str:
        return formats.localize(call.event.at)

    @admin.display(description="webhook-id")
    def uid(self, call) -> str:
        return call.event.uid

    @admin.display(description="What is told")
    def payload(self, call) -> SafeString:
        told = json.dumps(call.event.payload, indent=2, sort_keys=True, ensure_ascii=False)
        return format_html('<pre class="payload">{}</pre>', told)

    def change_view(self, request: HttpRequest, object_id: str, *args, **kwargs) -> HttpResponse:
        call = self.get_object(request, object_id)
        settled = call is not None and call.settled_at is not None
        may_steer = request.user.has_perm(webhook_acts.PERMISSION)
        kwargs["extra_context"] = {"may_resend": settled and may_steer}
        return super().change_view(request, object_id, *args, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        resend = self.admin_site.admin_view(webhook_acts.resend)
        return [
            path("<int:pk>/resend/", resend, name="subscribers_webhookcall_resend"),
            *super().get_urls(),
        ]


def _state_of(endpoint: WebhookEndpoint) -> str:
    if not endpoint.is_active:
        return "off"
    return "failing" if endpoint.failing_since else "active"


def _why(endpoint: WebhookEndpoint) -> str:
    if not endpoint.is_active:
        return endpoint.off_because
    if endpoint.failing_since:
        return f"Every call since {endpoint.failing_since:%-d %B, %H:%M} UTC has failed."
    return ""
