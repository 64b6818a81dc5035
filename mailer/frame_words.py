"""What a newsletter says around its articles, in the newsletter's language.

Readers of one cohort share a body, so it is never the language of a reader. A newsletter in a
language that has no words here has its frame in English.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from django.utils import dateformat, translation

ENGLISH = "en"


@dataclass(frozen=True)
class Frame:
    """One language's words. Patterns of dates are as Django writes them."""

    language: str
    long_date: str  # pattern, for the line below the name
    full_date: str  # pattern of a day with its year
    day: str  # pattern of a day in this year
    motto: str
    in_this_edition: str
    articles: str  # behind a number
    minutes: str  # behind a number
    minutes_short: str  # likewise
    picture: str
    more: str  # heads the articles that have no topic
    correction: str
    corrections: str
    withdrawn: str
    is_withdrawn: str  # heads a subject
    why: str
    reply: str  # in front of our address
    no_tracking: str
    change: str
    browser: str
    unsubscribe: str
    confirmed: str  # with {newsletter} and {day}
    all_topics: str
    one_topic: str  # with {topic}
    topics: str  # with {topics} and {last}
    away: str  # with {days}
    from_to: str  # with {first} and {last}
    same_month: str  # pattern of the first day of a span, before a day of the same month


FRAMES = {
    ENGLISH: Frame(
        language=ENGLISH,
        long_date="l j F Y",
        full_date="j F Y",
        day="j F",
        motto="International relations, security and defence",
        in_this_edition="In this edition",
        articles="articles",
        minutes="minutes",
        minutes_short="min",
        picture="Picture",
        more="More",
        correction="Correction",
        corrections="Corrections",
        withdrawn="withdrawn",
        is_withdrawn="Withdrawn",
        why="Why you receive this",
        reply="Reply to this mail and an editor reads it, or write to",
        no_tracking="No tracking pixel, no redirected links.",
        change="Change topics or newsletters",
        browser="View in browser",
        unsubscribe="Unsubscribe",
        confirmed="You confirmed {newsletter} on {day}.",
        all_topics="You follow all topics.",
        one_topic="Your topic is {topic}.",
        topics="Your topics are {topics} and {last}.",
        away="While you were away, {days}",
        from_to="{first} to {last}",
        same_month="j",
    ),
    "de": Frame(
        language="de",
        long_date="l, j. F Y",
        full_date="j. F Y",
        day="j. F",
        motto="Internationale Beziehungen, Sicherheit und Verteidigung",
        in_this_edition="In dieser Ausgabe",
        articles="Artikel",
        minutes="Minuten",
        minutes_short="Min.",
        picture="Bild",
        more="Weiteres",
        correction="Korrektur",
        corrections="Korrekturen",
        withdrawn="zurückgezogen",
        is_withdrawn="Zurückgezogen",
        why="Warum Sie das bekommen",
        reply="Ihre Antwort auf diese Mail liest die Redaktion. Oder schreiben Sie an",
        no_tracking="Kein Zählpixel, keine umgeleiteten Links.",
        change="Themen oder Newsletter ändern",
        browser="Im Browser ansehen",
        unsubscribe="Abbestellen",
        confirmed="Sie haben {newsletter} am {day} bestätigt.",
        all_topics="Sie folgen allen Themen.",
        one_topic="Ihr Thema ist {topic}.",
        topics="Ihre Themen sind {topics} und {last}.",
        away="Während Sie weg waren, {days}",
        from_to="{first} bis {last}",
        same_month="j.",
    ),
}


def frame(language: str) -> Frame:
    return FRAMES.get(language, FRAMES[ENGLISH])


def said(on: date, pattern: str, words: Frame) -> str:
    """A day as the frame writes it; the names of days and months are Django's."""
    with translation.override(words.language):
        return dateformat.format(on, pattern)


def why_sentence(
    words: Frame, newsletter: str, confirmed_on: date, topics: Sequence[str], *, all_topics: bool
) -> str:
    """Why a mail came: what was confirmed, when, and for which topics."""
    day = said(confirmed_on, words.full_date, words)
    confirmed = words.confirmed.format(newsletter=newsletter, day=day)
    if all_topics:
        return f"{confirmed} {words.all_topics}"
    if not topics:
        return confirmed
    if len(topics) == 1:
        return f"{confirmed} {words.one_topic.format(topic=topics[0])}"
    followed = words.topics.format(topics=", ".join(topics[:-1]), last=topics[-1])
    return f"{confirmed} {followed}"


def span(first: date, last: date, words: Frame) -> str:
    """The days of a pause: 3 to 17 November; 28 October to 3 November."""
    end = words.day if first.year == last.year else words.full_date
    begin = words.same_month if (first.year, first.month) == (last.year, last.month) else end
    said_last = said(last, end, words)
    if first == last:
        return said_last
    return words.from_to.format(first=said(first, begin, words), last=said_last)
