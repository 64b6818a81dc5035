"""What may stand in a command and in a message on the wire."""

import re

END = b".\r\n"  # the final dot; a message without it is delivered by no server (RFC 5321 4.1.1.4)
ADDRESS_LIMIT = 254  # bytes: a path has 256 with its brackets (RFC 5321 4.5.3.1.3)

_IS_XTEXT = re.compile(r"[!-*,-<>-~]+").fullmatch  # all of ASCII that shows, but "+" and "="
_UNSAFE = re.compile(r"[\s<>\x00-\x1f\x7f\u2028\u2029]")


def xtext(value: str) -> str:
    """Encode a parameter value as RFC 3461 section 4 asks."""
    if _IS_XTEXT(value):
        return value
    return "".join(char if _IS_XTEXT(char) else f"+{ord(char):02X}" for char in value)


def escape_dots(message: bytes) -> bytes:
    """Double the dot of every line that starts with one (RFC 5321 section 4.5.2)."""
    escaped = message.replace(b"\r\n.", b"\r\n..")
    return b"." + escaped if escaped.startswith(b".") else escaped


def ended(message: bytes, *, escaped: bool) -> bytes:
    """The message as it goes over the wire, with its final dot.

    `escaped` says that no line starts with a dot; a last line that is one is then the final dot,
    and the message is returned as it is, uncopied.
    """
    if escaped and message.endswith(b"\r\n.\r\n"):
        return message
    body = message if escaped else escape_dots(message)
    return body + END if body.endswith(b"\r\n") else body + b"\r\n" + END


def is_safe(address: str) -> bool:
    """Whether the address can stand between angle brackets without ending the command."""
    if "@" not in address:
        return False
    if address.isascii():  # nearly all are, and this takes a third of the time
        return (
            len(address) <= ADDRESS_LIMIT
            and address.isprintable()
            and not (" " in address or "<" in address or ">" in address)
        )
    return len(address.encode()) <= ADDRESS_LIMIT and _UNSAFE.search(address) is None
