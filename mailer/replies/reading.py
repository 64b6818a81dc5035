"""What the rules get to see of a reply. Replies are hostile input: every step is bounded."""

import re

READ = 1_000  # characters of a text; what a server means comes first

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Addresses are taken out, or <spam-trap@blocked.example> would speak for the server.
_ADDRESS = re.compile(r"[^\s<>@]{1,64}@[^\s<>@]{1,255}")
_STATUS = re.compile(r"(?<![\w.])[245]\.\d{1,3}\.\d{1,3}(?!\w|\.\w)")
_MARKED = re.compile(r"(?:^|[\s#(\[:-])[45]\.([0-7]\.\d{1,3})(?!\w|\.\w)")


def clean(text: str) -> str:
    """The text in lower case, on one line, with "@" for each address and without status codes.

    Codes go because each line of a long reply repeats them, in the middle of a sentence.
    """
    words = _CONTROLS.sub(" ", text[:READ]).replace("\u2019", "'").lower()
    words = _STATUS.sub(" ", _ADDRESS.sub("@", words))
    return " ".join(words.split())


def subject_and_detail(enhanced: str) -> str:
    """The "1.1" of "5.1.1" (RFC 3463); "" if it is no status of a failure.

    The first digit repeats the reply code's, or contradicts it and does not count.
    """
    match = re.fullmatch(r"[45]\.(\d{1,3}\.\d{1,3})", enhanced, re.ASCII)
    return match.group(1) if match else ""


def found_status(text: str) -> str:
    """The status that stands inside the text, as qmail's "(#5.1.1)"; "" without one."""
    match = _MARKED.search(text[:READ])
    return match.group(1) if match else ""


def is_permanent(code: int, enhanced: str) -> bool:
    """Whether trying again is pointless: the reply code says it, or the status if there is none."""
    return 500 <= code <= 599 if code else enhanced.startswith("5.")
