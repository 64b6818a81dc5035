"""Holidays: days on which newsletters do not come out. Rows that people add, change and delete."""

from django import forms
from django.contrib import admin

from iria_news.frame import admin_base, plain_text
from subscribers.models import Cadence, Holiday, Newsletter


class HolidayForm(plain_text.Named, forms.ModelForm):
    newsletter = forms.ModelChoiceField(
        Newsletter.objects.all(),
        required=False,
        empty_label="all newsletters",
        widget=admin_base.Select,
    )

    class Meta:
        model = Holiday
        fields = ["day", "name", "newsletter"]

    def clean(self) -> dict[str, object]:
        values = super().clean() or {}
        newsletter, day = values.get("newsletter"), values.get("day")
        if newsletter is not None and newsletter.cadence == Cadence.AT_ONCE:
            self.add_error(
                "newsletter",
                f"{newsletter} goes out at once and keeps no holidays. Choose another one.",
            )
        if day is not None:
            same = Holiday.objects.filter(day=day, newsletter=newsletter)
            taken = same.exclude(pk=self.instance.pk).first()
            if taken is not None:
                sentence = f"That day is a holiday already: {taken.name}. Change that one."
                self.add_error("day", sentence)
        return values


@admin.register(Holiday)
class HolidayAdmin(admin_base.ModelAdmin):
    form = HolidayForm
    empty_list = "No holidays yet. On a holiday no edition leaves; its slot is recorded as skipped."
    list_display = ["day", "weekday", "name", "whose"]
    list_filter = ["newsletter"]
    list_select_related = ["newsletter"]
    search_fields = ["name"]
    ordering = ["-day"]

    @admin.display(description="Weekday")
    def weekday(self, holiday) -> str:
        return f"{holiday.day:%A}"

    @admin.display(description="Newsletter", ordering="newsletter")
    def whose(self, holiday) -> str:
        return str(holiday.newsletter or "all newsletters")
