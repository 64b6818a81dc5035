"""Which language somebody is spoken to in: one of settings.LANGUAGES, which have a catalogue.

Below `locale/` is what pages and mails for readers say. The admin, the API and commands speak
English, which is what the code says.
"""

from collections.abc import Iterable

from django.conf import settings
from django.utils import translation
from django.utils.translation.trans_real import parse_accept_lang_header


def supported(code: str) -> str:
    """The language to use for whoever wants this one: itself, "de" for "de-at", or English."""
    try:
        return translation.get_supported_language_variant(code)
    except LookupError:
        return settings.LANGUAGE_CODE


def is_supported(code: str) -> bool:
    """Whether the code stands in settings.LANGUAGES as it is."""
    return code in dict(settings.LANGUAGES)


def preferred(header: str) -> str:
    """The first language of an Accept-Language header that we have (RFC 9110 12.5.4), or English.

    Read by Django's parser: a header that is none, or longer than any browser's, asks for nothing.
    """
    for code, quality in parse_accept_lang_header(header):
        if code == "*":
            break
        if quality and (found := _known(code)):
            return found
    return settings.LANGUAGE_CODE


def speaking(code: str) -> translation.override:
    """For a `with`: whatever is said inside is said in this language, as far as we have it."""
    return translation.override(supported(code))


def current() -> str:
    """What is spoken now: one of settings.LANGUAGES."""
    return translation.get_language() or settings.LANGUAGE_CODE


def direction() -> str:
    """The value of HTML's `dir` for what is spoken now."""
    return "rtl" if translation.get_language_bidi() else "ltr"


def listed(names: Iterable[str]) -> str:
    """Names in a sentence: "Europe", "Europe and US", "Asia-Pacific, Europe and US"."""
    *others, last = names
    if not others:
        return last
    return translation.gettext("{names} and {last}").format(names=", ".join(others), last=last)


def _known(code: str) -> str:
    try:
        return translation.get_supported_language_variant(code)
    except LookupError:
        return ""
