"""What a test sees of `sink_process`: how it shall behave, and what it has accepted."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Accepted:
    at: float  # CLOCK_MONOTONIC, the same for all processes of a machine
    message_id: str
    recipient: str


class CountingSink:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "sink"
        self._record = folder / "accepted"
        self._record.touch()
        self._read = 0
        self._accepted: list[Accepted] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.sink_process", self.path, self._record],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._expect_ok()

    def behave(self, **changes: Any) -> None:
        """Change fields of `sink_process.Behaviour`; returns when they are in force."""
        assert self._process.stdin is not None
        self._process.stdin.write(dumps(changes) + "\n")
        self._process.stdin.flush()
        self._expect_ok()

    def _expect_ok(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ok\n"

    @property
    def accepted(self) -> list[Accepted]:
        """Every message it took the responsibility for, in order."""
        with self._record.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.decode().splitlines():
            at, message_id, recipient = line.split()
            self._accepted.append(Accepted(float(at), message_id, recipient))
        return self._accepted

    def count(self) -> int:
        return len(self.accepted)

    def end(self) -> None:
        self._process.communicate()


@contextlib.contextmanager
def counting(folder: Path) -> Iterator[CountingSink]:
    sink = CountingSink(folder)
    try:
        yield sink
    finally:
        sink.end()
