"""Newsletters: what one subscribes to, and when it comes."""

import difflib
import zoneinfo

from django import forms
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from iria_news.frame import admin_base, plain_text
from subscribers import cadences, counting, offers, zones
from subscribers.admin import inviting
from subscribers.models import Newsletter, Weekday

# Field, from, to, unit: as the constraints of the model, but said beside the field.
BOUNDS = [
    ("late_hours", 1, 36, "hours"),
    ("draft_hours", 0, 168, "hours"),
    ("grace_minutes", 0, 1440, "minutes"),
    ("spread_minutes", 0, 1440, "minutes"),
    ("month_day", 1, 31, ""),
]


class ZoneInput(admin_base.TextInput):
    """A field that proposes the time zones there are, without JavaScript."""

    def render(self, name, value, attrs=None, renderer=None) -> SafeString:
        field = super().render(name, value, {**(attrs or {}), "list": "zones"}, renderer)
        known = ((zone,) for zone in sorted(zoneinfo.available_timezones()))
        options = format_html_join("", '<option value="{}">', known)
        return format_html('{}<datalist id="zones">{}</datalist>', field, options)


class NewsletterForm(plain_text.Named, forms.ModelForm):
    days = forms.TypedMultipleChoiceField(
        label="Chosen weekdays",
        choices=Weekday.choices,
        coerce=int,
        required=False,
        widget=admin_base.CheckboxSelectMultiple,
        help_text="Of a cadence on chosen weekdays.",
    )

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
        self.initial["days"] = cadences.chosen(self.instance)

    def clean_days(self) -> int:
        """The sum that the row holds."""
        chosen: list[int] = self.cleaned_data["days"]  # type: ignore[assignment]  # no line of text
        return sum(1 << day for day in chosen)

    def clean(self) -> dict[str, object]:
        values = super().clean() or {}
        for name, low, high, unit in BOUNDS:
            number = values.get(name)
            if number is not None and not low <= number <= high:
                self.add_error(name, f"Give {low} to {high:,} {unit}".strip() + ".")
        return values

    def clean_server(self) -> str:
        server = self.cleaned_data["server"]
        if server not in settings.SUBMISSION_SERVERS:
            raise forms.ValidationError(
                f"No submission server is called “{server}”. "
                "Choose one of the list, or add it to SUBMISSION_SERVERS."
            )
        return server

    def clean_zone(self) -> str:
        """By its present name: Europe/Kiev is kept as Europe/Kyiv."""
        zone = self.cleaned_data["zone"]
        present = zones.canonical(zone)
        if present is None:
            known = zoneinfo.available_timezones()
            close = difflib.get_close_matches(zone, known, n=1) or ["Europe/Berlin"]
            raise forms.ValidationError(
                f"The time zone “{zone}” is not in our list. "
                f"Choose it from the list, for example {close[0]}."
            )
        return present


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
        (
            "When",
            {
                "description": "Holidays are named on a page of their own, and are no slots.",
                "fields": [
                    "cadence",
                    "days",
                    ("weekday", "month_week", "month_day"),
                    ("wall_time", "zone"),
                    ("missed", "late_hours", "draft_hours"),
                ],
            },
        ),
        ("What", {"fields": [("min_articles", "max_articles", "look_back_days")]}),
        (
            "How",
            {
                "fields": [
                    ("approval", "grace_minutes", "urgent_per_week"),
                    ("spread_minutes", "server"),
                    "in_doubt",
                    ("is_active", "is_private"),
                ]
            },
        ),
    ]

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            *(
                path(f"<int:pk>/{act}/", wrap(page), name=f"subscribers_newsletter_{act}")
                for act, page in inviting.PAGES.items()
            ),
            *super().get_urls(),
        ]

    def save_model(self, request: HttpRequest, obj, form, change) -> None:
        if cadences.gets_other_slots(form.changed_data):
            obj.scheduled_since = timezone.now()
        super().save_model(request, obj, form, change)

    @admin.display(description="Comes")
    def comes(self, newsletter) -> str:
        return offers.comes(newsletter)

    @admin.display(description="Readers")
    def readers(self, newsletter) -> str:
        return f"{counting.readers_of(newsletter.pk):,}"

    def has_delete_permission(self, *_args, **_kwargs) -> bool:
        """Never: its subscriptions and editions are history. Switch it off instead."""
        return False
