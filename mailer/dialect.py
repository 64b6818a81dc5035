"""What PostgreSQL and SQLite say differently. Everything else in `mailer` is one text for both.

Times are the database's: workers on several machines compare leases with one clock only.
"""

import contextlib
import json
from collections.abc import Iterator, Sequence
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


def table(**columns: str) -> str:
    """SQL for a FROM item `w` with these columns (name -> type), fed by `table_params`.

    On PostgreSQL from one array for each column: of those it expects ten rows, of a JSON document
    a hundred, and then it walks the whole of `delivery` for five of them (measured).
    """
    if is_postgresql():
        arrays = ", ".join(f"%s::{kind}[]" for kind in columns.values())
        return f"unnest({arrays}) AS w({', '.join(columns)})"
    values = ", ".join(f"value->>{index} AS {name}" for index, name in enumerate(columns))
    return f"(SELECT {values} FROM json_each(%s)) AS w"  # noqa: S608  # names of ours


def table_params(rows: Sequence[Sequence[Any]]) -> list[Any]:
    """The parameters of `table` for these rows; there must be at least one."""
    if is_postgresql():
        return [list(column) for column in zip(*rows, strict=True)]
    return [json.dumps([list(row) for row in rows])]


def skip_locked(alias: str) -> str:
    """SQL that lets two workers pick two batches. SQLite has one writer and needs none."""
    return f"FOR UPDATE OF {alias} SKIP LOCKED" if is_postgresql() else ""


def execute(sql: str, params: Sequence[Any] = (), *, often: bool = False) -> int:
    """Run one statement; return how many rows it changed. `often` as for `fetch`."""
    with _cursor(often=often) as cursor:
        cursor.execute(sql, params)
        return int(cursor.rowcount)


def fetch(sql: str, params: Sequence[Any] = (), *, often: bool = False) -> list[tuple[Any, ...]]:
    """Run one statement; return its rows. Their types are the database's, hence Any.

    `often` has PostgreSQL prepare it: planning the sending loop's statements takes it 2 ms each,
    ten times as long as running them. Django itself prepares nothing.
    """
    with _cursor(often=often) as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())


@contextlib.contextmanager
def _cursor(*, often: bool) -> Iterator[Any]:
    if not often or not is_postgresql():
        with connection.cursor() as cursor:
            yield cursor
        return
    import psycopg  # noqa: PLC0415  # installed only where it is used

    connection.ensure_connection()
    line = connection.connection
    with connection.wrap_database_errors, psycopg.Cursor(line) as cursor:
        line.prepare_threshold = 0
        try:
            yield cursor
        finally:
            line.prepare_threshold = None  # as Django leaves it


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
