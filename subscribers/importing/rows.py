"""A row of cells becomes what it asks for, or the reason why it is refused. Asks no database."""

import functools
import unicodedata
import zoneinfo
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from iria_news.articles.models import Language
from subscribers import addresses, spreadsheets
from subscribers.importing.columns import Columns
from subscribers.importing.vocabulary import UnknownName, Vocabulary

LONGEST_NAME = 64  # characters (W10)
LONGEST_SOURCE = 160  # characters; with the import and the row behind it, it fits its column
OLDEST_CONSENT = datetime(1995, 1, 1, tzinfo=UTC)  # before there were newsletters by mail
CLOCKS_DIFFER = timedelta(days=1)  # a consent from further ahead is a mistake

# Line ends and what turns the direction of text: never in a name or a header (W9, W10).
LINE_ENDS = frozenset("\r\n\0\u0085\u2028\u2029")
TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
LINK_MARKS = ("://", "www.", "@")

# What other services write into such a column -> our word for it.
STATES = {
    **dict.fromkeys(("", "active", "subscribed", "confirmed", "enabled"), "active"),
    **dict.fromkeys(("pending", "unconfirmed"), "pending"),
    **dict.fromkeys(("left", "unsubscribed", "optedout", "inactive"), "left"),
    **dict.fromkeys(
        ("suppressed", "cleaned", "bounced", "complained", "blocked", "blocklisted"), "suppressed"
    ),
}


class Refused(Exception):
    """This row cannot be used. `kind` is counted; the sentence goes with the refused row."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one row asks for."""

    number: int  # of the row, as a spreadsheet counts
    address: addresses.Address
    name: str
    language: str
    zone: str
    hour: int | None
    places: list[tuple[int, int]]  # newsletter, and a number of the vocabulary for its topics
    said: str  # "left" or "suppressed" if the file says so, or nothing
    consented_at: datetime | None  # with a source, or not at all
    consent_source: str


def read(row: Sequence[str], number: int, columns: Columns, words: Vocabulary) -> Wanted:
    """Check every cell of a row. Raises Refused with the first thing that is wrong."""
    cells = {
        field: spreadsheets.taken_back(row[place].strip(" ")) if place < len(row) else ""
        for field, place in columns.items()
    }
    address = _address(cells["address"])
    said = _state(cells.get("state", ""))
    consented_at = _consented_at(cells) if said != "pending" else None
    return Wanted(
        number=number,
        address=address,
        name=_name(cells.get("name", "")),
        language=_language(cells.get("language", "")),
        zone=_zone(cells.get("zone", "")),
        hour=_hour(cells.get("hour", "")),
        places=_places(cells, words),
        said=said if said in {"left", "suppressed"} else "",
        consented_at=consented_at,
        consent_source=cells["consent_source"] if consented_at else "",
    )


def _address(cell: str) -> addresses.Address:
    try:
        return addresses.parse(cell)
    except addresses.BadAddress as error:
        raise Refused(_kind_of_bad_address(cell), str(error)) from error


def _kind_of_bad_address(cell: str) -> str:
    """Without the address itself: this is counted, shown and logged."""
    if not cell:
        return "no address"
    if LINE_ENDS.intersection(cell):
        return "a line break in the address"
    if cell.count("@") != 1:
        return "more than one @ sign" if "@" in cell else "no @ sign"
    if any(character.isspace() for character in cell):
        return "a blank in the address"
    if not cell.partition("@")[0].isascii():
        return "letters before the @ that our mail server cannot reach"
    return "an address that cannot be right"


def _name(cell: str) -> str:
    if not cell or (cell.isascii() and cell.isalnum() and len(cell) <= LONGEST_NAME):
        return cell
    name = unicodedata.normalize("NFC", cell)
    if len(name) > LONGEST_NAME:
        raise Refused("a name that is too long", f"A name has at most {LONGEST_NAME} characters.")
    if TURNING.intersection(name) or not all(map(_may_stand_in_a_name, name)):
        raise Refused(
            "signs in a name that nobody sees",
            "The name holds line breaks or signs that turn the direction of text. Take them out.",
        )
    if any(mark in name.casefold() for mark in LINK_MARKS):
        raise Refused(
            "a link in a name", "The name holds a link or an address. Give the name only."
        )
    return name


def _may_stand_in_a_name(character: str) -> bool:
    return character.isprintable() and character not in LINE_ENDS


def _language(cell: str) -> str:
    code = cell.casefold().replace("_", "-").partition("-")[0]
    if code and code not in Language.values:
        raise Refused(
            "a language that is not in our list",
            f"The language is not in our list: {', '.join(Language.values)}.",
        )
    return code


@functools.cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _zone(cell: str) -> str:
    if cell and cell not in _zones():
        raise Refused(
            "a time zone that is not in our list",
            "The time zone is not in the IANA list. It should look like Europe/Berlin.",
        )
    return cell


def _hour(cell: str) -> int | None:
    if not cell:
        return None
    if not (cell.isascii() and cell.isdigit() and len(cell) <= 2 and int(cell) <= 23):
        raise Refused("an hour that is none", "An hour is a number from 0 to 23.")
    return int(cell)


def _state(cell: str) -> str:
    known = STATES.get(cell.casefold().replace(" ", "").replace("-", ""))
    if known is None:
        raise Refused(
            "an unknown state", f"The state is none of: {', '.join(filter(None, STATES))}."
        )
    return known


def _places(cells: Mapping[str, str], words: Vocabulary) -> list[tuple[int, int]]:
    try:
        return words.places(cells.get("newsletters", ""), cells.get("topics", ""))
    except UnknownName as error:
        raise Refused(error.kind, str(error)) from error


def _consented_at(cells: Mapping[str, str]) -> datetime | None:
    """When the reader agreed, if the row says so and where; both must make sense, or neither."""
    source = cells.get("consent_source", "")
    if not source or len(source) > LONGEST_SOURCE or not source.isprintable():
        return None
    at = _instant(cells.get("consented_at", ""))
    if at is None or not OLDEST_CONSENT <= at <= timezone.now() + CLOCKS_DIFFER:
        return None
    return at


def _instant(cell: str) -> datetime | None:
    """ISO 8601, with or without a time; without a zone it is UTC."""
    try:
        at = parse_datetime(cell)
        day = parse_date(cell) if at is None else None
    except ValueError:  # it looks like one, and there is no such day
        return None
    if day is not None:
        at = datetime.combine(day, time(), UTC)
    if at is None:
        return None
    try:
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except OverflowError:
        return None
