"""The compiled message: built once for a cohort, joined for each recipient. Makes no query.

A message is bytes with slots. What stands between them was encoded once; the value of a slot is
encoded alone and stands between soft line breaks, so joining is one concatenation (RFC 2045 6.7).
"""

import functools
import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from django.conf import settings
from django.urls import reverse

from iria_news import keys, mail
from iria_news.mail import columns, headers, parts
from mailer import frame_words
from mailer.contents import Facts
from subscribers import links

KEY_TAG = 1  # of message keys that number an edition and a subscriber
SENDER_ID = "irianews"  # last part of Feedback-ID: what Gmail counts complaints by

IN_HEADERS = frozenset({"to", "date", "message_id", "list_unsubscribe"})
IN_PARTS = frozenset({"why", "preferences_url", "unsubscribe_url"})
SOFT_BREAK = b"=\r\n"


class UnknownSlot(Exception):
    """A template asks for a value that no recipient has. Nothing with it may leave."""


class MissingSlot(Exception):
    """A message without this slot would break a rule: no way to leave, or no reason given."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """What differs from one message of a cohort to the next."""

    subscriber_id: int
    subscription_id: int
    address: str
    why: str  # from `why_sentence`
    name: str = ""


class Compiled:
    """A message whose slots are still open."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        """`pieces` are bytes and names of slots in turn, beginning and ending with bytes."""
        self.pieces = list(pieces)
        self.slots = [name.decode() for name in self.pieces[1::2]]

    def to_bytes(self) -> bytes:
        return b"\0".join(self.pieces)  # no message of ours holds a NUL (M3)

    @classmethod
    def from_bytes(cls, stored: bytes | memoryview) -> "Compiled":
        return cls(bytes(stored).split(b"\0"))


def slot(mark: str, name: str) -> str:
    """The place-holder of a slot. Shaped as a URL, because premailer mangles other shapes."""
    return f"https://{mark}.invalid/{name}/"


def placeholders(mark: str) -> dict[str, str]:
    """The slots a template may use. `mark` must be in nothing that anybody wrote: use a hash."""
    return {name: slot(mark, name) for name in sorted(IN_PARTS)}


def compile(head: str, body: mail.Body, *, mark: str) -> Compiled:  # noqa: A001  # the word for it
    """Encode a rendered message once, leaving its slots open. Same values, same bytes.

    Raises UnknownSlot for a slot nobody fills, MissingSlot where one that must be there is not.
    """
    in_text = _encoded_part("text", body.text, mark)
    in_html = _encoded_part("html", body.html, mark)
    boundary = parts.boundary(*in_text, *in_html)
    header = _header(head + parts.content_type(boundary), mark)
    opening, between, closing = parts.frame(boundary)
    return Compiled(_chained(header, [opening], in_text, [between], in_html, [closing]))


def compile_text(head: str, body: mail.Body, *, mark: str) -> Compiled:
    """The same as one text/plain part, for readers who want no HTML. Raises as `compile`."""
    in_text = _encoded_part("text", body.text, mark)
    return Compiled(_chained(_header(head + parts.PLAIN_ALONE, mark), in_text))


def join(compiled: Compiled, values: Mapping[str, bytes]) -> bytes:
    """The whole message for one recipient: complete, with CRLF, no line beginning with a dot."""
    pieces = compiled.pieces.copy()
    pieces[1::2] = [values[name] for name in compiled.slots]
    return b"".join(pieces)


def values(recipient: Recipient, *, edition_id: int, at: datetime) -> dict[str, bytes]:
    """The encoded values of all slots. `at` is now: the Date, and the age of the links.

    The key, and with it the Message-ID, is the same at every try. Raises headers.BadHeader for an
    address or a name that cannot stand in a header: this row fails alone.
    """
    unsubscribe_url = links.unsubscribe_url(recipient.subscription_id)
    preferences_url = links.preferences_url(recipient.subscriber_id, at)
    why_text, why_html = _encoded_why(recipient.why)
    return {
        "to": headers.mailbox("To", recipient.name, recipient.address).encode("ascii"),
        "date": _encoded_date(int(at.timestamp())),
        "message_id": mail.message_id(key(edition_id, recipient.subscriber_id)).encode("ascii"),
        # The web address first, and the only one: that is what one-click goes by (RFC 8058).
        "list_unsubscribe": headers.uris(
            unsubscribe_url, f"mailto:{links.unsubscribe_address(recipient.subscription_id)}"
        ).encode("ascii"),
        "text.why": why_text,
        "html.why": why_html,
        **_encoded_url("unsubscribe_url", unsubscribe_url),
        **_encoded_url("preferences_url", preferences_url),
    }


def filled(body: mail.Body, values: Mapping[str, str], *, mark: str) -> mail.Body:
    """A rendered message with its slots filled, as text: what `join` gives, before encoding."""
    text, in_html = body.text, body.html
    for name, value in values.items():
        text = text.replace(slot(mark, name), columns.wrap(value))
        in_html = in_html.replace(slot(mark, name), html.escape(value))
    return mail.Body(body.subject, text, in_html)


@functools.lru_cache(maxsize=256)  # asked for by the envelope and by the header of one message
def key(edition_id: int, subscriber_id: int) -> str:
    """The key of one delivery: of its Message-ID and its return path."""
    return keys.message_key(KEY_TAG, edition_id, subscriber_id)


def head(facts: Facts, subject: str, *, mark: str) -> str:
    """The header fields of a newsletter message, with open slots; all but Content-Type."""
    feedback = f"{facts.newsletter_slug}:{facts.edition_slug}:{facts.look}:{SENDER_ID}"
    archive = f"<{settings.SITE_URL}{reverse('editions')}>"
    fields = [
        headers.mailbox("From", settings.SITE_NAME, settings.MAIL_FROM),
        slot(mark, "to"),
        headers.unstructured("Subject", subject),
        headers.raw("Date", slot(mark, "date")),
        headers.raw("Message-ID", slot(mark, "message_id")),
        headers.raw("List-Unsubscribe", slot(mark, "list_unsubscribe")),
        headers.raw("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        headers.list_id("List-Id", facts.newsletter_name, list_id(facts.newsletter_slug)),
        *([] if facts.is_private else [headers.raw("List-Archive", archive)]),
        headers.raw("List-Owner", f"<mailto:{settings.CONTACT_ADDRESS}>"),
        headers.raw("List-Post", "NO"),
        headers.raw("Precedence", "bulk"),
        headers.raw("Feedback-ID", feedback),
        headers.raw("X-Auto-Response-Suppress", mail.AUTO_RESPONSE_SUPPRESS),
        headers.raw("MIME-Version", "1.0"),
    ]
    return "".join(fields)


def list_id(newsletter_slug: str) -> str:
    """What readers' filters know a newsletter by (RFC 2919); kept when it is renamed."""
    return f"{newsletter_slug}.{settings.MAIL_DOMAIN}"


def why_sentence(
    newsletter_name: str,
    confirmed_on: date,
    topics: Sequence[str],
    *,
    all_topics: bool,
    language: str = frame_words.ENGLISH,
) -> str:
    """Why this mail came, in the language of the newsletter."""
    words = frame_words.frame(language)
    return frame_words.why_sentence(
        words, newsletter_name, confirmed_on, topics, all_topics=all_topics
    )


def _pieces(content: str, mark: str, slots: frozenset[str]) -> list[str]:
    """Cut at the place-holders: what was written and names of slots in turn."""
    pieces = re.split(re.escape(f"https://{mark}.invalid/") + "([a-z_]+)/", content)
    if unknown := set(pieces[1::2]) - slots:
        raise UnknownSlot(", ".join(sorted(unknown)))
    if missing := slots - set(pieces[1::2]):
        raise MissingSlot(", ".join(sorted(missing)))
    return pieces


def _header(fields: str, mark: str) -> list[bytes]:
    return [piece.encode("ascii") for piece in _pieces(fields + "\r\n", mark, IN_HEADERS)]


def _encoded_part(kind: str, content: str, mark: str) -> list[bytes]:
    """Encode what was written; the value of a slot will stand on lines of its own."""
    written = _pieces(content, mark, IN_PARTS)
    last = len(written) - 1
    encoded = []
    for place, piece in enumerate(written):
        if place % 2:
            encoded.append(f"{kind}.{piece}".encode("ascii"))
            continue
        before = b"" if place == 0 or piece.startswith("\n") else SOFT_BREAK
        after = b"" if place == last or piece.endswith("\n") else SOFT_BREAK
        encoded.append(before + parts.quoted_printable(piece) + after)
    return encoded


def _chained(*runs: list[bytes]) -> list[bytes]:
    """Put runs of pieces behind each other: the last bytes of one and the first of the next."""
    chain = [b""]
    for first, *rest in runs:
        chain[-1] += first
        chain += rest
    return chain


def _encoded_url(name: str, url: str) -> dict[str, bytes]:
    encoded = parts.quoted_printable(url)
    escaped = html.escape(url)
    in_html = encoded if escaped == url else parts.quoted_printable(escaped)
    return {f"text.{name}": encoded, f"html.{name}": in_html}


@functools.lru_cache(maxsize=10_000)  # readers who confirmed on one day, with the same topics
def _encoded_why(why: str) -> tuple[bytes, bytes]:
    return (
        parts.quoted_printable(columns.wrap(why)),
        parts.quoted_printable(html.escape(why)),
    )


@functools.lru_cache(maxsize=16)  # the same second again and again
def _encoded_date(timestamp: int) -> bytes:
    return headers.date(datetime.fromtimestamp(timestamp, UTC)).encode("ascii")
