"""Signed identifiers: keys of messages and tokens in links. Knows numbers, not what they number.

Both are lower-case base32 (RFC 4648 without padding), because some mail systems fold the case of
a local part and some people read links aloud. The secret is MESSAGE_KEY_SECRET, and what was
signed with one of MESSAGE_KEY_FALLBACKS is still read: a link in an old mail must work.
"""

import base64
import binascii
import functools
import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings

MESSAGE_MAC_BYTES = 8  # 64 bits; a forger has one try per bounce mail
SHORT_TOKEN_MAC_BYTES = 11  # with the 5 bytes of the number: 128 bits, 26 characters
LONG_TOKEN_MAC_BYTES = 16


class BadKey(Exception):
    """Not one of ours, cut off, or made for another purpose. The reasons are told apart nowhere."""


@dataclass(frozen=True)
class Token:
    number: int
    issued_at: datetime | None


def message_key(tag: int, first: int, second: int) -> str:
    """The key of one message: Message-ID, return path and provider metadata are made from it.

    `tag` says what the two numbers mean (0-255). Without an attempt number, so that every re-send
    of a message carries the same Message-ID. 29 characters.
    """
    content = bytes([tag]) + first.to_bytes(4, "big") + second.to_bytes(5, "big")
    return _text(content + _mac("message", content, settings.MESSAGE_KEY_SECRET, MESSAGE_MAC_BYTES))


def read_message_key(key: str) -> tuple[int, int, int]:
    """Return tag and numbers of a message key, in any case of letters. Raises BadKey."""
    content = _verified("message", _bytes(key, 10 + MESSAGE_MAC_BYTES), MESSAGE_MAC_BYTES)
    return content[0], int.from_bytes(content[1:5], "big"), int.from_bytes(content[5:], "big")


def short_token(purpose: str, number: int) -> str:
    """A token that never runs out, 26 characters: a header line must stay short (RFC 5322)."""
    content = number.to_bytes(5, "big")
    return _text(
        content + _mac(purpose, content, settings.MESSAGE_KEY_SECRET, SHORT_TOKEN_MAC_BYTES)
    )


def read_short_token(purpose: str, token: str) -> int:
    """Return the number in a token made for this very purpose. Raises BadKey."""
    raw = _bytes(token, 5 + SHORT_TOKEN_MAC_BYTES)
    return int.from_bytes(_verified(purpose, raw, SHORT_TOKEN_MAC_BYTES), "big")


def dated_token(purpose: str, number: int, issued_at: datetime) -> str:
    """A token that says when it was issued, so that its reader can call it too old."""
    content = number.to_bytes(5, "big") + int(issued_at.timestamp()).to_bytes(5, "big")
    return _text(
        content + _mac(purpose, content, settings.MESSAGE_KEY_SECRET, LONG_TOKEN_MAC_BYTES)
    )


def read_dated_token(purpose: str, token: str) -> Token:
    """Return number and time of issue (UTC) of a token made for this purpose. Raises BadKey."""
    content = _verified(purpose, _bytes(token, 10 + LONG_TOKEN_MAC_BYTES), LONG_TOKEN_MAC_BYTES)
    issued_at = datetime.fromtimestamp(int.from_bytes(content[5:], "big"), UTC)
    return Token(int.from_bytes(content[:5], "big"), issued_at)


def keyed_hash(purpose: str, text: str) -> str:
    """A one-way mark of a text, useless without our secret: 64 hexadecimal digits.

    Made with the oldest secret we know (the last of MESSAGE_KEY_FALLBACKS): marks of people who
    are gone cannot be made anew, so they must stay comparable when the secret changes.
    """
    oldest = [settings.MESSAGE_KEY_SECRET, *settings.MESSAGE_KEY_FALLBACKS][-1]
    return _mac(purpose, text.encode(), oldest, 32).hex()


def _mac(purpose: str, content: bytes, secret: str, size: int) -> bytes:
    # Keyed BLAKE2b (RFC 7693) and not HMAC: OpenSSL's HMAC lets go of the interpreter lock for
    # each of these few bytes, and beside ten SMTP threads getting it back took 35 us (measured).
    return hashlib.blake2b(content, key=_purpose_key(purpose, secret), digest_size=size).digest()


@functools.cache  # a handful of purposes, asked for with every recipient
def _purpose_key(purpose: str, secret: str) -> bytes:
    return hashlib.sha256(f"iria-news {purpose}\0{secret}".encode()).digest()


def _verified(purpose: str, raw: bytes, mac_bytes: int) -> bytes:
    content, mac = raw[:-mac_bytes], raw[-mac_bytes:]
    for secret in (settings.MESSAGE_KEY_SECRET, *settings.MESSAGE_KEY_FALLBACKS):
        if hmac.compare_digest(mac, _mac(purpose, content, secret, mac_bytes)):
            return content
    raise BadKey


# base64.b32encode is written in Python and takes five times as long; each recipient needs three.
_DIGITS = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]


def _text(raw: bytes) -> str:
    """Base32 in small letters and without padding (RFC 4648 section 6)."""
    length = -(-len(raw) * 8 // 5)
    pairs = (length + 1) // 2
    number = int.from_bytes(raw, "big") << (pairs * 10 - len(raw) * 8)
    shifts = range((pairs - 1) * 10, -1, -10)
    return "".join([_PAIRS[number >> shift & 1023] for shift in shifts])[:length]


def _bytes(text: str, size: int) -> bytes:
    try:
        raw = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError) as error:
        raise BadKey from error
    if len(raw) != size or _text(raw) != text.lower():  # one spelling only
        raise BadKey
    return raw
