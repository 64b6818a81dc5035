"""What the proofs over all editions have found, and how it is said. Makes no query."""

from collections import Counter
from dataclasses import dataclass, field

# What became of an article that a reader was due and does not have.
MISSED = "missed"
LOST = "lost"
CAPPED = "capped"
CHANGED = "changed"
EXCUSES = {
    LOST: "went with a delivery that was lost, and no edition carried them since",
    CAPPED: "fell on a day on which their readers had as many mails as the settings allow",
    CHANGED: "were changed after they were mailed: their topics may have been others then",
}


@dataclass
class Proofs:
    """What was looked at, and what of it speaks against the promises."""

    readers: int = 0
    articles: int = 0  # that editions carried
    received: int = 0  # articles, counted for each reader
    repeated: int = 0  # of these, the ones their reader had before
    due: Counter[str] = field(default_factory=Counter)  # due and not received, by verdict
    corrections: int = 0  # told, counted for each reader
    corrections_repeated: int = 0
    corrections_astray: int = 0  # told to somebody who was never sent the earlier text
    examples: list[str] = field(default_factory=list)  # sentences with numbers of rows

    @property
    def hold(self) -> bool:
        against = (self.repeated, self.due[MISSED])
        return not any((*against, self.corrections_repeated, self.corrections_astray))

    def as_dict(self) -> dict[str, object]:
        due = {verdict: self.due[verdict] for verdict in (MISSED, *EXCUSES)}
        return {**vars(self), "due": due, "hold": self.hold}

    def __str__(self) -> str:
        summary = (
            f"{self.readers:,} readers received {self.received:,} articles, of "
            f"{self.articles:,} different ones: {self.repeated:,} more than once, "
            f"{self.due[MISSED]:,} missed; {'proved' if self.hold else 'NOT PROVED'}"
        )
        said = [summary]
        said += [
            f"{self.due[excuse]:,} articles that readers were due {words}"
            for excuse, words in EXCUSES.items()
            if self.due[excuse]
        ]
        if self.corrections:
            said.append(
                f"{self.corrections:,} corrections told: {self.corrections_repeated:,} more than "
                f"once, {self.corrections_astray:,} to readers who were not sent the earlier text"
            )
        return "\n".join([*said, *self.examples])
