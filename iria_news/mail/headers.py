"""Header fields as bytes on the wire: RFC 5322 with RFC 2047 where text is not ASCII.

We write them ourselves because Python's generator folds or encodes long URIs in angle brackets,
which kills one-click unsubscribing. Everything here takes text and returns ASCII with CRLF.
"""

import base64
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime

LINE = 78  # RFC 5322 2.1.1
ENCODED_WORD = 75  # RFC 2047 2
ENCODED_LINE = 76  # RFC 2047 2: a line that holds an encoded-word

UNSAFE = re.compile("[\x00-\x08\x0a-\x1f\x7f\u0085\u2028\u2029\ud800-\udfff]")
BLANKS = re.compile("[ \t-\r\x1c-\x1f\u0085\u2028\u2029]+")  # not those that hold words together
ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
Q_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")


class BadHeader(ValueError):
    """A value that must not stand in a header: control characters, or not an address at all."""


def checked(value: str) -> str:
    """Return the value, or raise BadHeader where it could end a line and begin a header."""
    if UNSAFE.search(value):
        raise BadHeader("A line break or control character cannot stand in a header.")
    return value


def one_line(text: str) -> str:
    """Put a text of several lines on one. No-break and ideographic spaces stay what they are."""
    return BLANKS.sub(" ", text).strip(" ")


def unstructured(name: str, text: str) -> str:
    """Text for people, such as a subject: folded to 78 columns, encoded if it is not ASCII.

    Runs of blanks become one, so that no folded line can consist of blanks only.
    """
    text = one_line(checked(text))
    longest = max(map(len, text.split(" ")))
    if _must_be_encoded(text) or longest > LINE - 1:
        return _field(name, _encoded_words(text, first=ENCODED_LINE - len(name) - 2))
    return _field(name, text.split(" "))


def mailbox(name: str, display_name: str, address: str) -> str:
    """One mailbox: a phrase and an address in angle brackets, or the bare address."""
    address = checked_address(address)
    phrase = _phrase(checked(display_name), first=ENCODED_LINE - len(name) - 2)
    return _field(name, [*phrase, f"<{address}>"] if phrase else [address])


def list_id(name: str, phrase: str, identifier: str) -> str:
    """RFC 2919: a name for people and an identifier that stays when the list is renamed."""
    words = _phrase(checked(phrase), first=ENCODED_LINE - len(name) - 2)
    return _field(name, [*words, f"<{checked(identifier)}>"])


def raw(name: str, value: str) -> str:
    """A value that machines read (URI, message id, keyword): never folded, never encoded."""
    if not checked(value).isascii():
        raise BadHeader(f"{name} takes ASCII only.")
    return f"{name}: {value}\r\n"


def uris(*addresses: str) -> str:
    """URIs in angle brackets as a value: each whole, and on a line of its own from the second on.

    RFC 2369: commas part them. None is cut, so that also a reader who does not unfold finds them.
    """
    return ",\r\n ".join(f"<{checked(address)}>" for address in addresses)


def date(at: datetime) -> str:
    """RFC 5322 3.3 with a numeric zone, in UTC."""
    return format_datetime(at.astimezone(UTC).replace(microsecond=0))


def checked_address(address: str) -> str:
    """Return an address that any submission server takes (ASCII, no quoted local part).

    Raises BadHeader for all others; a sign-up has put a domain into ASCII before.
    """
    if not ADDRESS.fullmatch(address):
        raise BadHeader("This is not an address that mail can be sent to.")
    return address


def _must_be_encoded(text: str) -> bool:
    """Also where ASCII would be taken for an encoded-word by a reader."""
    return not text.isascii() or "=?" in text


def _phrase(text: str, *, first: int) -> list[str]:
    text = one_line(text)
    if not text:
        return []
    if _must_be_encoded(text):
        return _encoded_words(text, first=first)
    if ATOMS.fullmatch(text) and max(map(len, text.split(" "))) <= first:
        return text.split(" ")
    quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return [quoted] if len(quoted) <= first else _encoded_words(text, first=first)


def _field(name: str, words: list[str]) -> str:
    """Put as many words on each line as fit; the first always stays beside the name."""
    lines, current = [], f"{name}: {words[0]}"
    for word in words[1:]:
        encoded = "=?" in current or "=?" in word
        if len(current) + 1 + len(word) > (ENCODED_LINE if encoded else LINE):
            lines.append(current)
            current = f" {word}"
        else:
            current += f" {word}"
    return "\r\n".join([*lines, current, ""])


def _encoded_words(text: str, *, first: int) -> list[str]:
    """RFC 2047 words that split no character. `first`: room for the first, beside the name."""
    return list(_cut_words(text, min(first, ENCODED_WORD)))


def _cut_words(text: str, room: int) -> Iterator[str]:
    # Base64 takes 4 for 3 bytes, Q takes 3 for each byte that is not a letter or digit.
    raw_bytes = text.encode()
    letters = sum(byte in Q_SAFE or byte == 0x20 for byte in raw_bytes)
    in_base64 = 3 * (len(raw_bytes) - letters) + letters > len(raw_bytes) * 4 / 3
    encode = _b_word if in_base64 else _q_word
    word, characters = "", ""
    for character in text:
        longer = encode(characters + character)
        if len(longer) > room and characters:
            yield word
            room, characters, longer = ENCODED_WORD, "", encode(character)
        word, characters = longer, characters + character
    yield word


def _b_word(text: str) -> str:
    return f"=?utf-8?b?{base64.b64encode(text.encode()).decode()}?="


def _q_word(text: str) -> str:
    encoded = "".join(
        chr(byte) if byte in Q_SAFE else "_" if byte == 0x20 else f"={byte:02X}"
        for byte in text.encode()
    )
    return f"=?utf-8?q?{encoded}?="
