"""A page of rows as a temporary table, so that the rest of the work is done in sets.

Holds everything in which the two databases differ here.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from subscribers.importing.pages import Page, Plan
from subscribers.importing.vocabulary import Vocabulary
from subscribers.models import Proof

# A line is one row's wish for one newsletter.
LINE = {
    "number": "integer",  # of the row
    "newsletter_id": "bigint",
    "choice": "integer",
    "address": "text",
    "key": "text",
    "hash": "text",
    "name": "text",
    "language": "text",
    "zone": "text",
    "hour": "smallint",
    "consented_at": "timestamp with time zone",
    "source": "text",
    "said": "text",
}
LATER = {"person_id": "bigint", "is_ours": "boolean", "state": "text", "outcome": "text"}
CHOICE = {"choice": "integer", "slugs": "text"}
FOLLOWED = {"choice": "integer", "topic_id": "bigint"}
TABLES = {"import_line": LINE | LATER, "import_choice": CHOICE, "import_followed": FOLLOWED}
Lines = bytes | list[tuple[Any, ...]]  # as PostgreSQL's COPY reads them, or as parameters
NULL = "\\N"
ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
LONGEST_SLUGS = 500  # characters, as the column of a consent event holds


def is_postgresql() -> bool:
    return bool(connection.vendor == "postgresql")


def execute(sql: str, params: Iterable[Any] = ()) -> int:
    """Run one statement; return how many rows it changed."""
    with connection.cursor() as cursor:
        cursor.execute(sql, list(params))
        return int(cursor.rowcount)


def fetch(sql: str, params: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, list(params))
        return list(cursor.fetchall())


def instant(at: datetime | None) -> Any:
    """A point in time as a parameter: SQLite keeps text."""
    return connection.ops.adapt_datetimefield_value(at) if at else None


def now() -> str:
    """SQL for this instant, as Django writes it."""
    return "clock_timestamp()" if is_postgresql() else "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')"


def each_later(start: str, step: timedelta, number: str) -> str:
    """SQL for an instant: a parameter, and so many steps after it as an expression says."""
    seconds = step.total_seconds()
    if is_postgresql():
        return f"({start}::timestamptz + ({number}) * interval '{seconds} seconds')"
    shift = f"(({number}) * {seconds}) || ' seconds'"
    return f"strftime('%%Y-%%m-%%d %%H:%%M:%%f', {start}, {shift})"


def locked() -> str:
    """SQL that keeps the rows of a SELECT for us. SQLite has one writer and needs none."""
    return "FOR UPDATE" if is_postgresql() else ""


def prepare_to_write() -> None:
    """Say to PostgreSQL, inside a transaction, what is coming.

    It has to look at the page, or it joins ten thousand lines as if they were one. And it checks
    references with each statement: kept for the commit they cost a fifth of an import (measured).
    """
    if is_postgresql():
        execute("ANALYZE import_line")
        execute("SET CONSTRAINTS ALL IMMEDIATE")


class Staging:
    """The temporary tables of one pass. Used in `with`; they belong to this connection alone."""

    def __init__(self, plan: Plan, words: Vocabulary) -> None:
        self._plan = plan
        self._words = words
        self._choices = 0  # of the vocabulary, written down so far

    def __enter__(self) -> "Staging":
        for table, columns in TABLES.items():
            execute(f"DROP TABLE IF EXISTS {table}")
            typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
            execute(f"CREATE TEMPORARY TABLE {table} ({typed})")
        return self

    def __exit__(self, *_: object) -> None:
        if connection.is_usable() and not connection.needs_rollback:
            for table in TABLES:
                execute(f"DROP TABLE IF EXISTS {table}")

    def prepared(self, pages: Iterable[Page]) -> Iterator[tuple[Page, Lines]]:
        """Each page with its lines as the database takes them. Asks it nothing, so another thread
        can do this for the next page while the database works at this one."""
        for page in pages:
            lines = list(self._lines(page))
            yield page, _copied(lines) if is_postgresql() else lines

    def fill(self, lines: Lines) -> None:
        """Put the lines of a page in place of those of the last."""
        # DELETE would leave the rows of every earlier page to be passed over, until a vacuum.
        execute("TRUNCATE import_line" if is_postgresql() else "DELETE FROM import_line")
        _insert("import_line", LINE, lines)
        fresh = list(enumerate(self._words.choices))[self._choices :]
        self._choices += len(fresh)
        if not fresh:
            return
        slugs = [(number, _slugs([topic.slug for topic in topics])) for number, topics in fresh]
        followed = [(number, topic.pk) for number, topics in fresh for topic in topics]
        _insert("import_choice", CHOICE, slugs)
        _insert("import_followed", FOLLOWED, followed)
        if is_postgresql():
            execute("ANALYZE import_choice")
            execute("ANALYZE import_followed")

    def _lines(self, page: Page) -> Iterator[tuple[Any, ...]]:
        kept = self._plan.proof == Proof.KEPT
        for row in page.wanted:
            proved = kept and row.consented_at is not None
            address = row.address
            for newsletter, choice in row.places:
                yield (
                    *(row.number, newsletter, choice, address.address, address.key, address.hash),
                    *(row.name, row.language or "en", row.zone, row.hour),
                    instant(row.consented_at) if proved else None,
                    row.consent_source if proved else self._plan.source,
                    row.said,
                )


def _insert(table: str, columns: dict[str, str], lines: Lines) -> None:
    names = ", ".join(columns)
    with connection.cursor() as cursor:
        if is_postgresql():
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                copy.write(lines if isinstance(lines, bytes) else _copied(lines))
            return
        assert not isinstance(lines, bytes)  # those are PostgreSQL's
        marks = ", ".join(["%s"] * len(columns))
        cursor.executemany(
            f"INSERT INTO {table} ({names}) VALUES ({marks})",  # noqa: S608  # names of ours
            lines,
        )


def _copied(lines: Iterable[tuple[Any, ...]]) -> bytes:
    """The text format of PostgreSQL's COPY: a line for each row, cells between tabs."""
    return "".join("\t".join(map(_cell, line)) + "\n" for line in lines).encode()


def _cell(value: Any) -> str:
    return NULL if value is None else str(value).translate(ESCAPED)


def _slugs(slugs: list[str]) -> str:
    """As many whole slugs as the column holds; an ellipsis says that there were more."""
    text = ",".join(slugs)
    if len(text) <= LONGEST_SLUGS:
        return text
    return text[: LONGEST_SLUGS - 1].rpartition(",")[0] + "…"
