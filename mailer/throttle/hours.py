"""The hourly numbers of lanes: what guards, quotas and the console count with.

The row without a domain holds the whole server's numbers, so that nobody has to add up the lanes
of a day; whoever adds up lanes leaves that row out.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from django.db import connection

from mailer import dialect
from mailer.models import LaneHour
from mailer.throttle import clock

Kind = Literal["sent", "deferred", "refused", "failed", "gone"]
WHOLE_SERVER = ""  # as a domain
KEPT = timedelta(days=31)

COLUMNS = {
    "domain": "text",
    "sent": "bigint",
    "deferred": "bigint",
    "refused": "bigint",
    "failed": "bigint",
    "gone": "bigint",
}


@dataclass(frozen=True)
class Hour:
    """What became of a lane's messages in one hour. `failed` includes `gone`."""

    sent: int = 0
    deferred: int = 0
    refused: int = 0
    failed: int = 0
    gone: int = 0

    @property
    def results(self) -> int:
        return self.sent + self.deferred + self.refused + self.failed


def add(server: str, tally: Mapping[tuple[str, Kind], int]) -> None:
    """Add numbers (by domain and kind) to this hour's rows, in two queries for any number of lanes.

    A `gone` counts as failed, too. Workers may add at the same moment: each row is locked in the
    order of domains.
    """
    if not tally:
        return
    counted: dict[str, Counter[str]] = {}
    for (domain, kind), number in tally.items():
        for lane in (WHOLE_SERVER, domain):
            numbers = counted.setdefault(lane, Counter())
            numbers[kind] += number
            numbers["failed"] += number if kind == "gone" else 0
    kinds = [name for name in COLUMNS if name != "domain"]
    rows = [[lane, *(numbers[kind] for kind in kinds)] for lane, numbers in sorted(counted.items())]
    added = ", ".join(f"{kind} = mailer_lanehour.{kind} + excluded.{kind}" for kind in kinds)
    sql = f"""
        INSERT INTO mailer_lanehour (server, hour, domain, {", ".join(kinds)})
        SELECT %s, {"%s::timestamptz" if dialect.is_postgresql() else "%s"},
            w.domain, {", ".join(f"w.{kind}" for kind in kinds)}
        FROM {dialect.table(**COLUMNS)} WHERE true
        ON CONFLICT (server, domain, hour) DO UPDATE SET {added}
    """  # noqa: S608  # names of ours
    hour = connection.ops.adapt_datetimefield_value(clock.hour_of(clock.now()))
    dialect.execute(sql, [server, hour, *dialect.table_params(rows)])


def this_hour(server: str, domain: str, *, now: datetime | None = None) -> Hour:
    """The numbers of the present hour, as far as workers have written them down."""
    rows = LaneHour.objects.filter(
        server=server, domain=domain, hour=clock.hour_of(now or clock.now())
    )
    found = rows.values_list("sent", "deferred", "refused", "failed", "gone").first()
    return Hour(*found) if found else Hour()


def forget_old() -> int:
    """Delete what is older than a month; return how many rows. For the hourly housekeeping."""
    deleted, _ = LaneHour.objects.filter(hour__lt=clock.now() - KEPT).delete()
    return deleted
