"""Which column of a file holds what, by the names people give them."""

import re
from collections.abc import Sequence

from subscribers import spreadsheets
from subscribers.importing.encodings import BadFile

# Ours first: what the export writes. Compared without case, blanks, hyphens and underlines.
SPELLINGS = {
    "address": "email mail emailaddress mailaddress address emailadresse mailadresse courriel "
    "adresseemail メールアドレス メール",
    "name": "name fullname displayname",
    "newsletters": "newsletter newsletters list lists",
    "topics": "topics topic",
    "language": "language lang locale",
    "zone": "zone timezone tz",
    "hour": "hour",
    "consented_at": "consentedat consentat consentdate consenttime optinat optindate optintime "
    "confirmedat confirmtime",
    "consent_source": "consentsource optinsource source",
    "state": "state status",
}
_NOT_COMPARED = re.compile(r"[\s\-_./:]+")

Columns = dict[str, int]  # field -> place in the row


def of_head(row: Sequence[str]) -> Columns | None:
    """The columns that a head names; None if this is no head of ours."""
    names = [_plain(spreadsheets.taken_back(cell)) for cell in row]
    found = {}
    for field, spellings in SPELLINGS.items():
        place = next((names.index(name) for name in spellings.split() if name in names), None)
        if place is not None:
            found[field] = place
    return found if "address" in found else None


def of_first_row(row: Sequence[str]) -> Columns:
    """Without a head: the cell with an @ is the address, and of two cells the other is the name.

    Raises BadFile if there is no such cell.
    """
    with_at = [place for place, cell in enumerate(row) if "@" in cell]
    if not with_at:
        raise BadFile(
            "No column is called “email”, and the first row has no address. "
            "Begin the file with a row of column names."
        )
    found = {"address": with_at[0]}
    if len(row) == 2:
        found["name"] = 1 - with_at[0]
    return found


def _plain(name: str) -> str:
    return _NOT_COMPARED.sub("", name.casefold())
