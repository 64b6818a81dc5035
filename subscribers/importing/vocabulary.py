"""What the newsletters and topics of a row mean: names become numbers, each once."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from iria_news.articles.models import Topic
from subscribers.models import Newsletter

KEPT = 10_000  # answers; a file that asks for more different things is only slower
NO_TOPIC = "none"  # what the export writes for a place that follows nothing
Named = TypeVar("Named", Newsletter, Topic)
_BETWEEN = re.compile(r"[,;|]")


class UnknownName(Exception):
    """A newsletter or topic that there is not, or none at all. `kind` is counted."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


@dataclass
class Vocabulary:
    """Loaded once for a file, in four queries. Choices of topics are numbered as they come."""

    newsletters: Collection[Newsletter]  # for rows that name none
    topics: Collection[Topic]  # likewise; none means all
    choices: list[tuple[Topic, ...]] = field(default_factory=list)  # number -> topics

    def __post_init__(self) -> None:
        self._all_topics = list(Topic.objects.all())
        self._topics = _by_name(self._all_topics)
        active = Newsletter.objects.filter(is_active=True).prefetch_related("topics")
        self._newsletters = _by_name(active)
        self._carried = {n.pk: list(n.topics.all()) or self._all_topics for n in active}
        self._numbers: dict[tuple[Topic, ...], int] = {}
        self._known: dict[tuple[str, str], list[tuple[int, int]]] = {}

    def places(self, newsletters: str, topics: str) -> list[tuple[int, int]]:
        """Newsletter and choice for two cells. Raises UnknownName."""
        asked = (newsletters, topics)
        if asked in self._known:
            return self._known[asked]
        found = self._work_out(newsletters, topics)
        if len(self._known) < KEPT:
            self._known[asked] = found
        return found

    def _work_out(self, newsletters: str, topics: str) -> list[tuple[int, int]]:
        named = _named(newsletters, self._newsletters, "newsletter")
        numbers = dict.fromkeys(n.pk for n in named or self.newsletters if n.pk in self._carried)
        if not numbers:
            raise UnknownName(
                "no newsletter", "It names no newsletter, and none was chosen for such rows."
            )
        return [(pk, self._choice(self._wanted(pk, topics))) for pk in numbers]

    def _wanted(self, newsletter_id: int, topics: str) -> list[Topic]:
        if topics.strip().casefold() == NO_TOPIC and NO_TOPIC not in self._topics:
            return []
        named = _named(topics, self._topics, "topic") or self.topics
        carried = self._carried[newsletter_id]
        wanted = [topic for topic in carried if topic in named] if named else carried
        if named and not wanted:
            raise UnknownName(
                "topics that its newsletter does not carry",
                "The newsletter carries none of its topics.",
            )
        return wanted

    def _choice(self, topics: Iterable[Topic]) -> int:
        choice = tuple(topics)
        if choice not in self._numbers:
            self._numbers[choice] = len(self.choices)
            self.choices.append(choice)
        return self._numbers[choice]


def _by_name(rows: Iterable[Named]) -> dict[str, Named]:
    """By slug and by name, without case."""
    found = {}
    for row in rows:
        found[row.name.casefold()] = row
        found[row.slug] = row
    return found


def _named(cell: str, known: dict[str, Named], noun: str) -> list[Named]:
    found = []
    for name in _BETWEEN.split(cell):
        plain = name.strip().casefold()
        if plain and plain not in known:
            raise UnknownName(
                f"a {noun} that there is not", f"There is no active {noun} “{name.strip()[:60]}”."
            )
        if plain:
            found.append(known[plain])
    return found
