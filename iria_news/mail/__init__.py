"""One message: templates -> premailer -> MIME. Knows no newsletter and no subscriber.

A mail is a folder below templates/email with subject.txt, body.txt and body.html. Text is
rendered without escaping, HTML with it; both engines know the tags of `filters`.
"""

import functools
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import cssutils
import premailer
from django.conf import settings
from django.template import Engine

from iria_news import languages
from iria_news.mail import headers, parts

cssutils.log.setLevel(logging.CRITICAL)  # it warns about every property younger than itself

AUTO_RESPONSE_SUPPRESS = "OOF, AutoReply"  # never DR or NDR, which would silence failure reports

inlinings = 0  # how often premailer ran in this process


@dataclass(frozen=True)
class Body:
    """What a mail says, twice. The HTML has its styles inlined; it is empty in a text-only mail."""

    subject: str
    text: str
    html: str


def render_body(folder: str, context: Mapping[str, object]) -> Body:
    """Render templates/email/<folder>. Same values, same body; one run of premailer."""
    body = render_text(folder, context)
    values = {**_frame(), **context, "subject": body.subject}
    html = _engine(escape=True).render_to_string(f"email/{folder}/body.html", values)
    return replace(body, html=inline(html))


def render_text(folder: str, context: Mapping[str, object]) -> Body:
    """The same mail for who wants no HTML: without it, and without premailer."""
    values = {**_frame(), **context}
    written = _engine(escape=False).render_to_string(f"email/{folder}/subject.txt", values)
    values["subject"] = subject = headers.checked(headers.one_line(written))
    text = _engine(escape=False).render_to_string(f"email/{folder}/body.txt", values)
    return Body(subject, _tidied(text), html="")


def inline(html: str) -> str:
    """Copy the rules of the style sheet into style attributes; many clients drop the sheet.

    Costs 20 to 100 ms: once for each cohort, never for each recipient.
    """
    global inlinings  # noqa: PLW0603  # a count for the operator, no state
    inlinings += 1
    html = re.sub(r"\n\s*\n", "\n", html.strip())
    if not html.startswith("<!DOCTYPE html>"):
        raise ValueError("A mail starts with <!DOCTYPE html>; premailer drops any other spelling.")
    inlined: str = premailer.transform(
        html,
        keep_style_tags=True,  # for clients that read the sheet: phones, dark colours
        strip_important=False,  # or those rules would lose against the inlined ones
        disable_validation=True,
        allow_network=False,
        # As attributes they do harm: width="100%" would overwrite the width of a picture.
        disable_basic_attributes=["width", "height", "valign"],
    )
    return inlined.strip() + "\n"


def service_message(
    *, body: Body, recipient: str, recipient_name: str = "", key: str, at: datetime
) -> bytes:
    """The bytes of a mail that a person asked for. Same arguments, same bytes.

    Raises headers.BadHeader for a name or an address that cannot stand in a header.
    """
    text, html = parts.quoted_printable(body.text), parts.quoted_printable(body.html)
    boundary = parts.boundary(text, html)
    head = [
        headers.mailbox("From", settings.SITE_NAME, settings.MAIL_FROM),
        headers.mailbox("To", recipient_name, recipient),
        headers.unstructured("Subject", body.subject),
        headers.raw("Date", headers.date(at)),
        headers.raw("Message-ID", message_id(key)),
        headers.raw("MIME-Version", "1.0"),
        parts.content_type(boundary),
        headers.raw("Auto-Submitted", "auto-generated"),
        headers.raw("X-Auto-Response-Suppress", AUTO_RESPONSE_SUPPRESS),
        "\r\n",
    ]
    return "".join(head).encode("ascii") + parts.alternative(text, html, boundary)


def message_id(key: str) -> str:
    return f"<{key}@{settings.MAIL_DOMAIN}>"


def return_path(key: str) -> str:
    """The envelope sender (VERP): whatever comes back to it tells which message it is about."""
    return f"bounce+{key}@{settings.BOUNCE_DOMAIN}"


def wordmark(name: str) -> tuple[str, str]:
    """The word of a name that is set in bold accent, if it is that of the site; and the rest."""
    mark = settings.SITE_NAME.partition(" ")[0]
    return (mark, name.removeprefix(mark)) if name.startswith(f"{mark} ") else ("", name)


def _frame() -> dict[str, object]:
    """Whose mail it is, and the language that is spoken unless the mail says otherwise."""
    return {
        "lang": languages.current(),
        "dir": languages.direction(),
        "site_name": settings.SITE_NAME,
        "wordmark": wordmark(settings.SITE_NAME),
        "site_url": settings.SITE_URL,
        "legal_name": settings.LEGAL_NAME,
        "postal_address": settings.POSTAL_ADDRESS,
        "contact_address": settings.CONTACT_ADDRESS,
    }


@functools.cache
def _engine(*, escape: bool) -> Engine:
    """Our own engines: in a text part "&amp;" would be read as it stands."""
    return Engine(
        dirs=[str(settings.BASE_DIR / "templates")],
        autoescape=escape,
        builtins=[
            "iria_news.mail.filters",
            "django.templatetags.i18n",
            "iria_news.frame.templatetags.words",
        ],
    )


def _tidied(text: str) -> str:
    """Tags leave blanks and empty lines behind: at most two empty lines stay together."""
    lines = "\n".join(line.rstrip() for line in text.strip().split("\n"))
    return re.sub(r"\n{4,}", "\n\n\n", lines) + "\n"
