"""A joined message as the object that backends take.

Backends that speak SMTP, write files or hand over raw MIME ask the object for its bytes, and get
those we joined: Django's own serialiser folds a long URI away from its header name, which breaks
one-click unsubscribing in some readers. Backends of HTTP interfaces read the fields instead.
"""

import email
import re
from email.generator import BytesGenerator
from email.message import EmailMessage, Message
from email.policy import Compat32, Policy, default
from io import BytesIO
from typing import Any

from django.core.mail import EmailMultiAlternatives

from iria_news.smtp import END

FIELDS_OF_THE_OBJECT = frozenset({"from", "to", "subject", "mime-version", "content-type"})

_FOLD = re.compile(r"\r?\n(?=[ \t])")


class _AsWritten(Compat32):
    """Header fields leave as they came, with their folds; nothing is encoded anew."""

    def fold(self, name: str, value: str) -> str:
        return self.linesep.join(f"{name}: {value}".splitlines()) + self.linesep

    def fold_binary(self, name: str, value: str) -> bytes:
        return self.fold(name, value).encode("ascii")


AS_WRITTEN = _AsWritten()


class _Mime(Message):
    """Parsed MIME: takes more fields, and gives back the bytes it was parsed from."""

    def as_bytes(
        self,
        unixfrom: bool = False,  # noqa: FBT001, FBT002  # the library's signature
        policy: "Policy[Any] | None" = None,
        *,
        linesep: str = "\n",
    ) -> bytes:
        """As Django's own messages, which backends ask for the line ends they need."""
        file = BytesIO()
        chosen = (policy or AS_WRITTEN).clone(linesep=linesep)
        BytesGenerator(file, mangle_from_=False, policy=chosen).flatten(self, unixfrom=unixfrom)
        return file.getvalue()


class JoinedEmail(EmailMultiAlternatives):
    """An email whose `message()` is the message we joined, byte for byte."""

    def __init__(self, joined: bytes, **fields: Any) -> None:
        super().__init__(**fields)
        self.joined = joined

    def message(self, **_: Any) -> Any:
        """The finished MIME. Whatever is changed in the other fields, it stays as it was joined."""
        return email.message_from_bytes(self.joined, _class=_Mime, policy=AS_WRITTEN)


def as_email(joined: bytes, *, recipient: str, escaped: bool) -> JoinedEmail:
    """Wrap a joined message: same From, To, Subject, other header fields, text and HTML.

    `escaped` as for Session.submit; a final dot is taken off. `from_email` is the From of the
    message; the return path is for the caller to add, as its backend wants it. Raises ValueError,
    LookupError or TypeError for bytes that are no message of ours.
    """
    if escaped and joined.endswith(b"\r\n" + END):
        joined = joined[: -len(END)]
    parsed = email.message_from_bytes(joined, policy=default)
    wrapped = JoinedEmail(
        joined,
        subject=str(parsed["Subject"]),
        body=_text(parsed, "plain"),
        from_email=str(parsed["From"]),
        to=[_to(parsed, recipient)],
        headers=_other_fields(joined),
    )
    wrapped.attach_alternative(_text(parsed, "html"), "text/html")
    return wrapped


def _text(parsed: EmailMessage, kind: str) -> str:
    part = parsed.get_body((kind,))
    if part is None:
        raise ValueError(f"The message has no {kind} part.")
    content: str = part.get_content()
    return content.replace("\r\n", "\n")


def _to(parsed: EmailMessage, recipient: str) -> str:
    """To with the reader's name, if it says where the message goes; it always should (M1)."""
    to = parsed["To"]
    named = [address.addr_spec for address in to.addresses] if to else []
    return str(to) if named == [recipient] else recipient


def _other_fields(joined: bytes) -> dict[str, str]:
    """All fields the object has no place of its own for, on one line each, encoded as they are."""
    fields = email.message_from_bytes(joined.partition(b"\r\n\r\n")[0]).items()
    return {
        name: _FOLD.sub("", value)
        for name, value in fields
        if name.lower() not in FIELDS_OF_THE_OBJECT
    }
