"""Cells that a spreadsheet opens as text, and the way back (W14)."""

import re

# A spreadsheet takes a cell that begins like this for a formula, or ends the cell there.
DANGEROUS = "=+\\-@\t\r\n＝＋－＠"
# The apostrophes before it are counted in, or the way back could not tell ours from theirs.
_TO_BE_MARKED = re.compile(f"'*[{DANGEROUS}]")
_MARKED = re.compile(f"'+[{DANGEROUS}]")


def safe(cell: str) -> str:
    """The cell as no spreadsheet can run it: with an apostrophe before a dangerous beginning."""
    return f"'{cell}" if _TO_BE_MARKED.match(cell) else cell


def taken_back(cell: str) -> str:
    """What `safe` was given; any other cell as it is."""
    return cell[1:] if _MARKED.match(cell) else cell
