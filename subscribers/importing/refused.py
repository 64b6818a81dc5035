"""The rows that could not be used, in a file, each with the reason. Safe to open, ready to mend."""

import csv
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from subscribers import spreadsheets
from subscribers.importing import keeping
from subscribers.importing.pages import Page, Reader


class RefusedRows:
    """Written as the pass goes, in UTF-8 with its mark, for spreadsheets. Used in `with`.

    Takes the place of an earlier file only when the pass is through.
    """

    def __init__(self, path: Path, reader: Reader) -> None:
        self._path = path
        self._draft = path.with_name(f"{path.name}.{os.getpid()}{keeping.DRAFT}")
        self._file = keeping.opened_for_us(self._draft)
        self._table = csv.writer(self._file)
        self._write([*reader.head, "row", "refused because"])

    def add(self, page: Page) -> None:
        for row in page.refused:
            self._write([*row.cells, str(row.number), row.sentence])

    def _write(self, cells: list[str]) -> None:
        plain = map(spreadsheets.taken_back, cells)  # they may be marked already
        self._table.writerow([spreadsheets.safe(cell) for cell in plain])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        if error is None:
            self._draft.replace(self._path)
        else:
            self._draft.unlink()
