"""The caught messages as they lie in a folder: which there are, and what each list line shows.

The catcher names files by time of arrival, so a list of thousands opens only those it shows.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesHeaderParser
from pathlib import Path

HEADERS_LIMIT = 64_000  # bytes read of each message for the list; mail servers take no longer ones
SEARCH_LIMIT = 2_000  # newest messages; reading so many takes about half a second

IDENTIFIER = "[0-9]{8}-[0-9]{6}-[0-9]{6}-[0-9a-f]{8}"
NEWSLETTERS, SERVICE = "newsletters", "service"


class NotKept(Exception):
    """There is no message of this id (any more)."""


@dataclass(frozen=True)
class Envelope:
    """Who sent it to whom, as the SMTP conversation said; the headers may say otherwise."""

    sender: str
    recipients: list[str]


@dataclass(frozen=True)
class Summary:
    """What a list shows of a message."""

    id: str
    received_at: datetime
    envelope: Envelope
    sender: str
    subject: str
    is_newsletter: bool
    size_bytes: int

    def holds(self, words: str) -> bool:
        """Whether recipients, sender or subject contain `words`, in any case of letters."""
        place = " ".join([*self.envelope.recipients, self.sender, self.subject])
        return words.casefold() in place.casefold()

    def is_kind(self, kind: str) -> bool:
        return not kind or self.is_newsletter == (kind == NEWSLETTERS)


def identifiers(folder: Path) -> list[str]:
    """All messages, the newest first."""
    names = (path.name for path in folder.glob("*.eml")) if folder.is_dir() else ()
    whole = (name.removesuffix(".eml") for name in names)
    return sorted((name for name in whole if re.fullmatch(IDENTIFIER, name)), reverse=True)


def summaries(folder: Path, ids: Iterable[str]) -> Iterator[Summary]:
    """Summaries of these messages; one that was deleted meanwhile is left out."""
    for identifier in ids:
        try:
            yield summary(folder, identifier)
        except NotKept:
            continue


def summary(folder: Path, identifier: str) -> Summary:
    """Raises NotKept."""
    path = file_path(folder, identifier)
    try:
        with path.open("rb") as file:
            start = file.read(HEADERS_LIMIT)
            size = path.stat().st_size
    except FileNotFoundError as error:
        raise NotKept(identifier) from error
    headers = BytesHeaderParser().parsebytes(start.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    return Summary(
        id=identifier,
        received_at=received_at(identifier),
        envelope=envelope(folder, identifier),
        sender=header(headers, "From"),
        subject=header(headers, "Subject") or "(no subject)",
        is_newsletter="List-Id" in headers,
        size_bytes=size,
    )


def file_path(folder: Path, identifier: str) -> Path:
    """Where this message lies. Raises NotKept for what is no id: a path must not lead elsewhere."""
    if not re.fullmatch(IDENTIFIER, identifier):
        raise NotKept(identifier)
    return folder / f"{identifier}.eml"


def received_at(identifier: str) -> datetime:
    """Raises NotKept when the digits are no time."""
    try:
        return datetime.strptime(f"{identifier[:22]} +0000", "%Y%m%d-%H%M%S-%f %z")
    except ValueError as error:
        raise NotKept(identifier) from error


def envelope(folder: Path, identifier: str) -> Envelope:
    """Empty when its file is missing or damaged: the message is still worth showing."""
    try:
        kept = json.loads((folder / f"{identifier}.json").read_bytes())
        return Envelope(readable(kept["from"]), [readable(address) for address in kept["to"]])
    except (OSError, ValueError, KeyError, TypeError):
        return Envelope("", [])


def header(message: "Message[str, str]", name: str) -> str:
    """One header as people read it: decoded, on one line; raw when it cannot be decoded."""
    for key, value in message.raw_items():
        if key.lower() == name.lower():
            return decoded(value)
    return ""


def decoded(value: str) -> str:
    """Decode RFC 2047 and unfold; what is malformed stays as it is."""
    raw = " ".join(readable(str(value)).split())
    try:
        return str(make_header(decode_header(raw)))
    except (HeaderParseError, LookupError, ValueError):
        return raw


def readable(text: str) -> str:
    """Bytes that the parser kept as surrogates become UTF-8, or the replacement character."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
