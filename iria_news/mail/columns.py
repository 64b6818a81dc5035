"""Plain text in columns, where East Asian wide characters take two."""

import itertools
import re
import unicodedata

WIDTH = 72
BLANKS = re.compile("[ \t]+")  # a no-break space holds its words together

# A line may end at blanks and beside wide characters; but closing signs and small kana never begin
# a line, and opening ones never end it.
NEVER_FIRST = frozenset(
    "、。，．・：；？！゛゜ヽヾゝゞ々ー）」』】〕〉》”’〟…‥％"
    "ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ"
)
NEVER_LAST = frozenset("（「『【〔〈《“‘〝")


def width(text: str) -> int:
    """How many columns a text takes in a fixed-width font."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) == "Cf":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def wrap(text: str, limit: int = WIDTH) -> str:
    """Fill lines of at most `limit` columns; blank lines part paragraphs and are kept.

    A single word that is wider, such as a URL, stands alone on its line and stays whole.
    """
    return "\n".join(_fill(line, limit) for line in text.split("\n"))


def _fill(line: str, limit: int) -> str:
    if width(line) <= limit:
        return line.strip()
    lines: list[str] = []
    current, columns = "", 0
    for word in BLANKS.split(line.strip()):
        gap = " " if current else ""
        for unit in _units(word):
            size = width(unit)
            if current and columns + len(gap) + size > limit:
                lines.append(current)
                current, columns, gap = "", 0, ""
            current += gap + unit
            columns += len(gap) + size
            gap = ""
    return "\n".join([*lines, current])


def _units(word: str) -> list[str]:
    """The parts of a word between which a line may end: one for a Latin word or a URL."""
    if word.isascii():
        return [word]
    units = [word[0]]
    for before, after in itertools.pairwise(word):
        if _may_part(before, after):
            units.append(after)
        else:
            units[-1] += after
    return units


def _may_part(before: str, after: str) -> bool:
    if before in NEVER_LAST or after in NEVER_FIRST or _columns(after) == 0:
        return False
    return _columns(before) == 2 or _columns(after) == 2
