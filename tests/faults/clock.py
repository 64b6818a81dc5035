"""A fault: the clock of this process is wrong, and jumps.

The offset in seconds stands in a file, which the process and those it forks look at all the time.
Monotonic clocks keep going: no machine sets those.
"""

import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import time_machine

LOOK_EVERY = 0.02  # seconds


def install(*, file: str) -> None:
    traveller = time_machine.travel(datetime.now(UTC), tick=True).start()
    _Watch(traveller, Path(file)).begin()


class _Watch:
    def __init__(self, traveller: time_machine.Traveller, file: Path) -> None:
        self.traveller = traveller
        self.file = file
        self.offset = 0.0
        self._look()
        os.register_at_fork(after_in_child=self.begin)

    def begin(self) -> None:
        threading.Thread(target=self._go_on, daemon=True).start()

    def _go_on(self) -> None:
        while True:
            self._look()
            time.sleep(LOOK_EVERY)

    def _look(self) -> None:
        wanted = float(self.file.read_text() or self.offset)
        if wanted != self.offset:
            self.traveller.shift(wanted - self.offset)
            self.offset = wanted
