"""A line with a round trip time, as a process of its own, where the kernel cannot simulate one.

Run as `python -m benchmarks.delay`. Each chunk is held for half of the round trip in each
direction. There is no loss, no limit of the rate and no slow start, so it is the friendlier
simulation. Stopped with SIGSTOP it is a black hole: lines stay open, nothing moves, and what was
sent meanwhile arrives after SIGCONT.
"""

import asyncio
import contextlib
import functools
import subprocess
import sys
from argparse import ArgumentParser
from collections import deque
from collections.abc import Iterator, Sequence

from benchmarks import servers
from benchmarks.machine import ROOT
from iria_news.supervisor import children

UNSENT_LIMIT = 4 * 2**20  # bytes on one line; more, and its sender has to wait


class End(asyncio.Protocol):
    """One end of a line; what arrives here leaves at the other end, later."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._held: deque[tuple[float, bytes]] = deque()
        self._held_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self.other: End | None = None
        self.transport: asyncio.Transport | None = None
        self._has_ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._held.append((self._loop.time() + self._seconds, data))
        self._held_bytes += len(data)
        if self._held_bytes > UNSENT_LIMIT and self.transport:
            self.transport.pause_reading()
        self.pass_on()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        self._has_ended = True
        self.pass_on()

    def pass_on(self) -> None:
        """Send what has been held long enough, and come back for the rest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.other is None or self.other.transport is None:
            return  # not connected yet
        now = self._loop.time()
        while self._held and self._held[0][0] <= now:
            _, data = self._held.popleft()
            self._held_bytes -= len(data)
            self.other.transport.write(data)
        if self.transport and self._held_bytes <= UNSENT_LIMIT and not self._has_ended:
            self.transport.resume_reading()
        if self._held:
            self._timer = self._loop.call_at(self._held[0][0], self.pass_on)
        elif self._has_ended:
            self.other.transport.close()


async def serve(lines: Sequence[tuple[str, int, str, int]], *, rtt_ms: float) -> None:
    """Each line is: host and port to listen on, host and port to go on to. Runs until killed."""
    loop = asyncio.get_running_loop()
    seconds = rtt_ms / 2000
    going_on = set()

    def accept(host: str, port: int) -> End:
        near, far = End(seconds), End(seconds)
        near.other, far.other = far, near

        async def go_on() -> None:
            try:
                await loop.create_connection(lambda: far, host, port)
                near.pass_on()
            except OSError:
                if near.transport:
                    near.transport.close()

        task = loop.create_task(go_on())
        going_on.add(task)
        task.add_done_callback(going_on.discard)
        return near

    for listen, at, host, port in lines:
        accepting = functools.partial(accept, host, port)
        await loop.create_server(accepting, listen, at, backlog=256)
    await asyncio.Event().wait()


@contextlib.contextmanager
def proxy(
    lines: Sequence[tuple[int, int]], *, rtt_ms: float = 0
) -> Iterator["subprocess.Popen[bytes]"]:
    """Lines on loopback, each a port to listen on and a port to go on to."""
    pairs = [f"127.0.0.1:{at}:127.0.0.1:{to}" for at, to in lines]
    command = [sys.executable, "-m", "benchmarks.delay", "--rtt", str(rtt_ms), *pairs]
    process = children.spawn(command, output=None, environment={"PYTHONPATH": str(ROOT)})
    try:
        for at, _ in lines:
            accepting = functools.partial(servers.accepts, "127.0.0.1", at)
            servers.wait_for("the delayed line", accepting)
        yield process
    finally:
        process.kill()
        process.wait()


def main() -> int:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rtt", type=float, default=20, help="milliseconds there and back")
    parser.add_argument("lines", nargs="+", help="HOST:PORT:HOST:PORT, from here to there")
    options = parser.parse_args()
    lines = []
    for words in options.lines:
        listen, at, host, port = words.split(":")
        lines.append((listen, int(at), host, int(port)))
    asyncio.run(serve(lines, rtt_ms=options.rtt))
    return 0


if __name__ == "__main__":
    sys.exit(main())
