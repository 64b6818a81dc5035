"""The one door to the look of the admin: its classes come from django-unfold.

Every other admin module imports from here and uses only what Django's own admin understands, so
that plain Django admin is a change of these imports.
"""

from django.contrib.admin import ShowFacets
from unfold.admin import ModelAdmin as UnfoldModelAdmin
from unfold.admin import TabularInline
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.paginator import InfinitePaginator as EndlessPaginator
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget as CheckboxSelectMultiple
from unfold.widgets import UnfoldAdminSelectWidget as Select
from unfold.widgets import UnfoldAdminTextareaWidget as Textarea
from unfold.widgets import UnfoldAdminTextInputWidget as TextInput

__all__ = [
    "AdminPasswordChangeForm",
    "CheckboxSelectMultiple",
    "EndlessPaginator",
    "ModelAdmin",
    "ReadOnlyAdmin",
    "ReadOnlyInline",
    "Select",
    "TextInput",
    "Textarea",
    "UserChangeForm",
    "UserCreationForm",
]


class ModelAdmin(UnfoldModelAdmin):
    compressed_fields = False  # labels above fields: several fit into a line
    show_facets = ShowFacets.NEVER  # counts of filters, on lists that may have a million rows


class _LooksOnly:
    """Rows that the flow functions write: the admin shows them and changes nothing."""

    def has_add_permission(self, *_args, **_kwargs) -> bool:
        return False

    def has_change_permission(self, *_args, **_kwargs) -> bool:
        return False

    def has_delete_permission(self, *_args, **_kwargs) -> bool:
        return False


class ReadOnlyAdmin(_LooksOnly, ModelAdmin):
    show_full_result_count = False  # a count of a million rows, for a number nobody needs


class ReadOnlyInline(_LooksOnly, TabularInline):
    extra = 0
    can_delete = False
