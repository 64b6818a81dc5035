"""What an import would do, or has done, in words; the same on the page and in the terminal."""

from collections.abc import Iterator

from subscribers.importing.judging import Outcome
from subscribers.importing.tally import Tally

SENTENCES = {
    Outcome.PROVED: "new, with proof of consent in the file",
    Outcome.ASKED: "new, without proof: asked by mail",
    Outcome.THERE: "on the newsletter already: unchanged",
    Outcome.WAITING: "asked before, not answered yet: unchanged",
    Outcome.LEFT: "unsubscribed: stay so",
    Outcome.SUPPRESSED: "suppressed: stay so",
    Outcome.REFUSED: "refused",
}


def lines(tally: Tally) -> list[tuple[str, int]]:
    """Every outcome with its number of rows, the sum last."""
    counted = [(sentence, tally.number(outcome)) for outcome, sentence in SENTENCES.items()]
    return [*counted, ("rows in all", tally.rows)]


def refusals(tally: Tally) -> list[tuple[str, int, str]]:
    """Why rows were refused, how many, and the numbers of the first, the most frequent first."""
    return [
        (reason, number, ", ".join(f"{row:,}" for row in tally.examples.get(reason, [])))
        for reason, number in tally.reasons.most_common()
    ]


def table(tally: Tally, *, done: bool) -> Iterator[str]:
    yield "Imported:" if done else "It would import:"
    for sentence, number in lines(tally):
        yield f"{number:>12,}  {sentence}"
    for reason, number, rows in refusals(tally):
        yield f"{number:>12,}  refused for {reason}, for example row {rows}"
    if not done:
        yield "Nothing was written. Repeat it with --apply."
