"""Step 4c, what a reader would get, before anybody gets it: the bytes of a mail, taken apart.

The message is rendered, compiled and joined as for a recipient, who is nobody: the links in it
open and change nothing (`links.NOBODY`).
"""

import email
import email.policy
import re
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from iria_news import keys, mail
from iria_news.mail import headers
from mailer import contents, messages, rendering
from mailer.models import Cohort, Edition
from subscribers import links

TEST_MAIL = 4  # the tag of message keys that number an edition and a second
TEST = "[Test]"  # before the subject
SUBJECT = re.compile(rb"^Subject:.*\r\n(?:[ \t].*\r\n)*", re.MULTILINE)


@dataclass(frozen=True)
class Preview:
    """A mail as its recipient's program sees it. The HTML is empty in a text-only mail."""

    message: bytes
    subject: str
    text: str
    html: str

    @property
    def html_bytes(self) -> int:
        return len(self.html.encode())


def cohort_of(
    edition: Edition, *, articles: int, corrections: int = 0, is_text: bool = False
) -> Cohort:
    """The readers who get these articles and corrections (sums of bits).

    That of the frozen edition if there is one, with its message; else one that is in no table.
    """
    found = edition.cohorts.filter(list=articles, corrections=corrections, is_text=is_text).first()
    return found or Cohort(
        edition=edition,
        language=edition.newsletter.language,
        list=articles,
        corrections=corrections,
        is_text=is_text,
    )


def of(cohort: Cohort, *, at: datetime | None = None) -> Preview:
    """The mail of a cohort for a reader who is nobody.

    Raises what `rendering.render` raises, where the edition cannot leave as it is.
    """
    address = f"reader@{settings.MAIL_DOMAIN}"
    return _taken_apart(_joined(cohort, address, at=at or timezone.now()))


def test_message(cohort: Cohort, *, address: str, at: datetime) -> tuple[bytes, str]:
    """The same mail for an address of ours to look at, and its key. Raises headers.BadHeader too.

    It differs in its mark before the subject, and in a Message-ID that no reader's mail has.
    """
    message = _joined(cohort, address, at=at)
    subject = _taken_apart(message).subject
    marked = headers.unstructured("Subject", f"{TEST} {subject}").encode("ascii")
    key = _test_key(cohort.edition_id, at)
    return SUBJECT.sub(lambda _found: marked, message, count=1), key


def _joined(cohort: Cohort, address: str, *, at: datetime) -> bytes:
    if cohort.message is None:
        compiled, _ = rendering.render(cohort)
    else:
        compiled = messages.Compiled.from_bytes(cohort.message)
    nobody = messages.Recipient(
        subscriber_id=links.NOBODY,
        subscription_id=links.NOBODY,
        address=address,
        why=_why(cohort),
    )
    values = messages.values(nobody, edition_id=cohort.edition_id, at=at)
    values["message_id"] = mail.message_id(_test_key(cohort.edition_id, at)).encode("ascii")
    return messages.join(compiled, values)


def _test_key(edition_id: int, at: datetime) -> str:
    return keys.message_key(TEST_MAIL, edition_id, int(at.timestamp()))


def _why(cohort: Cohort) -> str:
    """The reason given to a reader who follows just the topics of these articles since the slot."""
    facts, items = contents.load(cohort.edition_id, cohort.list)
    topics = sorted({item.section for item in items} - {""})
    return messages.why_sentence(
        facts.newsletter_name, facts.on, topics, all_topics=False, language=facts.language
    )


def _taken_apart(message: bytes) -> Preview:
    parsed = email.message_from_bytes(message, policy=email.policy.default)
    bodies = {part.get_content_type(): part for part in parsed.walk() if not part.is_multipart()}
    text, html = (
        bodies[kind].get_content() if kind in bodies else "" for kind in ("text/plain", "text/html")
    )
    return Preview(message, str(parsed["Subject"]), text, html)
