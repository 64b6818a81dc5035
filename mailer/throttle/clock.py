"""The time of the database: workers on several machines compare instants with one clock only."""

from datetime import UTC, datetime, timedelta

from mailer import dialect


def now() -> datetime:
    """This instant, in UTC, by the database's clock. One query."""
    instant = dialect.fetch(f"SELECT {dialect.now()}")[0][0]
    if isinstance(instant, str):  # SQLite has no type for it
        return datetime.fromisoformat(instant).replace(tzinfo=UTC)
    assert isinstance(instant, datetime)
    return instant.astimezone(UTC)


def hour_of(instant: datetime) -> datetime:
    """The full hour in which an instant lies."""
    return instant.replace(minute=0, second=0, microsecond=0)


def day_of(instant: datetime) -> datetime:
    """The midnight, in UTC, at which its day began."""
    return instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def seconds_to_midnight(instant: datetime) -> float:
    """Seconds until the next day of UTC begins; daily limits count anew from there."""
    return (day_of(instant) + timedelta(days=1) - instant).total_seconds()
