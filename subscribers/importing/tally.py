"""What became of the rows of a file, added up page by page. Holds numbers of rows, no address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from subscribers.importing.judging import Outcome
from subscribers.importing.pages import Page

EXAMPLES = 5  # numbers of rows, for each reason


@dataclass
class Tally:
    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)  # why rows were refused
    examples: dict[str, list[int]] = field(default_factory=dict)  # reason -> the first rows
    mails: int = 0  # confirmation mails asked for

    @classmethod
    def of_json(cls, kept: Mapping[str, Any]) -> Tally:
        return cls(
            Counter(kept.get("outcomes", {})),
            Counter(kept.get("reasons", {})),
            dict(kept.get("examples", {})),
            kept.get("mails", 0),
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "outcomes": dict(self.outcomes),
            "reasons": dict(self.reasons.most_common()),
            "examples": self.examples,
            "mails": self.mails,
        }

    def add(self, page: Page, outcomes: Mapping[Outcome, int], *, mails: int = 0) -> None:
        self.outcomes.update({outcome.value: number for outcome, number in outcomes.items()})
        for row in page.refused:
            self.outcomes[Outcome.REFUSED.value] += 1
            self.reasons[row.kind] += 1
            examples = self.examples.setdefault(row.kind, [])
            if len(examples) < EXAMPLES:
                examples.append(row.number)
        self.mails += mails

    def number(self, outcome: Outcome) -> int:
        return self.outcomes[outcome.value]

    @property
    def rows(self) -> int:
        return self.outcomes.total()

    @property
    def new(self) -> int:
        """Rows that bring somebody onto a newsletter, with proof or once they answer."""
        return self.number(Outcome.PROVED) + self.number(Outcome.ASKED)
