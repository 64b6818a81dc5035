"""Lanes and warm-up plans: what limits servers, and what stopped them."""

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from iria_news.frame import admin_base, badges
from mailer.admin import lane_steering, lane_words
from mailer.admin.lane_words import PERMISSION
from mailer.models import Throttle, WarmUpDay
from mailer.throttle import limits, operators
from subscribers import addresses


class SteersLanes(admin_base.ModelAdmin):
    """Whoever may steer lanes sees and changes these rows; whoever may view them only looks."""

    def has_view_permission(self, request: HttpRequest, obj=None) -> bool:
        return super().has_view_permission(request, obj) or request.user.has_perm(PERMISSION)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(PERMISSION)

    def has_change_permission(self, request: HttpRequest, *_args) -> bool:
        return request.user.has_perm(PERMISSION)


class ServerInput(admin_base.TextInput):
    """A field that proposes the submission servers there are, without JavaScript."""

    def render(self, name, value, attrs=None, renderer=None) -> SafeString:
        field = super().render(name, value, {**(attrs or {}), "list": "servers"}, renderer)
        known = ((server,) for server in settings.SUBMISSION_SERVERS)
        options = format_html_join("", '<option value="{}">', known)
        return format_html('{}<datalist id="servers">{}</datalist>', field, options)


class ServerForm(forms.ModelForm):
    def clean_server(self) -> str:
        server = self.cleaned_data["server"]
        if server not in settings.SUBMISSION_SERVERS:
            known = ", ".join(settings.SUBMISSION_SERVERS)
            raise forms.ValidationError(f"There is no server of this name. There are: {known}.")
        return server


class LaneForm(ServerForm):
    class Meta:
        model = Throttle
        fields = ["server", "domain", "rate_limit", "connection_limit", "daily_limit"]
        widgets = {"server": ServerInput}
        help_texts = {"domain": "Of the recipients. Empty: the whole server."}

    def clean_domain(self) -> str:
        typed = self.cleaned_data["domain"].strip()
        if not typed:
            return ""
        try:
            return addresses.parse(f"postmaster@{typed}").key.rpartition("@")[2]
        except addresses.BadAddress as error:
            raise forms.ValidationError("Enter a domain such as example.org.") from error

    def clean_rate_limit(self) -> float | None:
        rate = self.cleaned_data["rate_limit"]
        if rate is not None and not 0 < rate < operators.FASTEST:
            raise forms.ValidationError(
                "Enter a number of messages a second above 0. To stop the lane, suspend it."
            )
        return rate

    def clean(self) -> dict[str, object]:
        values = super().clean() or {}
        lane = {name: values[name] for name in ("server", "domain") if name in values}
        if len(lane) == 2 and Throttle.objects.filter(**lane).exists():
            raise forms.ValidationError("This lane is in the list already. Change it there.")
        return values

    def clean_connection_limit(self) -> int | None:
        connections = self.cleaned_data["connection_limit"]
        if connections == 0:
            raise forms.ValidationError("Enter at least 1. To stop the lane, suspend it.")
        return connections


@admin.register(Throttle)
class LaneAdmin(SteersLanes):
    """What workers write about a lane is shown; a person sets its limits, and steers it."""

    form = LaneForm
    change_form_template = "admin/mailer/lanes/change_form.html"
    empty_list = (
        "No lane has anything against it. Add one to limit a server or one domain; "
        "a lane that replies slowed down or suspended appears here by itself."
    )
    list_display = ["lane", "server", "state_badge", "rate", "share", "this_hour", "why"]
    list_filter = ["server", "is_held"]
    search_fields = ["domain"]
    ordering = ["server", "domain"]
    list_per_page = 50
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Throttle]:
        return lane_words.with_numbers(super().get_queryset(request))

    def get_fields(self, _request: HttpRequest, obj=None):
        limited = ("rate_limit", "connection_limit", "daily_limit")
        return [limited] if obj else [("server", "domain"), limited]

    @admin.display(description="Lane", ordering="domain")
    def lane(self, row) -> str:
        return lane_words.lane_in_words(row)

    @admin.display(description="State", ordering="resume_at")
    def state_badge(self, row) -> SafeString:
        return badges.badge(lane_words.state_of(row)[0])

    @admin.display(description="Why")
    def why(self, row) -> str:
        return lane_words.state_of(row)[1]

    @admin.display(description="Rate now", ordering="rate_limit")
    def rate(self, row) -> str:
        return lane_words.rate_in_words(row)

    @admin.display(description="Factor", ordering="factor")
    def share(self, row) -> str:
        return f"{row.factor:.0%}".replace("%", " %")

    @admin.display(description="This hour")
    def this_hour(self, row) -> str:
        return lane_words.numbers(row)

    def has_delete_permission(self, *_args, **_kwargs) -> bool:
        """Never: a suspension would go with it. A lane with nothing against it limits nothing."""
        return False

    def save_model(self, _request: HttpRequest, obj: Throttle, _form, _change) -> None:
        """The limits alone: workers may be writing the rest at this moment."""
        saved = operators.set_limits(
            obj.server,
            obj.domain,
            rate=obj.rate_limit,
            connections=obj.connection_limit,
            per_day=obj.daily_limit,
        )
        obj.pk = saved.pk

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        pages = [
            path(f"<int:pk>/{name}/", wrap(page), name=f"mailer_throttle_{name}")
            for name, page in lane_steering.PAGES.items()
        ]
        return [*pages, *super().get_urls()]

    def change_view(self, request: HttpRequest, object_id: str, *args, **kwargs) -> HttpResponse:
        row = self.get_object(request, object_id)
        if row is not None:
            state, sentence = lane_words.state_of(row)
            kwargs["extra_context"] = {
                "title": f"{row.server}, {lane_words.lane_in_words(row)}",
                "state": state,
                "sentence": sentence,
                "rate": lane_words.rate_in_words(row),
                "numbers": self.this_hour(row),
                "is_closed": bool(limits.closed_for(row)) or row.failures >= limits.BREAKER,
            }
        return super().change_view(request, object_id, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, extra_context=None) -> HttpResponse:
        return super().changelist_view(request, {**(extra_context or {}), "title": "Lanes"})


class WarmUpDayForm(ServerForm):
    class Meta:
        model = WarmUpDay
        fields = ["server", "day", "messages"]
        widgets = {"server": ServerInput}


@admin.register(WarmUpDay)
class WarmUpDayAdmin(SteersLanes):
    """The table that the command warm_up writes, to be corrected day by day."""

    form = WarmUpDayForm
    empty_list = (
        "No server is warming up. The command “warm_up” plans all days of a new one; "
        "before the first day its volume holds, after the last no limit does."
    )
    list_display = ["day", "server", "messages"]
    list_filter = ["server"]
    ordering = ["server", "day"]

    def has_delete_permission(self, request: HttpRequest, *_args) -> bool:
        return request.user.has_perm(PERMISSION)

    def changelist_view(self, request: HttpRequest, extra_context=None) -> HttpResponse:
        return super().changelist_view(request, {**(extra_context or {}), "title": "Warm-up days"})
