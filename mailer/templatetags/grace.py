"""The bar on pages of the admin while an approval can still be undone."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django import template
from django.utils import timezone

from mailer.models import Edition, EditionState

register = template.Library()

SHOWN = 3  # editions; more at once would push the page off the screen


@dataclass(frozen=True)
class Leaving:
    edition: Edition
    left: timedelta

    @property
    def in_words(self) -> str:
        """How long it still is, for example "in 9:41" or "in 4 h 41 min"."""
        seconds = max(0, int(self.left.total_seconds()))
        hours, minutes = divmod(seconds // 60, 60)
        return f"in {hours} h {minutes} min" if hours else f"in {minutes}:{seconds % 60:02}"


@register.inclusion_tag("admin/mailer/grace.html", takes_context=True)
def grace(context: dict[str, Any]) -> dict[str, object]:
    """What a person approved and has not left, for those who may undo it; one statement."""
    request = context.get("request")
    if request is None or not request.user.has_perm("mailer.approve_edition"):
        return {"leaving": []}
    approved = Edition.objects.filter(
        state=EditionState.APPROVED, approved_by__isnull=False
    ).select_related("newsletter")
    now = timezone.now()
    found = approved.order_by("due_at", "pk")[:SHOWN]
    return {"leaving": [Leaving(edition, edition.due_at - now) for edition in found]}
