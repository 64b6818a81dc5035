"""Where each article stands in a digest: the lead, then a section for each topic."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from mailer.contents import Item, Picture

LEAD_WIDTH, COLUMN_WIDTH = 600, 284  # pixels


@dataclass(frozen=True)
class Entry:
    """An article in its place. The number leads from the contents of the text part to its link."""

    number: int
    item: Item
    picture: Picture | None = None  # fitted to its column; None where none is shown


@dataclass(frozen=True)
class Row:
    setting: str  # "pair" (two side by side), "beside" (picture and text) or "full"
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Section:
    topic: str
    rows: tuple[Row, ...]

    @property
    def entries(self) -> list[Entry]:
        return [entry for row in self.rows for entry in row.entries]


@dataclass(frozen=True)
class Digest:
    lead: Entry
    sections: tuple[Section, ...]

    @property
    def entries(self) -> list[Entry]:
        """Every article, as one reads from top to bottom."""
        return [self.lead, *(entry for section in self.sections for entry in section.entries)]

    @property
    def minutes(self) -> int:
        return sum(entry.item.minutes for entry in self.entries)


def arrange(items: Sequence[Item]) -> Digest:
    """The first item leads; the others go by their first topic, in the order of the navigation."""
    first, *others = items
    in_order = sorted(others, key=lambda item: (not item.topics, item.position, item.section))
    sections, number = [], 2
    for topic, group in groupby(in_order, key=lambda item: item.section):
        section = _section(topic, list(group), number)
        number += len(section.entries)
        sections.append(section)
    picture = first.picture.at_width(LEAD_WIDTH) if first.picture else None
    return Digest(Entry(1, first, picture), tuple(sections))


def _section(topic: str, items: list[Item], number: int) -> Section:
    """At most one picture in a section, at its head: a page of pictures would have no order."""
    with_picture = next((item for item in items if item.picture), None)
    if with_picture:
        items = [with_picture, *(item for item in items if item is not with_picture)]
    entries = [Entry(number + place, item) for place, item in enumerate(items)]
    rows = []
    if with_picture and with_picture.picture:
        picture = with_picture.picture.at_width(COLUMN_WIDTH)
        rows.append(Row("beside", (Entry(number, with_picture, picture),)))
        entries = entries[1:]
    rows += _pairs(entries)
    return Section(topic or "More", tuple(rows))


def _pairs(entries: list[Entry]) -> Iterable[Row]:
    for start in range(0, len(entries), 2):
        two = tuple(entries[start : start + 2])
        yield Row("pair" if len(two) == 2 else "full", two)
