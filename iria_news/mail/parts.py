"""Bodies as bytes on the wire: quoted-printable parts (RFC 2045 6.7) of multipart/alternative.

Quoted-printable also takes the dangers of transport away: no line is longer than 76, none begins
with a dot, and none with "From ", so nothing on the way needs to change a byte of ours.
"""

import binascii
import hashlib
import re

WIDTH = 75  # and a "=" where the line goes on
PLAIN = re.compile(r"[A-Za-z0-9][!-<>-~]*")  # a line that stays as it is


def quoted_printable(text: str) -> bytes:
    """Encode as UTF-8 with lines of at most 76 and CRLF between them; any line break is one."""
    if len(text) <= WIDTH and PLAIN.fullmatch(text):
        return text.encode("ascii")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.encode().split(b"\n")
    return b"\r\n".join([_encoded_line(line) for line in lines])


def _encoded_line(line: bytes) -> bytes:
    # b2a_qp breaks lines as well, but lets one begin with a dot.
    escaped = binascii.b2a_qp(line).replace(b"=\n", b"")
    pieces = []
    while len(escaped) > WIDTH or escaped.startswith((b".", b"From ")):
        if escaped.startswith((b".", b"From ")):
            escaped = b"=%02X" % escaped[0] + escaped[1:]
            continue
        cut = WIDTH
        if b"=" in escaped[cut - 2 : cut]:  # never inside =XX
            cut = escaped.rindex(b"=", cut - 2, cut)
        pieces.append(escaped[:cut])
        escaped = escaped[cut:]
    return b"=\r\n".join([*pieces, escaped])


def boundary(*parts: bytes) -> str:
    """A line that parts the parts: in none of them, as "=_" is no quoted-printable (RFC 2045 6.7).

    Made from what it parts, so that the same values give the same bytes.
    """
    return "=_" + hashlib.sha256(b"\0".join(parts)).hexdigest()[:32]


PLAIN_ALONE = (  # the header fields of a message that is one text/plain part
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n"
)


def content_type(boundary: str) -> str:
    return f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"\r\n'


def alternative(text: bytes, html: bytes, boundary: str) -> bytes:
    """The body of a multipart/alternative from two encoded parts."""
    opening, between, closing = frame(boundary)
    return opening + text + between + html + closing


def frame(boundary: str) -> tuple[bytes, bytes, bytes]:
    """What stands before, between and after the two encoded parts."""
    first, second = (
        f"--{boundary}\r\n"
        f"Content-Type: text/{kind}; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
        for kind in ("plain", "html")
    )
    return first.encode(), f"\r\n{second}".encode(), f"\r\n--{boundary}--\r\n".encode()
