"""What the admin says of a lane: its state, its rate now, its numbers of this hour."""

from datetime import timedelta

from django.conf import settings
from django.db.models import IntegerField, Max, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce, Now, TruncHour
from django.utils import timezone

from mailer.models import LaneHour, Throttle
from mailer.throttle import limits

PERMISSION = "mailer.steer_lane"
COUNTED = ["sent", "deferred", "refused", "failed"]


def lane_in_words(row) -> str:
    return row.domain or "whole server"


def state_of(row) -> tuple[str, str]:
    """A word for the badge, and a sentence, of a row that was read with `now`."""
    closed_for = limits.closed_for(row)
    because = f" {row.reason}" if row.reason else ""
    if closed_for == limits.HELD:
        return "held", f"Until a person releases it.{because}"
    if closed_for:
        until = row.resume_at.astimezone(timezone.get_current_timezone())
        return "suspended", f"Until {until:%H:%M} UTC.{because}"
    if row.failures >= limits.BREAKER:
        return "on trial", f"The next message decides.{because}"
    if row.factor < 1:
        return "slowed", f"To {row.factor:.0%} of its rate.{because}".replace("%", " %")
    return "open", ""


def rate_in_words(row) -> str:
    """The rate that holds now, of a row that was read with `best_hour`."""
    server = settings.SUBMISSION_SERVERS.get(row.server)
    setting = server.rate if server and not row.domain else 0.0
    base = max(limits.SLOWEST_BASE, row.best_hour / 3600) if row.best_hour else limits.UNKNOWN_RATE
    rate = limits.effective_rate(row.rate_limit, row.factor, setting=setting, base=base)
    return f"{'' if row.rate_limit or setting else 'about '}{rate:.3g} a second" if rate else "free"


def with_numbers(rows: QuerySet[Throttle]) -> QuerySet[Throttle]:
    """The rows with the database's time, the results of this hour and the best hour in a day."""
    own = LaneHour.objects.filter(server=OuterRef("server"), domain=OuterRef("domain"))
    hour = own.filter(hour=TruncHour(Now()))
    day = own.filter(hour__gt=Now() - timedelta(hours=24)).order_by().values("server")
    numbers = {
        name: Coalesce(Subquery(hour.values(name)[:1]), 0, output_field=IntegerField())
        for name in COUNTED
    }
    best = Subquery(day.annotate(best=Max("sent")).values("best")[:1])
    return rows.annotate(now=Now(), best_hour=Coalesce(best, 0), **numbers)


def numbers(row) -> str:
    """What became of this hour's messages, of a row that was read `with_numbers`."""
    return ", ".join(f"{getattr(row, name):,} {name}" for name in COUNTED)
