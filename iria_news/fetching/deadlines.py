"""A deadline for a whole exchange: a server that sends one byte now and then cannot outlast it."""

import http.client
import io
import socket
import time
from typing import Any

BUFFER = 1_024  # bytes read ahead of what is asked for


class Deadline:
    """So many seconds from now on, for everything together."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds, more than 0. Raises TimeoutError when none is left."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class Response(http.client.HTTPResponse):
    """An answer whose every byte, from the status line on, must come before the deadline."""

    def __init__(self, line: socket.socket, *, deadline: Deadline, **options: Any) -> None:
        super().__init__(line, **options)
        self.fp.close()  # nothing was read from it yet
        self.fp = io.BufferedReader(_UntilDeadline(line, deadline), BUFFER)


class _UntilDeadline(io.RawIOBase):
    """The bytes of a socket. A timeout of the socket itself holds for one wait only."""

    def __init__(self, line: socket.socket, deadline: Deadline) -> None:
        super().__init__()
        self._line = line
        self._bytes = line.makefile("rb", buffering=0)
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._line.settimeout(self._deadline.left())
        return self._bytes.readinto(buffer)

    def close(self) -> None:
        self._bytes.close()
        super().close()
