"""Keys to the API: issued, shown once, revoked. Nobody can read one again, staff neither."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from iria_news.frame import admin_base, asking, badges
from subscribers import api_keys
from subscribers.models import ApiKey


class ApiKeyForm(forms.ModelForm):
    scopes = forms.MultipleChoiceField(
        choices=api_keys.Scope.choices,
        widget=admin_base.CheckboxSelectMultiple,
        help_text="As little as its program needs. Managing is to find readers, change their "
        "choices and end their subscriptions.",
    )
    origins = forms.CharField(
        required=False,
        max_length=2000,
        widget=admin_base.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text="Only if scripts of web pages use the key: one origin on each line, for example "
        "https://www.example.org.",
    )

    class Meta:
        model = ApiKey
        fields = ["name", "scopes", "origins", "per_minute"]

    def clean_origins(self) -> list[str]:
        return self.cleaned_data["origins"].split()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            asked = {name: cleaned[name] for name in self.Meta.fields}
            try:
                api_keys.check(**asked)
            except api_keys.BadKey as error:
                raise forms.ValidationError(str(error)) from error
        return cleaned


@admin.register(ApiKey)
class ApiKeyAdmin(admin_base.ReadOnlyAdmin):
    empty_list = "No API keys yet. A program that sends sign-ups or reads editions needs one."
    list_display = ["name", "beginning", "may", "per_minute", "last_used_at", "state_badge"]
    ordering = [F("revoked_at").asc(nulls_first=True), "name"]
    fields = [
        ("name", "beginning"),
        ("may", "from_pages", "per_minute"),
        ("created_by", "created_at", "last_used_at", "revoked_at"),
    ]
    readonly_fields = ["beginning", "may", "from_pages", "created_by", "created_at"]

    @admin.display(description="Begins with", ordering="prefix")
    def beginning(self, key) -> str:
        return f"iria_{key.prefix}_"

    @admin.display(description="May")
    def may(self, key) -> str:
        return ", ".join(key.scopes)

    @admin.display(description="From web pages of")
    def from_pages(self, key) -> str:
        return ", ".join(key.origins) or "none: only from servers"

    @admin.display(description="State", ordering="revoked_at")
    def state_badge(self, key) -> SafeString:
        return badges.badge("revoked" if key.revoked_at else "active")

    def has_add_permission(self, request: HttpRequest, *_args) -> bool:
        return request.user.has_perm("subscribers.add_apikey")

    def get_fields(self, request: HttpRequest, obj=None):
        return self.fields if obj else ApiKeyForm.Meta.fields

    def get_readonly_fields(self, request: HttpRequest, obj=None) -> list[str]:
        return self.readonly_fields if obj else []

    def get_form(self, request: HttpRequest, obj=None, change=False, **kwargs):  # noqa: FBT002
        if obj is None:
            kwargs |= {"form": ApiKeyForm, "fields": ApiKeyForm.Meta.fields}
        return super().get_form(request, obj, change, **kwargs)

    def save_model(self, request: HttpRequest, obj: ApiKey, form, change) -> None:
        asked = {name: form.cleaned_data[name] for name in ApiKeyForm.Meta.fields}
        issued, text = api_keys.issue(**asked, by=asking.person(request))
        obj.pk = issued.pk  # what the admin logs and links to
        obj.text = text  # type: ignore[attr-defined]  # no column: for the page that shows it

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue=None):
        """The only page with the key, so it is no redirect: nothing keeps the key for later."""
        context = {
            **self.admin_site.each_context(request),
            "title": "The new key",
            "key": obj,
            "back": reverse("admin:subscribers_apikey_changelist"),
        }
        return TemplateResponse(request, "admin/subscribers/apikey/issued.html", context)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/revoke/", wrap(self.revoke), name="subscribers_apikey_revoke"),
            *super().get_urls(),
        ]

    def revoke(self, request: HttpRequest, pk: int) -> HttpResponse:
        """GET asks, POST ends the key."""
        if not request.user.has_perm("subscribers.change_apikey"):
            raise PermissionDenied
        key = get_object_or_404(ApiKey, pk=pk)
        back = reverse("admin:subscribers_apikey_change", args=[pk])
        form = asking.NoFields(request.POST or None)
        if request.method == "POST":
            if api_keys.revoke(key):
                self.log_change(request, key, "Revoked.")
                messages.success(request, "Revoked: the next request with this key is refused.")
            else:
                messages.info(request, "It was revoked before.")
            return redirect(back)
        used = f"{key.last_used_at:%-d %B %Y, %H:%M} UTC" if key.last_used_at else ""
        question = asking.Question(
            title="Revoke",
            question=f"Revoke the key of {key.name}?",
            sentences=[
                f"It was last used on {used}." if used else "It was never used.",
                "Its program is refused from then on. A key cannot be put back in force.",
            ],
            button="Revoke 1 key",
            back=back,
            is_grave=True,
        )
        return asking.ask(request, question, form)
