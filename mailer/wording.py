"""How dates, minutes and short phrases are said in the language of an article."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from django.utils import dateformat, translation

from mailer import frame_words

PREHEADER = 130  # characters; no list of mails shows more
ARABIC_DIGITS = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


class Headline(Protocol):
    """An article as far as its subject line is concerned."""

    @property
    def title(self) -> str: ...
    @property
    def standfirst(self) -> str: ...
    @property
    def language(self) -> str: ...


def _arabic_minutes(minutes: int) -> str:
    if minutes <= 2:
        return ["أقل من دقيقة", "دقيقة واحدة", "دقيقتان"][minutes]
    noun = "دقائق" if minutes <= 10 else "دقيقة"
    return f"{minutes}\N{NO-BREAK SPACE}{noun}".translate(ARABIC_DIGITS)


def _english_more(title: str, others: int) -> str:
    return f"{title} And {others} more" if _is_closed(title) else f"{title}, and {others} more"


def _french_more(title: str, others: int) -> str:
    more = f"{others} autre{'s' if others > 1 else ''}"
    return f"{title} Et {more}" if _is_closed(title) else f"{title}, et {more}"


def _is_closed(title: str) -> bool:
    """After a question mark no comma can follow."""
    return title.endswith(("?", "!", ".", "…"))


@dataclass(frozen=True)
class Words:
    """One language's way to say what stands around an article."""

    day_format: str  # as Django writes it; the names of months are Django's
    date_format: str  # the same with the year
    minutes: Callable[[int], str]
    read: str
    and_more: Callable[[str, int], str]  # a title and how many articles besides
    also: str  # in front of other titles


ENGLISH = Words(
    "j F", "j F Y", "{}\N{NO-BREAK SPACE}min".format, "Read the article", _english_more, "Also: {}"
)
WORDS = {
    "en": ENGLISH,
    "de": Words(
        "j. F",
        "j. F Y",
        "{}\N{NO-BREAK SPACE}Min.".format,
        "Artikel lesen",
        "{} und {} weitere".format,
        "Außerdem: {}",
    ),
    "fr": Words(
        "j F",
        "j F Y",
        "{}\N{NO-BREAK SPACE}min".format,
        "Lire l’article",
        _french_more,
        "Aussi : {}",
    ),
    "ja": Words(
        "n月j日", "Y年n月j日", "{}分".format, "記事を読む", "{}、ほか{}本".format, "ほかに：{}"
    ),
    "ar": Words("j F", "j F Y", _arabic_minutes, "اقرأ المقال", "{} (+{})".format, "أيضًا: {}"),
}


def words(language: str) -> Words:
    return WORDS.get(language, ENGLISH)


def day(on: date, language: str) -> str:
    """Day and month, for example 20 November, 11月20日 or ٢٠ نوفمبر."""
    return _said(on, words(language).day_format, language)


def full_date(on: date, language: str) -> str:
    """The same with the year, for example 20 November 2026 or 2026年11月20日."""
    return _said(on, words(language).date_format, language)


def _said(on: date, pattern: str, language: str) -> str:
    with translation.override(language):
        said = dateformat.format(on, pattern)
    return said.translate(ARABIC_DIGITS) if language == "ar" else said


def long_date(on: date, language: str = frame_words.ENGLISH) -> str:
    """As in the line below the name of the newsletter, for example Monday 23 November 2026."""
    words = frame_words.frame(language)
    return frame_words.said(on, words.long_date, words)


def while_away(first: date, last: date, language: str = frame_words.ENGLISH) -> str:
    """The subject of a catch-up, for example While you were away, 3 to 17 November."""
    words = frame_words.frame(language)
    return words.away.format(days=frame_words.span(first, last, words))


def subject_for(articles: Sequence[Headline]) -> str:
    """A subject line: the title of the lead, and how many more there are."""
    lead, *others = articles
    return words(lead.language).and_more(lead.title, len(others)) if others else lead.title


def subject_to_tell(title: str, *, is_withdrawal: bool, language: str = frame_words.ENGLISH) -> str:
    """The subject of a mail that has nothing to say but what was wrong with one article."""
    words = frame_words.frame(language)
    return f"{words.is_withdrawn if is_withdrawal else words.correction}: {title}"


def preheader_for(articles: Sequence[Headline]) -> str:
    """What a list of mails shows behind the subject: other titles, or how the only one begins."""
    lead, *others = articles
    if not others:
        return shortened(lead.standfirst)
    shown = others[0].title
    for other in others[1:]:
        longer = f"{shown}; {other.title}"
        if len(longer) > PREHEADER:
            break
        shown = longer
    return shortened(words(lead.language).also.format(shown))


def shortened(text: str) -> str:
    """At most 130 characters, cut between words."""
    if len(text) <= PREHEADER:
        return text
    whole_words = text[:PREHEADER].rpartition(" ")[0] or text[:PREHEADER]
    return whole_words.rstrip(" ,;:–") + " …"
