"""Where each article stands in a digest: the lead, then a section for each topic."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from mailer.contents import Item, Picture

LEAD_WIDTH, COLUMN_WIDTH = 600, 284  # pixels


@dataclass(frozen=True)
class Entry:
    """An article in its place. The number leads from the contents of the text part to its link."""

    number: int
    item: Item
    picture: Picture | None = None  # fitted to its column; None where none is shown
    kicker: str = ""  # above the title: its kind, and its topics where no section names them


@dataclass(frozen=True)
class Row:
    setting: str  # "pair" (two side by side), "beside" (picture and text) or "full"
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Section:
    topic: str  # empty: the articles are not grouped
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


def arrange(items: Sequence[Item], *, by_topic: bool = True, more: str = "More") -> Digest:
    """The first item leads; the others go by their first topic, in the order of the navigation.

    Not `by_topic`: they stand in their own order, in one section without a name. `more` is the
    name of the section for articles without a topic.
    """
    first, *others = items
    picture = first.picture.at_width(LEAD_WIDTH) if first.picture else None
    lead = Entry(1, first, picture, first.kickers)
    if not by_topic:
        return Digest(lead, (Section("", _rows(others, 2, in_section=False)),) if others else ())
    in_order = sorted(others, key=lambda item: (not item.topics, item.position, item.section))
    sections, number = [], 2
    for topic, group in groupby(in_order, key=lambda item: item.section):
        section = _section(topic or more, list(group), number)
        number += len(section.entries)
        sections.append(section)
    return Digest(lead, tuple(sections))


def above_the_introduction(picture: Picture | None) -> Picture | None:
    """The picture of the edition itself, across the whole sheet."""
    return picture.at_width(LEAD_WIDTH) if picture else None


def _section(topic: str, items: list[Item], number: int) -> Section:
    """At most one picture in a section, at its head: a page of pictures would have no order."""
    with_picture = next((item for item in items if item.picture), None)
    if with_picture:
        items = [with_picture, *(item for item in items if item is not with_picture)]
    return Section(topic, _rows(items, number, in_section=True))


def _rows(items: list[Item], number: int, *, in_section: bool) -> tuple[Row, ...]:
    """The first beside its picture if it has one, the others in pairs, in their order."""
    entries = [
        Entry(number + place, item, kicker=item.kind if in_section else item.kickers)
        for place, item in enumerate(items)
    ]
    if not items[0].picture:
        return tuple(_pairs(entries))
    pictured = replace(entries[0], picture=items[0].picture.at_width(COLUMN_WIDTH))
    return (Row("beside", (pictured,)), *_pairs(entries[1:]))


def _pairs(entries: list[Entry]) -> Iterable[Row]:
    for start in range(0, len(entries), 2):
        two = tuple(entries[start : start + 2])
        yield Row("pair" if len(two) == 2 else "full", two)
