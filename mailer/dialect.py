"""What PostgreSQL and SQLite say differently. Everything else in `mailer` is one text for both.

Times are the database's: workers on several machines compare leases with one clock only.
"""

import contextlib
import functools
import json
import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

log = logging.getLogger(__name__)

SQLITE_NOW = "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now'{shift})"  # as Django writes its instants


@functools.cache  # asked for a dozen times in each commit
def is_postgresql() -> bool:
    return connection.vendor == "postgresql"


def now(*, plus_seconds: float = 0, plus_column: str = "") -> str:
    """SQL for this instant, or one some seconds ahead; the column holds seconds, too.

    clock_timestamp, not now(): the latter is the start of the transaction, and a lease must not
    be shortened by the time its transaction waited.
    """
    if is_postgresql():
        return f"(clock_timestamp() + {plus_column or plus_seconds} * interval '1 second')"
    if plus_column:
        return SQLITE_NOW.format(shift=f", {plus_column} || ' seconds'")
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


def instant(value: datetime | str) -> datetime:
    """A point in time as `fetch` returns it: SQLite stores text, without the zone, which is UTC."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value + "+00:00")


def stored(at: datetime) -> Any:
    """An instant as a parameter that compares with columns: SQLite's are texts without a zone."""
    return connection.ops.adapt_datetimefield_value(at)


def skip_locked(alias: str) -> str:
    """SQL that lets two workers pick two batches. SQLite has one writer and needs none."""
    return f"FOR UPDATE OF {alias} SKIP LOCKED" if is_postgresql() else ""


def locked(alias: str) -> str:
    """SQL that keeps what a SELECT found until the end of the transaction."""
    return f"FOR UPDATE OF {alias}" if is_postgresql() else ""


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
    if not often:
        with connection.cursor() as cursor:
            yield cursor
        return
    database = connections[DEFAULT_DB_ALIAS]  # looked up once; `connection` does for each name
    database.ensure_connection()
    with database.wrap_database_errors:
        if is_postgresql():
            with _preparing_cursor(database.connection) as cursor:
                yield cursor
        else:
            yield _BareCursor(database.connection.cursor())


@contextlib.contextmanager
def _preparing_cursor(line: Any) -> Iterator[Any]:
    import psycopg  # noqa: PLC0415  # installed only where it is used

    with psycopg.Cursor(line) as cursor:
        line.prepare_threshold = 0
        try:
            yield cursor
        finally:
            line.prepare_threshold = None  # as Django leaves it


class _BareCursor:
    """A cursor of sqlite3 that takes our spelling of parameters; Django's costs four times more."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self.fetchall = cursor.fetchall

    @property
    def rowcount(self) -> int:
        return int(self._cursor.rowcount)

    def execute(self, sql: str, params: Sequence[Any]) -> None:
        self._cursor.execute(_question_marks(sql), params)


@functools.lru_cache(maxsize=100)
def _question_marks(sql: str) -> str:
    return sql.replace("%%", "%").replace("%s", "?")


@contextlib.contextmanager
def short_transaction() -> Iterator[None]:
    """A transaction for statements of this module only, made `often`.

    On SQLite it leaves out Django's hooks and savepoints, which cost more than the statements.
    """
    if is_postgresql() or connection.in_atomic_block:
        with transaction.atomic():
            yield
        return
    execute("BEGIN IMMEDIATE", often=True)
    try:
        yield
    except BaseException:
        with contextlib.suppress(DatabaseError):  # the first error is the one to be told
            execute("ROLLBACK", often=True)
        raise
    execute("COMMIT", often=True)


def plan_for_once() -> None:
    """Have PostgreSQL compile no plan in this transaction: its statements run once, for a second.

    Compiling takes it as long again. For transactions of a few large statements.
    """
    if is_postgresql():
        execute("SET LOCAL jit = off")


def analyze(*tables: str) -> None:
    """Without statistics PostgreSQL joins in nested loops: minutes instead of seconds."""
    if is_postgresql():
        for table in tables:
            execute(f"ANALYZE {table}")


def begin_sending() -> None:
    """Set this connection up for a turn of sending: safe commits, and plans that are kept.

    Each commit must survive a power failure (G4). PostgreSQL sees to that by itself; SQLite's WAL
    is flushed at checkpoints only, enough for all that a person or a tick can do again, but not
    for the intent to send.

    PostgreSQL would plan the exchange anew each time: its arrays are shorter than a plan for any
    length expects, so a plan of its own looks cheaper, and making it costs four times what it does.
    """
    if is_postgresql():
        execute("SET plan_cache_mode = force_generic_plan")
    else:
        execute("PRAGMA synchronous = FULL")


def end_sending() -> None:
    """Let the connection plan again for what each statement is given: others work with it next.

    A connection that is lost needs nothing: the next one begins afresh.
    """
    if is_postgresql() and connection.connection is not None:
        try:
            execute("RESET plan_cache_mode")
        except DatabaseError:
            log.warning("the database is away at the end of a turn")
            connection.close()


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
