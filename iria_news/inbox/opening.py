"""One caught message, taken apart for reading. Nothing in it is trusted; nothing may crash us."""

import re
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from itertools import islice
from pathlib import Path

from iria_news.inbox import keeping
from iria_news.inbox.keeping import NotKept, Summary

SHOWN_LIMIT = 1_000_000  # characters of a part or of the source; browsers get slow beyond
HEADERS_SHOWN = 1_000  # an honest message has some thirty


@dataclass(frozen=True)
class Opened:
    """What the tabs of a message show."""

    summary: Summary
    headers: list[tuple[str, str]]
    html: str
    text: str
    source: str
    one_click_url: str  # empty when the message offers no one-click unsubscribe (RFC 8058)
    defects: list[str]
    attachments: list[str]


def open_message(folder: Path, identifier: str) -> Opened:
    """Read and parse one message. Raises NotKept."""
    summary = keeping.summary(folder, identifier)
    try:
        raw = keeping.file_path(folder, identifier).read_bytes()
    except FileNotFoundError as error:
        raise NotKept(identifier) from error
    defects: list[str] = []
    message = _parse(raw, defects)
    leaves = [part for part in message.walk() if not part.is_multipart()]
    shown = [part for part in leaves if part.get_content_disposition() != "attachment"]
    defects += [_sentence(defect) for part in message.walk() for defect in part.defects]
    return Opened(
        summary=summary,
        headers=[
            (keeping.readable(name), keeping.decoded(value))
            for name, value in islice(message.raw_items(), HEADERS_SHOWN)
        ],
        html=_first(shown, "text/html", defects),
        text=_first(shown, "text/plain", defects),
        source=_cut(raw.decode("utf-8", "replace"), "source", defects),
        one_click_url=_one_click_url(message),
        defects=defects,
        attachments=[
            f"{part.get_content_type()} {keeping.decoded(part.get_filename() or '')}".strip()
            for part in leaves
            if part.get_content_type() not in {"text/html", "text/plain"} or part not in shown
        ],
    )


def _parse(raw: bytes, defects: list[str]) -> "Message[str, str]":
    try:
        return message_from_bytes(raw)
    except (RecursionError, ValueError, LookupError) as error:
        defects.append(f"It cannot be taken apart ({type(error).__name__}); only its source shows.")
        return Message()


def _first(parts: "list[Message[str, str]]", content_type: str, defects: list[str]) -> str:
    for part in parts:
        if part.get_content_type() == content_type:
            return _cut(_body(part, defects), content_type, defects)
    return ""


def _body(part: "Message[str, str]", defects: list[str]) -> str:
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    charset = part.get_content_charset("utf-8")
    try:
        return content.decode(charset)
    except (LookupError, UnicodeError):
        defects.append(f'The {part.get_content_type()} part is not in its charset, "{charset}".')
        return content.decode("utf-8", "replace")


def _cut(text: str, name: str, defects: list[str]) -> str:
    if len(text) > SHOWN_LIMIT:
        defects.append(f"The {name} is long: only its first {SHOWN_LIMIT:,} characters show.")
    return text[:SHOWN_LIMIT]


def _sentence(defect: Exception) -> str:
    return (type(defect).__doc__ or type(defect).__name__).strip().splitlines()[0]


def _one_click_url(message: "Message[str, str]") -> str:
    """The address a mailbox provider would post to: the first https URI (RFC 8058)."""
    if keeping.header(message, "List-Unsubscribe-Post") != "List-Unsubscribe=One-Click":
        return ""
    found = re.search(r"<(https?://[^<>\s]+)>", keeping.header(message, "List-Unsubscribe"))
    return found[1] if found else ""
