"""Days and moments in words, in the language that is spoken now."""

from datetime import date

from django.utils import dateformat
from django.utils.translation import pgettext_lazy

# As English writes them; a catalogue says how its language does. Names of days and months are
# Django's.
PATTERNS = {
    "F Y": pgettext_lazy("pattern of a date", "F Y"),
    "j F": pgettext_lazy("pattern of a date", "j F"),
    "j F Y": pgettext_lazy("pattern of a date", "j F Y"),
    "l j F Y": pgettext_lazy("pattern of a date", "l j F Y"),
    "l, j F Y": pgettext_lazy("pattern of a date", "l, j F Y"),
    "l j F, H:i": pgettext_lazy("pattern of a date", "l j F, H:i"),
    "l j F Y, H:i": pgettext_lazy("pattern of a date", "l j F Y, H:i"),
}


def said(on: date, pattern: str) -> str:
    """A date or a moment, by one of PATTERNS: "3 March 2026", "3. März 2026".

    Raises KeyError for a pattern that no catalogue could know.
    """
    return dateformat.format(on, str(PATTERNS[pattern]))
