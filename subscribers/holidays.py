"""Days on which newsletters do not come out: of one newsletter, or of all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from subscribers.models import Holiday, Newsletter


@dataclass(frozen=True)
class Holidays:
    """The holidays of a span of days, of all newsletters, read once."""

    names: Mapping[tuple[int | None, date], str] = field(default_factory=dict)

    def name(self, newsletter: Newsletter, day: date) -> str:
        """What this day is called for a newsletter, its own name first; empty: no holiday."""
        return self.names.get((newsletter.pk, day)) or self.of_all(day)

    def of_all(self, day: date) -> str:
        return self.names.get((None, day), "")


NONE = Holidays()


def between(first: date, last: date) -> Holidays:
    """Those from the first to the last day, both included. One query."""
    rows = Holiday.objects.filter(day__range=(first, last)).order_by()
    return Holidays(
        {
            (newsletter, day): name
            for newsletter, day, name in rows.values_list("newsletter", "day", "name")
        }
    )
