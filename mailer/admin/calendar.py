"""The calendar: past and coming slots of all newsletters, a month at a time. It only shows."""

from datetime import date, datetime

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from iria_news.frame import admin_base
from mailer import months
from subscribers.models import Newsletter

FIRST, LAST = date(2000, 1, 1), date(2100, 12, 1)  # months that anybody may want to see


class MonthField(forms.Field):
    """A month as browsers write it, such as 2026-11; None for anything else."""

    def to_python(self, value: str | None) -> date | None:
        try:
            month = datetime.strptime(value or "", "%Y-%m").date()  # noqa: DTZ007  # a day, no time
        except ValueError:
            return None
        return month if FIRST <= month <= LAST else None


class ChoiceForm(forms.Form):
    """Which month of which newsletter. What cannot be read means this month, and all of them."""

    month = MonthField(required=False, widget=forms.HiddenInput)
    newsletter = forms.ModelChoiceField(
        Newsletter.objects.all(),
        required=False,
        empty_label="all newsletters",
        widget=admin_base.Select,
    )


def page(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perm("mailer.view_edition"):
        raise PermissionDenied
    form = ChoiceForm(request.GET)
    form.is_valid()
    now = timezone.now()
    first = form.cleaned_data.get("month") or now.date().replace(day=1)
    chosen = form.cleaned_data.get("newsletter")
    newsletters = [chosen] if chosen else list(Newsletter.objects.all())
    context = {
        **admin.site.each_context(request),
        "title": "Calendar",
        "month": months.read(first, newsletters, now=now),
        "form": ChoiceForm(initial={"month": f"{first:%Y-%m}", "newsletter": chosen}),
        "only": f"&newsletter={chosen.pk}" if chosen else "",
        "newsletters": newsletters,
        "has_slots": any(newsletter.wall_time for newsletter in newsletters),
    }
    return TemplateResponse(request, "admin/mailer/calendar.html", context)
