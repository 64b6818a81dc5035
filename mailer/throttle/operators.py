"""What a person does to a lane: suspend, release, set its limits. The caller checks who may."""

from mailer.models import Throttle
from mailer.throttle.rows import in_words, is_suspended, locked, say

FASTEST = 1e9  # messages a second; more is a slip of the hand


def suspend(server: str, domain: str, *, by: str, reason: str = "") -> bool:
    """Let nothing leave in this lane until a person releases it; False if it is held already."""
    with locked(server, domain) as (row, _now):
        if row.is_held:
            return False
        row.is_held = True
        row.reason = in_words(f"Suspended by {by}" + (f": {reason}" if reason else "."))
        row.save()
        say(server, domain, "suspended by %s", by)
        return True


def release(server: str, domain: str, *, by: str) -> bool:
    """Open a lane now, whoever closed it; False if it was open.

    It goes on at the speed it had, which recovers by itself; earlier cuts, suspensions and failed
    sessions are forgotten.
    """
    with locked(server, domain) as (row, now):
        if not is_suspended(row, now) and not row.failures:
            return False
        row.is_held, row.resume_at, row.reason = False, None, ""
        row.cuts, row.cuts_since, row.suspensions, row.failures = 0, None, 0, 0
        row.save()
        say(server, domain, "released by %s", by)
        return True


def set_rate(server: str, domain: str, rate: float | None, *, by: str) -> None:
    """Set a lane's rate, in messages a second; None means what the settings say.

    Workers follow within a quarter of a second. Raises ValueError unless it is above 0.
    """
    if rate is not None and not 0 < rate < FASTEST:
        raise ValueError("A rate is a number of messages a second, above 0.")
    with locked(server, domain) as (row, _now):
        row.rate_limit = rate
        row.save()
        said = "the rate of the settings" if rate is None else f"{rate:g} messages a second"
        say(server, domain, "%s, set by %s", said, by)


def set_limits(
    server: str, domain: str, *, rate: float | None, connections: int | None, per_day: int | None
) -> Throttle:
    """Set all limits of a lane's own at once, None meaning what the settings say; return its row.

    Nothing else of the row is touched: workers may be slowing it down at this moment.
    """
    with locked(server, domain) as (row, _now):
        row.rate_limit, row.connection_limit, row.daily_limit = rate, connections, per_day
        row.save()
        say(
            server,
            domain,
            "limits set: %s a second, %s connections, %s a day",
            rate,
            connections,
            per_day,
        )
        return row
