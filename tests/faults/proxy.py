"""A TCP proxy that can be slow, swallow everything, or cut: a network between us and a server."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """Listens on a loopback port and passes on to a unix socket; runs in a thread."""

    def __init__(self, target: Path) -> None:
        self.latency = 0.0  # seconds, each way
        self.port = 0
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._passes = self._do(self._new_event())
        self._server = self._do(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]

    def swallow(self) -> None:
        """From now on nothing comes through, and nobody is told."""
        self._loop.call_soon_threadsafe(self._passes.clear)

    def pass_on(self) -> None:
        self._loop.call_soon_threadsafe(self._passes.set)

    def reset(self) -> None:
        """Cut every connection; new ones are welcome."""
        self._do(self._cut())

    def end(self) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    @staticmethod
    async def _new_event() -> asyncio.Event:
        event = asyncio.Event()
        event.set()
        return event

    async def _cut(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _close(self) -> None:
        self._server.close()
        self._passes.set()
        await self._cut()
        await asyncio.gather(*self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        try:
            await self._passes.wait()
            there = await asyncio.open_unix_connection(str(self._target))
            self._open.add(there[1])
            await asyncio.gather(self._pump(reader, there[1]), self._pump(there[0], writer))
            self._open.discard(there[1])
        except OSError:  # nobody is there: whoever asked sees the line end
            writer.transport.abort()
        finally:
            self._open.discard(writer)
            self._tasks.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                await self._passes.wait()
                if self.latency:
                    await asyncio.sleep(self.latency)
                writer.write(data)
                await writer.drain()
        writer.close()


@contextlib.contextmanager
def between(target: Path) -> Iterator[Proxy]:
    proxy = Proxy(target)
    try:
        yield proxy
    finally:
        proxy.end()
