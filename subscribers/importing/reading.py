"""Bytes of a file become rows of cells: encoding, separator and limits. Knows no column."""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from subscribers.importing.encodings import BadFile, encoding_of

__all__ = ["BadFile", "Sheet", "open_sheet"]

LIMIT_BYTES = 300_000_000  # two million rows of usual length
MOST_ROWS = 2_000_000
MOST_COLUMNS = 100
LONGEST_CELL = 2_000  # characters
LONGEST_LINE = 20_000  # characters; no more is read of a line, however long it is
LOOKED_AT = 20  # rows from which the separator is told
SEPARATORS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Sheet:
    """A file that can be read, as often as one likes."""

    path: Path
    encoding: str
    separator: str

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Each row with its number, as a spreadsheet counts, from 1. Empty rows are left out.

        Raises BadFile at the row that breaks a limit.
        """
        with self.path.open(encoding=self.encoding, newline="") as file:
            table = csv.reader(_lines(file), delimiter=self.separator, strict=True)
            number = 0
            while (row := _next(table, number + 1)) is not None:
                number += 1
                if number > MOST_ROWS + 1:  # one for the head
                    raise BadFile(f"It has more than {MOST_ROWS:,} rows. Split it.")
                if any(row):
                    _refuse_oversize(row, number)
                    yield number, row


def open_sheet(path: Path) -> Sheet:
    """Find out how to read a file. Raises BadFile, also for one that is too large."""
    size = path.stat().st_size
    if size > LIMIT_BYTES:
        raise BadFile(
            f"It has {size // 1_000_000} MB, and {LIMIT_BYTES // 1_000_000} MB is the most. "
            "Split it."
        )
    encoding = encoding_of(path)
    return Sheet(path, encoding, _separator(path, encoding))


def _lines(file: io.TextIOWrapper) -> Iterator[str]:
    while line := file.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            raise BadFile(
                f"One of its lines is longer than {LONGEST_LINE:,} characters. "
                "It should have one line for each reader."
            )
        yield line


def _next(table: Iterator[list[str]], number: int) -> list[str] | None:
    try:
        return next(table, None)
    except csv.Error as error:  # its text may quote the file
        raise BadFile(
            f"The quotes of row {number:,} are not those of CSV: one is never closed, or has text "
            "behind it."
        ) from error


def _refuse_oversize(row: list[str], number: int) -> None:
    if len(row) > MOST_COLUMNS:
        raise BadFile(f"Row {number:,} has more than {MOST_COLUMNS} columns.")
    if sum(map(len, row)) > LONGEST_CELL and max(map(len, row)) > LONGEST_CELL:
        raise BadFile(
            f"Row {number:,} has a cell of more than {LONGEST_CELL:,} characters. "
            "Perhaps a quote is never closed."
        )


def _separator(path: Path, encoding: str) -> str:
    """What divides most of the first rows into one and the same number of cells, above one."""
    with path.open(encoding=encoding, newline="") as file:
        lines = [line for line, _ in zip(_lines(file), range(LOOKED_AT), strict=False)]

    def evenness(separator: str) -> tuple[float, int]:
        widths = Counter(len(row) for row in csv.reader(lines, delimiter=separator) if row)
        [(width, rows)] = widths.most_common(1) or [(1, 0)]
        return (rows / widths.total(), width) if width > 1 else (0, 0)

    return max(SEPARATORS, key=evenness)
