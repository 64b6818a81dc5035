"""What became of one submission, and in which words the server said so."""

import enum
import re
from typing import NamedTuple

TEXT_LIMIT = 300  # characters of a server's words that are kept
LOOKED_AT = 2_000
USUAL = frozenset({"2.0.0", "2.6.0"})  # after nearly every dot; the pattern is for the others

_ADDRESS = re.compile(r"""(?:"[^"]{0,64}"|[^\s<>"]{1,300})@[^\s<>]*""")
_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")


class Kind(enum.Enum):
    ACCEPTED = "accepted"  # 250 after the final dot: the server is responsible now
    REFUSED = "refused"  # 5xx: this message to this recipient will never be taken
    DEFERRED = "deferred"  # 4xx: not now
    NOT_SENT = "not sent"  # the connection ended before the final dot left us
    IN_DOUBT = "in doubt"  # the final dot was (perhaps) sent and no reply came (RFC 1047)


class Result(NamedTuple):
    """What became of one submission, and in which words the server said so."""

    kind: Kind
    stage: str = ""  # "address", "mail", "rcpt", "data" or "dot"; a backend: "auth" too
    code: int = 0  # reply code, RFC 5321; 0 without a reply
    enhanced: str = ""  # enhanced status, RFC 3463, as in "5.1.1"
    text: str = ""
    messages_before: int = 0  # that the line had carried: 421 at the first is no limit reached


class ServerUnavailable(Exception):
    """No session could be opened. Nothing was sent, and no recipient is to blame."""

    def __init__(self, stage: str, code: int = 0, text: str = "") -> None:
        super().__init__(f"{stage}: {code or ''} {text}".strip())
        self.stage = stage  # "connect", "tls", "ehlo" or "auth"
        self.code = code
        self.text = text


def of_reply(stage: str, code: int, text: bytes | str, messages_before: int = 0) -> Result:
    """What a reply at this stage says (RFC 5321 section 4.2.1). Only after the dot 2yz is a yes."""
    words = readable(text)
    if stage == "dot" and 200 <= code < 300:
        kind = Kind.ACCEPTED
    else:
        kind = Kind.REFUSED if 500 <= code < 600 else Kind.DEFERRED
    return Result(kind, stage, code, _enhanced(words), words, messages_before)


def readable(text: bytes | str) -> str:
    """A server's words on one line, at most 300 characters of them."""
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    if not words.isprintable():  # a NUL is taken by no database
        words = "".join(char if char.isprintable() else " " for char in words)
    words = " ".join(words[:LOOKED_AT].split())
    if len(words) > TEXT_LIMIT:  # at a blank, so that no half of an address is left
        words = words[:TEXT_LIMIT].rpartition(" ")[0] or words[:TEXT_LIMIT]
    return words


def without_addresses(words: str) -> str:
    """A server's words without the addresses they quote: what is kept and shown holds none."""
    return _ADDRESS.sub("(address)", words) if "@" in words else words


def _enhanced(words: str) -> str:
    """The enhanced status that a reply begins with, or nothing (RFC 3463 section 2)."""
    first = words.partition(" ")[0]
    return first if first in USUAL or _STATUS.fullmatch(first) else ""
