"""What PostgreSQL and SQLite say differently. Everything else in `mailer` is one text for both.

Times are the database's: workers on several machines compare leases with one clock only.
"""

from collections.abc import Sequence
from typing import Any

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

SQLITE_NOW = "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now'{shift})"  # as Django writes its instants


def is_postgresql() -> bool:
    return connection.vendor == "postgresql"


def now(*, plus_seconds: float = 0) -> str:
    """SQL for this instant, or one some seconds ahead.

    clock_timestamp, not now(): the latter is the start of the transaction, and a lease must not
    be shortened by the time its transaction waited.
    """
    if is_postgresql():
        return f"(clock_timestamp() + {plus_seconds} * interval '1 second')"
    return SQLITE_NOW.format(shift=f", '{plus_seconds:+} seconds'" if plus_seconds else "")


def rows() -> str:
    """SQL for a FROM item: the rows of one JSON parameter, an array of arrays, as `w.value`."""
    function = "json_array_elements(%s::json)" if is_postgresql() else "json_each(%s)"
    return f"{function} AS w"


def skip_locked(alias: str) -> str:
    """SQL that lets two workers pick two batches. SQLite has one writer and needs none."""
    return f"FOR UPDATE OF {alias} SKIP LOCKED" if is_postgresql() else ""


def execute(sql: str, params: Sequence[Any] = ()) -> int:
    """Run one statement; return how many rows it changed."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return int(cursor.rowcount)


def fetch(sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run one statement; return its rows. Their types are the database's, hence Any."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())


def flush_each_commit() -> None:
    """Make each commit of this connection survive a power failure (G4).

    PostgreSQL does so by itself. SQLite's WAL is flushed at checkpoints only, which is enough for
    all that a person or a tick can do again, but not for the intent to send.
    """
    if not is_postgresql():
        execute("PRAGMA synchronous = FULL")


class _BitOr:
    """The aggregate bit_or, which SQLite lacks."""

    def __init__(self) -> None:
        self.value = 0

    def step(self, bits: int | None) -> None:
        self.value |= bits or 0

    def finalize(self) -> int:
        return self.value


def teach_sqlite(*, connection: BaseDatabaseWrapper, **_: object) -> None:
    """Receiver of connection_created: give SQLite the aggregate that freezing needs."""
    if connection.vendor == "sqlite":
        connection.connection.create_aggregate("bit_or", 1, _BitOr)
