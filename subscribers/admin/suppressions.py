"""Addresses that we stopped writing to, added by hand. Only one-way marks are kept."""

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from iria_news.frame import admin_base
from subscribers import addresses, suppression
from subscribers.models import (
    Suppression,
    SuppressionReason,
)

NEVER_AN_ADDRESS = "Never an address: this note outlives the person."


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
