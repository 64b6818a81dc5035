"""Newsletters: what one subscribes to, and when it comes."""

import difflib
import zoneinfo

from django import forms
from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, path
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from iria_news.frame import admin_base, plain_text
from subscribers import counting, offers
from subscribers.admin import inviting
from subscribers.models import (
    Newsletter,
)


class ZoneInput(admin_base.TextInput):
    """A field that proposes the time zones there are, without JavaScript."""

    def render(self, name, value, attrs=None, renderer=None) -> SafeString:
        field = super().render(name, value, {**(attrs or {}), "list": "zones"}, renderer)
        known = ((zone,) for zone in sorted(zoneinfo.available_timezones()))
        options = format_html_join("", '<option value="{}">', known)
        return format_html('{}<datalist id="zones">{}</datalist>', field, options)


class NewsletterForm(plain_text.Named, forms.ModelForm):
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

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            *(
                path(f"<int:pk>/{act}/", wrap(page), name=f"subscribers_newsletter_{act}")
                for act, page in inviting.PAGES.items()
            ),
            *super().get_urls(),
        ]

    @admin.display(description="Comes")
    def comes(self, newsletter) -> str:
        return offers.comes(newsletter)

    @admin.display(description="Readers")
    def readers(self, newsletter) -> str:
        return f"{counting.readers_of(newsletter.pk):,}"

    def has_delete_permission(self, *_args, **_kwargs) -> bool:
        """Never: its subscriptions and editions are history. Switch it off instead."""
        return False
