"""How an edition is spread over a span: each wave leaves in slices, one after the other.

A reader is in the same slice of every edition, so theirs comes at about the same time of day.
"""

from datetime import timedelta

from mailer.models import Edition

SHORTEST_MINUTES = 5  # of a slice
MOST_SLICES = 48
# Knuth's multiplicative hash: neighbouring numbers come far from each other.
FACTOR, RANGE_BITS = 2_654_435_761, 32
NUMBER_MASK = (1 << 30) - 1  # or the product of a number and the factor would need 65 bits


def slices(edition: Edition) -> int:
    """How many parts each wave of the edition has, at least 1."""
    return max(1, min(MOST_SLICES, edition.spread_minutes // SHORTEST_MINUTES))


def delay(edition: Edition, number: int) -> timedelta:
    """How long after its wave a slice leaves; slices are numbered from 0."""
    return timedelta(minutes=edition.spread_minutes) / slices(edition) * number


def longest_delay(edition: Edition) -> timedelta:
    """How long after its wave the last reader's mail is released."""
    return delay(edition, slices(edition) - 1)


def slice_of(column: str, edition: Edition) -> str:
    """SQL for the slice of the reader with the number in `column`."""
    number = slices(edition)
    if number == 1:
        return "0"
    hashed = f"((({column} & {NUMBER_MASK}) * {FACTOR}) & {(1 << RANGE_BITS) - 1})"
    return f"CAST(({hashed} * {number}) >> {RANGE_BITS} AS integer)"
