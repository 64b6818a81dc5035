"""Rows in pages, checked as far as the file alone can tell: what is refused, what is doubled."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from iria_news.articles.models import Topic
from subscribers.importing import columns, rows
from subscribers.importing.reading import BadFile, Sheet, open_sheet
from subscribers.importing.vocabulary import Vocabulary
from subscribers.models import Newsletter, Proof, SubscriberImport

PAGE = 10_000  # rows; what one transaction writes, about a second of work
TWICE = "twice in the file"
# Of the 256 bits of an address's mark; among two million rows none agree by chance.
MARK_DIGITS = 24  # hexadecimal


@dataclass(frozen=True)
class Plan:
    """What is asked for besides the file."""

    newsletters: Collection[Newsletter] = ()  # for rows that name none
    topics: Collection[Topic] = ()  # likewise; none means all
    source: str = ""  # where these readers agreed
    proof: Proof = Proof.ASK


def plan_of(job: SubscriberImport) -> Plan:
    return Plan(list(job.newsletters.all()), list(job.topics.all()), job.source, Proof(job.proof))


@dataclass
class RefusedRow:
    number: int
    kind: str
    sentence: str
    cells: list[str]


@dataclass
class Page:
    """So many rows of a file: every one is in `wanted` or in `refused`."""

    upto: int = 0  # rows of the file up to the end of this page, without the head
    wanted: list[rows.Wanted] = field(default_factory=list)
    refused: list[RefusedRow] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.wanted) + len(self.refused)


class Reader:
    """One pass over a file. Raises BadFile, at once or at the row that breaks it."""

    def __init__(self, path: Path, plan: Plan) -> None:
        self.sheet: Sheet = open_sheet(path)
        self.words = Vocabulary(plan.newsletters, plan.topics)
        self._seen: set[int] = set()  # 90 bytes for each place
        _, first = next(self.sheet.rows(), (0, []))
        named = columns.of_head(first)
        self._columns = named or columns.of_first_row(first)
        self._has_head = named is not None
        self.head = first if named is not None else self._made_head(len(first))

    def pages(self) -> Iterator[Page]:
        """From the first row on, also when an earlier pass has come further: a row is doubled
        only beside those before it."""
        page = Page()
        for place, (number, cells) in enumerate(self.sheet.rows()):
            if place == 0 and self._has_head:
                continue
            self._take(page, number, cells)
            if page.size == PAGE:
                page.upto += PAGE
                yield page
                page = Page(page.upto)
        page.upto += page.size
        if page.upto == 0:
            raise BadFile("It has a row of column names, and no reader below it.")
        if page.size:
            yield page

    def _take(self, page: Page, number: int, cells: list[str]) -> None:
        try:
            wanted = self._first_of(rows.read(cells, number, self._columns, self.words))
        except rows.Refused as refused:
            page.refused.append(RefusedRow(number, refused.kind, str(refused), cells))
        else:
            page.wanted.append(wanted)

    def _first_of(self, wanted: rows.Wanted) -> rows.Wanted:
        """Without the newsletters that an earlier row asked for this address."""
        mark = int(wanted.address.hash[:MARK_DIGITS], 16)
        fresh = [place for place in wanted.places if mark + place[0] not in self._seen]
        if not fresh:
            raise rows.Refused(TWICE, "An earlier row has this address. That row counts.")
        self._seen.update(mark + newsletter for newsletter, _ in fresh)
        return wanted if len(fresh) == len(wanted.places) else replace(wanted, places=fresh)

    def _made_head(self, width: int) -> list[str]:
        """For the file of refused rows, so that it can be read as one with a head."""
        fields = {place: field for field, place in self._columns.items()}
        return [fields.get(place, f"column {place + 1}") for place in range(width)]
