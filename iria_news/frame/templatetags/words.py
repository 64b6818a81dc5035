"""What templates of pages and of mails need to speak several languages; nothing to load."""

from collections.abc import Iterable
from datetime import date

from django import template
from django.utils import timezone

from iria_news import dates, languages

register = template.Library()


@register.filter(expects_localtime=True)
def said(on: date | None, pattern: str) -> str:
    """A date by one of the patterns of `iria_news.dates`; nothing for None."""
    return dates.said(on, pattern) if on else ""


@register.simple_tag
def today(pattern: str) -> str:
    return dates.said(timezone.localdate(), pattern)


@register.filter
def name_list(names: Iterable[object]) -> str:
    """Names in a sentence: "IRIA Daily and IRIA Weekly"."""
    return languages.listed([str(name) for name in names])


@register.simple_tag
def direction() -> str:
    """The value of HTML's `dir` for the language of the page or mail."""
    return languages.direction()
