"""What limits a server and its lanes at this moment: settings, rows of Throttle, plan, quotas."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from django.db.models.functions import Now

from iria_news.environment import SubmissionServer
from mailer.models import LaneHour, Throttle, WarmUpDay
from mailer.throttle import clock
from mailer.throttle.hours import WHOLE_SERVER

BREAKER = 5  # sessions in a row that could not be opened
HELD = math.inf  # seconds until a lane opens that only a person can open
BURST_SECONDS = 0.1  # of a lane's rate: the length of a turn of a busy sending loop
UNKNOWN_RATE = 10.0  # messages a second: what a slowed lane is taken to have done, if nobody knows
SLOWEST_BASE = 1.0  # messages a second; a quiet lane's best hour must not all but stop it


@dataclass(frozen=True)
class Limit:
    """What holds for a whole server or for one of its lanes. Seconds count from the reading."""

    domain: str = WHOLE_SERVER
    rate: float = 0.0  # messages a second over all workers; 0 is no limit
    burst: int = 1
    connections: int | None = None  # at once, for each worker
    per_day: int | None = None
    sent_today: int = 0
    closed_for: float = 0.0
    reason: str = ""  # why it is closed, in words

    @property
    def left_today(self) -> int | None:
        """Messages that may still leave today; None without a limit."""
        return None if self.per_day is None else max(0, self.per_day - self.sent_today)


@dataclass(frozen=True)
class History:
    """What changes slowly: read every few seconds."""

    now: datetime
    planned: int | None = None  # messages that the warm-up plan allows today
    domains: frozenset[str] = frozenset()  # of which the rest speaks
    sent_today: Mapping[str, int] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)  # of the best hour in 24, a second

    def base(self, domain: str) -> float:
        """Messages a second that a lane without a rate has shown it can do."""
        measured = self.rates.get(domain, 0.0)
        return max(SLOWEST_BASE, measured) if measured else UNKNOWN_RATE


@dataclass(frozen=True)
class Standing:
    """Everything that limits one server, at one moment."""

    server: Limit
    lanes: Mapping[str, Limit]
    history: History
    failures: int = 0  # to open a session, in a row
    is_trial: bool = False  # the breaker waits to see one message go through

    @property
    def is_free(self) -> bool:
        """Whether nothing limits any message, so that nobody need be asked."""
        return not (self.lanes or self.server.rate or self.server.per_day is not None)


def read(server: SubmissionServer, history: History | None = None) -> Standing:
    """Read how things stand: one query, and three more without a history of these lanes.

    The number of queries does not grow with lanes, hours or days.
    """
    rows = {
        row.domain: row for row in Throttle.objects.filter(server=server.name).annotate(now=Now())
    }
    if history is None or not history.domains >= rows.keys():
        history = read_history(server.name, rows)
    own = rows.pop(WHOLE_SERVER, None)
    failures = own.failures if own else 0
    whole = _server_limit(server, own, history)
    return Standing(
        server=whole,
        lanes={domain: _lane_limit(server, own, row, history) for domain, row in rows.items()},
        history=history,
        failures=failures,
        is_trial=failures >= BREAKER and not whole.closed_for,
    )


def read_history(server: str, domains: Iterable[str]) -> History:
    """Read what today's quotas and learned rates need, in three queries."""
    now = clock.now()
    known = frozenset(domains) | {WHOLE_SERVER}
    today = clock.day_of(now)
    best: dict[str, float] = {}
    sent_today: dict[str, int] = dict.fromkeys(known, 0)
    hours = LaneHour.objects.filter(
        server=server, domain__in=known, hour__gt=now - timedelta(hours=24)
    )
    for domain, hour, sent in hours.values_list("domain", "hour", "sent"):
        seconds = min(3600.0, max(60.0, (now - hour).total_seconds()))
        best[domain] = max(best.get(domain, 0.0), sent / seconds)
        if hour >= today:
            sent_today[domain] += sent
    return History(now, _planned(server, now.date()), known, sent_today, best)


def effective_rate(own_rate: float | None, factor: float, *, setting: float, base: float) -> float:
    """Messages a second: an operator's rate, else the setting's, times the factor.

    0 is no limit. Without any rate, a lane that was slowed down goes at a share of `base`, what it
    has shown it can do: one cannot halve what is not limited.
    """
    rate = own_rate or setting or (base if factor < 1 else 0.0)
    return rate * factor


def _server_limit(server: SubmissionServer, row: Throttle | None, history: History) -> Limit:
    row = row or Throttle(server=server.name)
    rate = effective_rate(
        row.rate_limit, row.factor, setting=server.rate, base=history.base(WHOLE_SERVER)
    )
    limits = [row.daily_limit, server.per_day or None, history.planned]
    return Limit(
        rate=rate,
        burst=server.burst,
        connections=row.connection_limit,
        per_day=min((limit for limit in limits if limit is not None), default=None),
        sent_today=history.sent_today.get(WHOLE_SERVER, 0),
        closed_for=closed_for(row),
        reason=row.reason,
    )


def _lane_limit(
    server: SubmissionServer, whole: Throttle | None, row: Throttle, history: History
) -> Limit:
    """A lane has no rate from the settings: those limit the server as a whole, all lanes together.

    Slowed down, it begins at what it did itself, but never at more than its server may do.
    """
    base = history.base(row.domain)
    server_rate = (whole and whole.rate_limit) or server.rate
    if server_rate:
        base = min(base, server_rate)
    rate = effective_rate(row.rate_limit, row.factor, setting=0.0, base=base)
    return Limit(
        domain=row.domain,
        rate=rate,
        burst=max(1, round(rate * BURST_SECONDS)),
        connections=row.connection_limit,
        per_day=row.daily_limit,
        sent_today=history.sent_today.get(row.domain, 0),
        closed_for=closed_for(row),
        reason=row.reason,
    )


def closed_for(row: Throttle) -> float:
    """Seconds until a row read with `now` opens; 0 if it is open, HELD if only a person can."""
    if row.is_held:
        return HELD
    now = getattr(row, "now", None)  # a row of nobody has no clock, and nothing against it
    if row.resume_at is None or now is None:
        return 0.0
    seconds: float = (row.resume_at - now).total_seconds()
    return max(0.0, seconds)


def _planned(server: str, today: date) -> int | None:
    """What the warm-up plan allows today: before its first day as on it, after its last no limit.

    A day that the plan leaves out has the volume of the planned day before it.
    """
    days = dict(WarmUpDay.objects.filter(server=server).values_list("day", "messages"))
    if not days or today > max(days):
        return None
    return days[max((day for day in days if day <= today), default=min(days))]
