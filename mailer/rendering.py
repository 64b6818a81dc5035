"""Step 4, how it looks: one message for each cohort. Only `contents.load` asks the database."""

import hashlib
import re
from collections.abc import Sequence

from django.conf import settings

from iria_news import mail
from mailer import contents, layout, messages, wording
from mailer.contents import Facts, Item
from mailer.models import Cohort, Edition
from subscribers.models import Look

LIMIT = 100_000  # bytes of HTML; Gmail cuts near 102 kB, and the unsubscribe link with it
SHORTEN_ABOVE = 80_000  # bytes of HTML; from there on items lose their texts
ROOM_FOR_VALUES = 3_000  # bytes; what the slots of one recipient may add
# What may go where a mail grows too large, and from which size on. The marks never leave.
REMOVABLE = [
    (re.compile(r"<!--text-->.*?<!--/text-->\n?", re.DOTALL), SHORTEN_ABOVE),
    (re.compile(r"<!--contents-->.*?<!--/contents-->\n?", re.DOTALL), LIMIT - ROOM_FOR_VALUES),
    (re.compile(r"<!--small-->.*?<!--/small-->\n?", re.DOTALL), LIMIT - ROOM_FOR_VALUES),
]
MARKS = re.compile(r"<!--/?(?:text|contents|small)-->\n?")


class TooLarge(Exception):
    """Even its headlines alone are above the limit: the edition must carry fewer articles."""


class NoArticles(Exception):
    """A mail without an article or a correction was asked for."""


def render(cohort: Cohort) -> tuple[messages.Compiled, int]:
    """Build the message of a cohort; also say how often premailer ran. Same rows, same bytes.

    Raises TooLarge or NoArticles: the edition cannot leave as it is.
    """
    facts, items = contents.load(cohort.edition_id, cohort.list, cohort.corrections)
    before = mail.inlinings
    mark = mark_for(facts, items)
    body = compose(facts, items, mark=mark, is_text=cohort.is_text)
    head = messages.head(facts, body.subject, mark=mark)
    compiled = (messages.compile_text if cohort.is_text else messages.compile)(
        head, body, mark=mark
    )
    return compiled, mail.inlinings - before


def preview(edition: Edition, articles: int, *, is_text: bool = False) -> mail.Body:
    """What a reader with this list of articles (a sum of bits) would get, with made-up values."""
    facts, items = contents.load(edition.pk, articles)
    mark = mark_for(facts, items)
    topics = sorted({item.section for item in items} - {""})
    sample = {
        "why": messages.why_sentence(
            facts.newsletter_name, facts.on, topics, all_topics=False, language=facts.language
        ),
        "preferences_url": f"{settings.SITE_URL}/preferences/",
        "unsubscribe_url": f"{settings.SITE_URL}/u/",
    }
    return messages.filled(compose(facts, items, mark=mark, is_text=is_text), sample, mark=mark)


def compose(facts: Facts, items: Sequence[Item], *, mark: str, is_text: bool = False) -> mail.Body:
    """Lay out and render the mail, its slots open. Asks nothing: same values, same bytes."""
    if not (items or facts.corrections):
        raise NoArticles(facts.title)
    digest = _arranged(facts, items) if items else None
    is_alert = facts.look == Look.ALERT and len(items) == 1
    context = {
        "facts": facts,
        "frame": facts.frame,
        "lang": facts.frame.language,
        "dir": "ltr",  # both, of all the frames we have
        "digest": digest,
        "article_count": len(items),
        "edition_picture": layout.above_the_introduction(facts.picture),
        "item": digest.lead.item if digest else None,
        "newsletter_wordmark": mail.wordmark(facts.newsletter_name),
        "title": f"{facts.newsletter_name}: {items[0].title}" if is_alert else facts.title,
        "subject_line": facts.subject or _subject(facts, items),
        "preheader": facts.preheader or _preheader(facts, items),
        **messages.placeholders(mark),
    }
    folder = "alert" if is_alert else "digest"
    if is_text:
        return mail.render_text(folder, context)
    body = mail.render_body(folder, context)
    return mail.Body(body.subject, body.text, _shortened(body.html))


def _arranged(facts: Facts, items: Sequence[Item]) -> layout.Digest:
    return layout.arrange(items, by_topic=facts.by_topic, more=facts.frame.more)


def _subject(facts: Facts, items: Sequence[Item]) -> str:
    if items:
        return wording.subject_for(items)
    newest = facts.corrections[0]
    return wording.subject_to_tell(
        newest.title, is_withdrawal=newest.is_withdrawal, language=facts.language
    )


def _preheader(facts: Facts, items: Sequence[Item]) -> str:
    return wording.preheader_for(items) if items else wording.shortened(facts.corrections[0].text)


def _shortened(html: str) -> str:
    """Take texts away, from the end, until the mail is no burden; then more until it can leave.

    What is taken stands on the page of the article and, in full, in the text part.
    """
    for removable, limit in REMOVABLE:
        size = len(html.encode())
        for found in reversed(list(removable.finditer(html))):
            if size <= limit:
                break
            size -= len(found[0].encode())
            html = html[: found.start()] + html[found.end() :]
    html = MARKS.sub("", html)
    size = len(html.encode())
    if size > LIMIT - ROOM_FOR_VALUES:
        raise TooLarge(f"{size:,} bytes of HTML, and {LIMIT - ROOM_FOR_VALUES:,} are the most.")
    return html


def mark_for(facts: Facts, items: Sequence[Item]) -> str:
    """A word for the place-holders that no article can contain, as it is made from them."""
    return hashlib.sha256(repr((facts, items)).encode()).hexdigest()[:20]
