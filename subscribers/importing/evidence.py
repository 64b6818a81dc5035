"""What a consent event of an import says: where its reader agreed, and which row said so."""

import re

_ROW = re.compile(r" \(import \d+, row \d+\)$")


def before_row(import_id: int) -> str:
    """What stands between the source that a row gave and the number of that row; then ")"."""
    return f" (import {import_id}, row "


def of_reader(source: str) -> str:
    """The source as its row gave it; that of any other event as it is."""
    return _ROW.sub("", source)
