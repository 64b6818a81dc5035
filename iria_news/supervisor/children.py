"""One child process: start it, see that it ended, stop it, and leave nothing behind.

Each child leads a session of its own, so that Ctrl-C in the terminal reaches the supervisor alone:
a signal to all processes at once would end a sending worker in the middle of a message.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

LOG_LIMIT = 5_000_000  # bytes; a longer log is put aside at the next start
LONGEST_DELAY = 30  # seconds between two attempts to start a child
HEALTHY_AFTER = 60  # seconds; a child that lived so long starts again without delay
PR_SET_PDEATHSIG = 1  # prctl(2)


@dataclass
class Child:
    """A program that is to be running from `start` to `stop`."""

    name: str
    command: list[str]
    log: Path
    stop_seconds: float  # how long it may take to finish what it is doing
    asks: Callable[[], bool] | None = None  # a question to it; True is the expected answer
    environment: dict[str, str] = field(default_factory=dict)
    delay: float = 0  # seconds before the next start, should it end now
    _process: "subprocess.Popen[bytes] | None" = None
    _started_at: float = 0  # monotonic
    _start_again_at: float = 0  # monotonic

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def answers(self) -> bool:
        return self.asks is None or self.asks()

    def start(self) -> None:
        with _open_log(self.log) as log:
            self._process = spawn(self.command, output=log, environment=self.environment)
        self._started_at = time.monotonic()

    def ended(self) -> str | None:
        """How it ended, if it did since the last call, else None. Its own children go with it."""
        if self._process is None or not _has_ended(self._process.pid):
            return None
        # Before the process is reaped, so that its number cannot be somebody else's yet.
        self.kill_group()
        code = self._process.wait()
        lived = time.monotonic() - self._started_at
        self.delay = 1 if lived >= HEALTHY_AFTER else min(max(1, self.delay * 2), LONGEST_DELAY)
        self._start_again_at = time.monotonic() + self.delay
        self._process = None
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def start_again(self) -> None:
        """Start it anew once its delay is over."""
        if self._process is None and time.monotonic() >= self._start_again_at:
            self.start()

    def ask_to_stop(self) -> None:
        """SIGTERM to the program only: it knows best how to end its own children."""
        if self._process is not None:
            # Not `terminate`: that would reap a part which is dead already, behind our back.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGTERM)

    def kill_group(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)


def spawn(
    command: list[str], *, output: "IO[bytes] | None", environment: dict[str, str]
) -> "subprocess.Popen[bytes]":
    """Start a program that ends when we do, even if we are killed (on Linux)."""
    return subprocess.Popen(  # noqa: S603  # our own command lines
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
        env=os.environ | environment,
        start_new_session=True,
        preexec_fn=_end_with(os.getpid()),  # noqa: PLW1509  # we have one thread only
    )


def _end_with(parent: int) -> Callable[[], None]:
    """Ask Linux for a SIGTERM when our parent is gone. Runs in the child, between fork and exec."""
    if not sys.platform.startswith("linux"):
        return lambda: None
    libc = ctypes.CDLL(None)

    def ask() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it was gone before we asked
            os._exit(1)

    return ask


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _open_log(path: Path) -> IO[bytes]:
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")
