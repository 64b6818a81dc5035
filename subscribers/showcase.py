"""What everybody may join, as the sign-up pages show it: read from the database every few seconds.

Only for showing. Whether something may still be joined is asked again when it is.
"""

import time
from dataclasses import dataclass, field

from subscribers import offers
from subscribers.offers import Offer

REMEMBERED_FOR = 3  # seconds, in each process; nobody notices, and a rush costs no queries


@dataclass
class _Memory:
    # One value, so that threads see both halves or neither.
    shown: tuple[float, list[Offer]] = field(default=(0.0, []))


_memory = _Memory()


def offered() -> list[Offer]:
    """As `offers.public`, a few seconds old at most."""
    until, shown = _memory.shown
    if time.monotonic() >= until:
        shown = offers.public()
        _memory.shown = (time.monotonic() + REMEMBERED_FOR, shown)
    return shown


def forget() -> None:
    """Read anew at the next question."""
    _memory.shown = (0.0, [])
