"""Warm-up plans: how many messages a new server may take on each day, in a table of rows."""

from datetime import date, timedelta

from django.db import transaction

from mailer.models import WarmUpDay

LONGEST = 366  # days


class BadPlan(ValueError):
    """No plan can be made of these numbers. The message says what to change."""


def plan(*, start: date, first: int, factor: float, until: int) -> list[tuple[date, int]]:
    """Days and their volumes: `first` on the first, each day `factor` times as much, up to `until`.

    The last day is the first that reaches `until`; after it the plan limits nothing. Volumes are
    whole messages, rounded down, and grow by one at least. Raises BadPlan.
    """
    if first < 1 or until < first:
        raise BadPlan("The first day takes at least 1 message, and the last at least as many.")
    if factor <= 1:
        raise BadPlan("The factor is more than 1, for example 1.5.")
    days, volume, exact = [(start, first)], first, float(first)
    while volume < until:
        exact *= factor
        volume = min(until, max(volume + 1, int(exact)))
        days.append((start + timedelta(days=len(days)), volume))
        if len(days) > LONGEST:
            raise BadPlan(f"It would take more than {LONGEST} days. Choose a greater factor.")
    return days


def replace(server: str, days: list[tuple[date, int]]) -> int:
    """Make this the server's whole plan; return how many days of an earlier one it replaces.

    One transaction: at no moment is the server without a plan.
    """
    with transaction.atomic():
        replaced, _ = WarmUpDay.objects.filter(server=server).delete()
        WarmUpDay.objects.bulk_create(
            WarmUpDay(server=server, day=day, messages=volume) for day, volume in days
        )
    return replaced
