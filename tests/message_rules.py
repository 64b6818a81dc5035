"""The rules for each message (M1-M17, M20) that its bytes can decide.

`broken_rules` takes a message as a submission server got it. It shares no code with what builds
messages: it reads with Python's own parser and with lxml.
"""

import binascii
import email
import email.policy
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.errors import MessageDefect
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import getaddresses, parsedate_to_datetime
from functools import cached_property
from urllib.parse import urlsplit

import lxml.html
from django.conf import settings

from iria_news import keys

ONCE = ["From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"]
NEWSLETTER_ONCE = [
    "List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "List-Owner", "List-Post",
    "Precedence", "Feedback-ID",
]  # fmt: skip
AT_MOST_ONCE = [
    *ONCE, *NEWSLETTER_ONCE, "Reply-To", "List-Help", "List-Archive", "Auto-Submitted",
    "X-Auto-Response-Suppress", "Content-Transfer-Encoding", "Cc", "Sender",
]  # fmt: skip
MAY_BE_ENCODED = {"from", "to", "reply-to", "subject", "list-id"}
ENCODED_WORD = re.compile(r"=\?([^?\s]+)\?([bq])\?([^?\s]*)\?=", re.IGNORECASE)
NUMERIC_DATE = re.compile(
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), )?\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}"
)
DOT_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
QP_LINE = re.compile(rb"(?:[\t\x20-\x3c\x3e-\x7e]|=[0-9A-F]{2})*=?")
SLOT = re.compile(r"https://[0-9a-f]{20}\.invalid/|\x00")
TEMPLATE = re.compile(
    r"\{\{\s*(?:facts|digest|entry|item|items|why|subject|title|section|row|preheader|button_url"
    r"|unsubscribe_url|preferences_url|contact_address|legal_name|postal_address)\b"
    r"|\{%\s*(?:if|for|include|block|extends|with|end\w+|rule|dark|filter)\b"
)
TEXT_URL = re.compile(r"https?://[^\s<>\"]+")
FORBIDDEN_TAGS = {"script", "form", "iframe", "object", "embed", "input", "button", "base", "svg"}
WIDEST_PIXEL = 4  # pictures up to this size count readers, they show nothing


@dataclass(frozen=True)
class Field:
    name: str
    lines: list[bytes]

    @cached_property
    def value(self) -> str:
        """Unfolded, as it stands."""
        return b"".join(self.lines).decode("ascii", "replace").partition(":")[2].strip()


class Message:
    """The pieces of a message as they stand on the wire."""

    def __init__(self, raw: bytes, site_url: str) -> None:
        self.raw = raw
        self.site_url = site_url
        self.head, _, self.body = raw.partition(b"\r\n\r\n")
        self.fields = _fields(self.head)
        self.parsed = email.message_from_bytes(raw, policy=email.policy.SMTP)
        self.parts = self.parsed.get_payload() if self.parsed.is_multipart() else []
        # For readers who want no HTML: the message is its text part.
        self.is_text = self.parsed.get_content_type() == "text/plain"
        if self.is_text:
            self.parts = [self.parsed]

    def all(self, name: str) -> list[str]:
        return [field.value for field in self.fields if field.name.lower() == name.lower()]

    def one(self, name: str) -> str:
        return (self.all(name) or [""])[0]

    @cached_property
    def text(self) -> str:
        return _decoded(self.parts, 0)

    @cached_property
    def html(self) -> str:
        return _decoded(self.parts, 1)

    @cached_property
    def tree(self) -> lxml.html.HtmlElement:
        return lxml.html.document_fromstring(self.html or "<html></html>")

    @cached_property
    def html_text(self) -> str:
        return " ".join(self.tree.text_content().split())

    @cached_property
    def one_line_text(self) -> str:
        return " ".join(self.text.split())

    @cached_property
    def links(self) -> list[str]:
        return list(map(str, self.tree.xpath("//a/@href")))

    @cached_property
    def mail_from(self) -> str:
        addresses = getaddresses([self.one("From")])
        return addresses[0][1] if addresses else ""


def broken_rules(
    raw: bytes,
    *,
    newsletter: bool,
    sender: str | None = None,
    recipient: str | None = None,
    now: datetime | None = None,
    site_url: str = "",
) -> list[str]:
    """Return a sentence for each broken rule, beginning with its id; empty: the message is right.

    `sender` and `recipient` are those of the envelope, `now` the time it was handed over; what is
    not given is not checked. `site_url` defaults to the setting; with http:// (a laptop) our own
    links and pictures may be http.
    """
    message = Message(raw, site_url or settings.SITE_URL)
    checks = [_m1, _m2, _m3, _m4, _m7, _m13]
    # Only a newsletter's reader may choose text; then the rules about HTML have no object.
    checks += [_m6_text] if newsletter and message.is_text else [_m6, _m8, _m9, _m20]
    checks += [_m10, _m12, _m14, _m15] if newsletter else [_m16]
    broken = [sentence for check in checks for sentence in check(message)]
    broken += _precedence(message, newsletter=newsletter)
    if recipient is not None and message.parsed["To"] is not None:
        broken += _m1_recipient(message, recipient)
    if now is not None:
        broken += _m1_age(message, now)
    if sender is not None:
        broken += _m17(message, sender)
    return broken


def _m1(message: Message) -> Iterator[str]:
    for name in ONCE:
        if len(message.all(name)) != 1:
            yield f"M1: {name} stands {len(message.all(name))} times."
    for name in AT_MOST_ONCE:
        if name not in ONCE and len(message.all(name)) > 1:
            yield f"M11: {name} stands {len(message.all(name))} times."
    if message.all("Bcc"):
        yield "M1: there is a Bcc."
    for name in ("From", "To"):
        addresses = getaddresses(message.all(name))
        if len(addresses) != 1 or not re.fullmatch(r"[^\s@<>,;]+@[^\s@<>,;]+", addresses[0][1]):
            yield f"M1: {name} is not one mailbox: {message.one(name)}"
    if not NUMERIC_DATE.fullmatch(message.one("Date")):
        yield f"M1: Date has no numeric zone: {message.one('Date')}"


def _m1_recipient(message: Message, recipient: str) -> Iterator[str]:
    simple = [address for _, address in getaddresses(message.all("To"))]
    modern = [address.addr_spec for address in message.parsed["To"].addresses]
    if simple != [recipient] or modern != [recipient]:
        yield f"M1: To names {simple} and {modern}, but RCPT TO is {recipient}."


def _m1_age(message: Message, now: datetime) -> Iterator[str]:
    try:
        age = now - parsedate_to_datetime(message.one("Date"))
    except (ValueError, TypeError):
        return  # already said by M1
    if not timedelta(minutes=-5) <= age <= timedelta(hours=24):
        yield f"M1: Date is {age} old."


def _m2(message: Message) -> Iterator[str]:
    found = re.fullmatch(r"<([a-z2-7]+)@([^@<>\s]+)>", message.one("Message-ID"))
    if not found:
        yield f"M2: Message-ID is not <key@domain>: {message.one('Message-ID')}"
        return
    if found[2] != settings.MAIL_DOMAIN:
        yield f"M2: the domain of Message-ID is {found[2]}, not ours."
    try:
        keys.read_message_key(found[1])
    except keys.BadKey:
        yield f"M2: the key of Message-ID carries no MAC of ours: {found[1]}"


def _m3(message: Message) -> Iterator[str]:
    raw = message.raw
    if b"\0" in raw:
        yield "M3: there is a NUL."
    if len(re.findall(rb"\r(?!\n)|(?<!\r)\n", raw)):
        yield "M3: there is a bare CR or LF."
    if not raw.endswith(b"\r\n"):
        yield "M3: the last line has no end."
    lines = raw.split(b"\r\n")
    if max(map(len, lines)) > 998:
        yield "M3: a line is longer than 998 octets."
    for field in message.fields:
        for number, line in enumerate(field.lines):
            if not line.strip():
                yield f"M3: {field.name} has a folded line of blanks only."
            # The blank behind the colon is no place to fold: some servers drop a name alone.
            content = line.partition(b": ")[2] if number == 0 else line[1:]
            if len(line) > 78 and b" " in content.strip():
                yield f"M3: a line of {field.name} has {len(line)} octets and could be folded."
    for line in message.body.split(b"\r\n"):
        if line.startswith(b"."):
            yield "M3: a body line starts with a dot, which servers may eat."
            break


def _m4(message: Message) -> Iterator[str]:
    if not message.head.isascii():
        yield "M4: a header has octets that are not ASCII."
    for field in message.fields:
        words = list(ENCODED_WORD.finditer(field.value))
        if not words:
            continue
        if field.name.lower() not in MAY_BE_ENCODED:
            yield f"M4: {field.name} has an encoded-word."
        if re.search(r'"[^"]*=\?[^"]*"|<[^>]*=\?[^>]*>', field.value):
            yield f"M4: {field.name} has an encoded-word in quotes or angle brackets."
        if any(b"=?" in line and len(line) > 76 for line in field.lines):
            yield f"M4: a line of {field.name} with an encoded-word is longer than 76."
        for word in words:
            yield from _encoded_word(field, word)


def _encoded_word(field: Field, word: re.Match[str]) -> Iterator[str]:
    charset, encoding, text = word.groups()
    if len(word[0]) > 75:
        yield f"M4: an encoded-word of {field.name} is longer than 75."
    in_phrase = field.name.lower() != "subject"
    if in_phrase and encoding in "qQ" and not re.fullmatch(r"[A-Za-z0-9!*+/=_-]*", text):
        yield f"M4: an encoded-word of a phrase in {field.name} has a sign it may not have."
    try:
        if encoding in "bB":
            binascii.a2b_base64(text, strict_mode=True).decode(charset)
        else:
            quopri.decodestring(text.encode(), header=True).decode(charset)
    except (ValueError, LookupError):
        yield f"M4: an encoded-word of {field.name} splits a character or cannot be read."


def _m6(message: Message) -> Iterator[str]:
    parsed = message.parsed
    if parsed.get_content_type() != "multipart/alternative":
        yield f"M6: the message is {parsed.get_content_type()}."
        return
    kinds = [part.get_content_type() for part in message.parts]
    if kinds != ["text/plain", "text/html"]:
        yield f"M6: the parts are {kinds}."
    if message.one("Content-Transfer-Encoding").lower() not in {"", "7bit"}:
        yield "M6: the multipart itself is encoded."
    boundary = parsed.get_boundary() or ""
    if not 1 <= len(boundary) <= 70:
        yield f"M6: the boundary has {len(boundary)} characters."
    pieces = re.split(
        rb"(?:^|\r\n)--" + re.escape(boundary.encode()) + rb"(?:--)?[ \t]*\r\n", message.body
    )
    if len(pieces) != len(message.parts) + 2 or pieces[-1].strip() or pieces[0].strip():
        yield "M6: the boundary is in a part, or something stands outside the parts."
    for part, piece in zip(message.parts, pieces[1:-1], strict=False):
        yield from _m6_part(part, piece.partition(b"\r\n\r\n")[2])
    defects = [*parsed.defects, *(defect for part in message.parts for defect in part.defects)]
    if defects:
        yield f"M6: the parser complains: {[_name(defect) for defect in defects]}"


def _m6_text(message: Message) -> Iterator[str]:
    yield from _m6_part(message.parsed, message.body)
    if message.parsed.defects:
        yield f"M6: the parser complains: {[_name(defect) for defect in message.parsed.defects]}"
    for link in TEXT_URL.findall(message.text):
        if not link.startswith(f"{message.site_url}/"):
            yield f"M20: a link leads elsewhere: {link}"


def _m6_part(part: EmailMessage, content: bytes) -> Iterator[str]:
    kind = part.get_content_type()
    if (part.get_content_charset() or "").lower() != "utf-8":
        yield f"M6: {kind} is not utf-8."
    encoding = str(part.get("Content-Transfer-Encoding", "7bit")).lower()
    if encoding not in {"quoted-printable", "base64"}:
        yield f"M6: {kind} is {encoding}."
    lines = content.split(b"\r\n")
    if max(map(len, lines)) > 76:
        yield f"M6: {kind} has an encoded line longer than 76."
    if encoding == "quoted-printable":
        if any(not QP_LINE.fullmatch(line) for line in lines):
            yield f"M6: {kind} has something that is no quoted-printable."
        if any(line.endswith((b" ", b"\t")) for line in lines):
            yield f"M6: {kind} has a blank at a line end."
        if any(line.startswith(b"From ") for line in lines):
            yield f'M6: {kind} has a line that starts with "From ", which some stores change.'
    try:
        (part.get_payload(decode=True) or b"").decode("utf-8")
    except UnicodeDecodeError:
        yield f"M6: {kind} does not decode as utf-8."


def _m7(message: Message) -> Iterator[str]:
    if SLOT.search(message.head.decode("latin-1")):
        yield "M7: a slot is open in the headers."
    for part, content in [("text", message.text), ("HTML", message.html)]:
        if SLOT.search(content):
            yield f"M7: a slot is open in the {part}."
        if found := TEMPLATE.search(content):
            yield f"M7: template code in the {part}: {found[0]}"


def _m8(message: Message) -> Iterator[str]:
    in_html = [link for link in dict.fromkeys(message.links) if not link.startswith("mailto:")]
    in_text = list(dict.fromkeys(TEXT_URL.findall(message.text)))
    if in_html != in_text:
        only_html = [link for link in in_html if link not in in_text]
        only_text = [link for link in in_text if link not in in_html]
        yield (
            "M8: the parts lead to different places, or in another order; "
            f"only HTML: {only_html}, only text: {only_text}"
        )
    text, position = _without_blanks(message.text), 0
    for link in message.tree.xpath("//h1/a|//h2/a|//h3/a"):
        end = text.find(str(link.get("href")), position)
        if end < 0 or _without_blanks(link.text_content()) not in text[position:end]:
            yield f"M8: the text part lacks an article here: {link.text_content()}"
        position = max(position, end)


def _m9(message: Message) -> Iterator[str]:
    size = len(message.html.encode())
    if size > 100_000:
        yield f"M9: the HTML has {size} bytes."
    if not message.html.startswith("<!DOCTYPE html>"):
        yield "M9: the HTML does not begin with <!DOCTYPE html>."
    root = message.tree
    if not root.get("lang") or root.get("dir") not in {"ltr", "rtl"}:
        yield "M9: the root of the HTML has no lang or no dir."
    for element in root.iter(lxml.etree.Element):
        if element.tag in FORBIDDEN_TAGS:
            yield f"M9: there is a {element.tag}."
        if element.tag == "link":
            yield "M9: there is an external style sheet."
        if element.tag == "img" and element.get("alt") is None:
            yield f"M9: a picture has no alt: {element.get('src')}"
        for name in element.keys():  # noqa: SIM118  # an element iterates over its children
            if name.lower().startswith("on"):
                yield f"M9: there is an event attribute: {name}"
    if "@import" in message.html:
        yield "M9: a style sheet imports another."


def _m10(message: Message) -> Iterator[str]:
    value = message.one("List-Unsubscribe")
    uris = [part.strip() for part in value.split(",")]
    own = re.escape(message.site_url)
    if len(message.all("List-Unsubscribe")) != 1 or not re.fullmatch(
        rf"<{own}/u/[a-z2-7]{{26}}>", uris[0]
    ):
        yield f"M10: List-Unsubscribe is not our one-click address, once: {value}"
    token = uris[0].rpartition("/")[2].strip(">")
    address = re.escape(f"unsubscribe+{token}@{settings.BOUNCE_DOMAIN}")
    if len(uris) > 2 or any(not re.fullmatch(rf"<mailto:{address}>", uri) for uri in uris[1:]):
        yield f"M10: after the web address only mailto with the same token may follow: {value}"
    if message.all("List-Unsubscribe-Post") != ["List-Unsubscribe=One-Click"]:
        yield "M10: List-Unsubscribe-Post is not List-Unsubscribe=One-Click, once."
    for field in message.fields:
        whole = [f"{field.name}: {uris[0]}", *uris[1:]] if field.name == "List-Unsubscribe" else []
        if whole and [line.decode().strip(" ,") for line in field.lines] != whole:
            yield "M5: List-Unsubscribe is folded elsewhere than between its addresses."
        if field.name == "List-Unsubscribe-Post" and len(field.lines) > 1:
            yield "M5: List-Unsubscribe-Post is folded."


def _m12(message: Message) -> Iterator[str]:
    found = re.fullmatch(r"(?:.*\S )?<([^<>]+)>", message.one("List-Id"))
    identifier = found[1] if found else ""
    if len(message.all("List-Id")) != 1 or not DOT_ATOM.fullmatch(identifier):
        yield f"M12: List-Id is not Name <id>, once: {message.one('List-Id')}"
    elif not identifier.endswith(f".{settings.MAIL_DOMAIN}") or len(identifier) > 255:
        yield f"M12: the id of List-Id is not below our domain: {identifier}"
    for name in ("List-Help", "List-Owner", "List-Archive"):
        for value in message.all(name):
            if not re.fullmatch(r"<(?:https?://|mailto:)[^<>\s]+>", value):
                yield f"M12: {name} is no URI in angle brackets: {value}"
    if message.all("List-Post") != ["NO"]:
        yield "M12: List-Post is not NO, once."


def _precedence(message: Message, *, newsletter: bool) -> Iterator[str]:
    if newsletter and message.all("Precedence") != ["bulk"]:
        yield "M13: Precedence is not bulk, once."
    if not newsletter and message.one("Auto-Submitted") not in {"auto-generated", "auto-replied"}:
        yield f"M13: Auto-Submitted of a service mail is {message.one('Auto-Submitted')!r}."


def _m13(message: Message) -> Iterator[str]:
    values = message.all("X-Auto-Response-Suppress")
    if values != ["OOF, AutoReply"]:
        yield f"M13: X-Auto-Response-Suppress is {values}."


def _m14(message: Message) -> Iterator[str]:
    parts = message.one("Feedback-ID").split(":")
    if len(parts) != 4 or not 5 <= len(parts[3].strip()) <= 15 or not all(parts):
        yield f"M14: Feedback-ID has not four parts, the last of 5 to 15: {parts}"
    if "@" in message.one("Feedback-ID"):
        yield "M14: Feedback-ID names an address."


def _m15(message: Message) -> Iterator[str]:
    address = message.one("List-Unsubscribe").strip("<>").partition(">")[0]
    in_html = message.is_text or address in message.links
    if not address or not in_html or address not in message.text:
        yield "M15: the unsubscribe link of the header is not in both parts."
    wanted = {
        "the reason": r"You confirmed .+ on \d{1,2} [A-Z][a-z]+ \d{4}"
        r"|Sie haben .+ am \d{1,2}\. [A-Z][a-zä]+ \d{4} bestätigt",
        "the legal name": re.escape(settings.LEGAL_NAME),
        "the postal address": re.escape(settings.POSTAL_ADDRESS),
        "the contact": re.escape(settings.CONTACT_ADDRESS),
    }
    written = {"text": message.one_line_text, "HTML": message.html_text}
    if message.is_text:
        del written["HTML"]
    for part, content in written.items():
        for what, pattern in wanted.items():
            if not re.search(pattern, content):
                yield f"M15: {what} is missing in the {part}."


def _m16(message: Message) -> Iterator[str]:
    if message.tree.xpath("//img"):
        yield "M16: a service mail has a picture."
    asks = any(path in link for link in message.links for path in ("/confirm/", "/address/"))
    if asks and any("/articles/" in link for link in message.links):
        yield "M16: a confirmation has an article."
    names = {field.name.lower() for field in message.fields}
    if names & {"list-unsubscribe", "list-id", "precedence"}:
        yield "M16: a service mail has headers of a newsletter."
    if any("/confirm/" in link for link in message.links):
        for part, content in (("text", message.one_line_text), ("HTML", message.html_text)):
            if not re.search(r"\d{1,2}\.? [A-Z][a-zä]+ \d{4}", content):
                yield f"M16: the {part} of a confirmation does not say until when."


def _m17(message: Message, sender: str) -> Iterator[str]:
    found = re.fullmatch(r"bounce\+([a-z2-7]+)@([a-z0-9.-]+)", sender)
    if not found:
        yield f"M17: the envelope sender is not bounce+key@domain: {sender}"
        return
    if len(sender.partition("@")[0]) > 64 or len(sender) > 254:
        yield "M17: the envelope sender is too long."
    if message.one("Message-ID").strip("<>").partition("@")[0] != found[1]:
        yield "M17: the envelope sender has another key than Message-ID."
    if _organisation(found[2]) != _organisation(message.mail_from.rpartition("@")[2]):
        yield f"M17: the domain of {sender} is not of the organisation of From."


def _m20(message: Message) -> Iterator[str]:
    for picture in message.tree.xpath("//img"):
        source = picture.get("src") or ""
        parts = urlsplit(source)
        known = parts.scheme == "https" and parts.hostname in settings.IMAGE_HOSTS
        if not source.startswith(f"{message.site_url}/") and not known:
            yield f"M20: a picture from elsewhere: {source}"
        sizes = [picture.get("width"), picture.get("height")]
        if any(not size or not size.isdigit() or int(size) <= WIDEST_PIXEL for size in sizes):
            yield f"M20: a picture without size, or a pixel: {source}"
    if re.search(r"url\(|background=", message.html):
        yield "M20: a style loads a picture."
    for link in message.links:
        if not link.startswith((f"{message.site_url}/", "mailto:")):
            yield f"M20: a link leads elsewhere: {link}"


def _fields(head: bytes) -> list[Field]:
    fields: list[Field] = []
    for line in head.split(b"\r\n"):
        if line[:1] in {b" ", b"\t"} and fields:
            fields[-1].lines.append(line)
        else:
            fields.append(Field(line.partition(b":")[0].decode("ascii", "replace"), [line]))
    return fields


def _decoded(parts: list[EmailMessage], number: int) -> str:
    if len(parts) <= number:
        return ""
    content = parts[number].get_payload(decode=True) or b""
    return content.decode("utf-8", "replace").replace("\r\n", "\n")


def _without_blanks(text: str) -> str:
    """Lines of a text part may be broken inside a Japanese title, where no blank stands."""
    return "".join(text.split())


def _organisation(domain: str) -> str:
    """Near enough: the last two labels."""
    return ".".join(domain.lower().split(".")[-2:])


def _name(defect: MessageDefect) -> str:
    return type(defect).__name__


def subject(raw: bytes) -> str:
    """The subject as a reader sees it."""
    head = email.message_from_bytes(raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    return str(make_header(decode_header(re.sub(r"\r?\n", "", str(head["Subject"])))))
