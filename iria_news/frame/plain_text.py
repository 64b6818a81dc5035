"""What people type into the admin and others read elsewhere: no hidden characters, no second line.

A name of a topic or newsletter stands in subjects, headers, lists and log lines (W9, W10).
"""

import re

from django.core.exceptions import ValidationError

# Whatever some program on the way takes for the end of a line or of a string.
BREAKS = re.compile("[\x00\n\x0b\x0c\r\x1c-\x1e\x85\u2028\u2029]")
# Unicode's Bidi_Control: they make text look like other text than it is.
TURNING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def check_line(text: str) -> str:
    """Return the text if it is one line. Raises ValidationError with a sentence."""
    if BREAKS.search(text):
        raise ValidationError("There is a line break in it. Put it on one line.")
    return check_direction(text)


def check_direction(text: str) -> str:
    """Return the text if it reads as it is written. Raises ValidationError with a sentence."""
    if TURNING.search(text):
        raise ValidationError(
            "There is a hidden character in it that turns the direction of text. "
            "Type it anew instead of pasting it."
        )
    return text


class Named:
    """Part of a form of the admin for something with a name."""

    cleaned_data: dict[str, str]

    def clean_name(self) -> str:
        return check_line(self.cleaned_data["name"])
