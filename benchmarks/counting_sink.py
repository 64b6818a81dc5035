"""An SMTP server that counts what each reader got, in a few bytes for each of them.

Run as `python -m benchmarks.counting_sink`. It keeps no message: for reader N of the made-up ones a
counter and a checksum of the Message-ID, so that copies can be told from other messages. `XCOUNT`
instead of EHLO makes it answer with its totals as JSON. It writes its counters to `--file` when it
ends and reads them when it starts.
"""

import asyncio
import functools
import json
import re
import signal
import sys
import zlib
from argparse import ArgumentParser
from array import array
from collections.abc import Callable
from pathlib import Path

READER = re.compile(rb"TO:<reader(\d+)@bench\.invalid>", re.IGNORECASE)
RECIPIENT = re.compile(rb"TO:<([^>]*)>", re.IGNORECASE)
MESSAGE_ID = re.compile(rb"^Message-ID:\s*(<[^>]*>)", re.IGNORECASE | re.MULTILINE)
HEAD = 4096  # bytes of a message in which its Message-ID stands
END = b"\r\n.\r\n"
EHLO = b"250-sink.invalid\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n"


class Counts:
    """How often each reader was written to, with which Message-ID."""

    def __init__(self, readers: int) -> None:
        self.copies = bytearray(readers + 1)
        self.message_ids = array("I", bytes(4 * (readers + 1)))  # CRC-32; 0: none yet
        self.total = self.distinct = self.foreign_copies = self.others = 0

    def take(self, number: int | None, message: bytes) -> None:
        """`number` is None for anybody but the made-up readers."""
        self.total += 1
        if number is None or number >= len(self.copies):
            self.others += 1
            return
        found = MESSAGE_ID.search(message, 0, HEAD)
        mark = zlib.crc32(found[1]) if found else 0
        if not self.copies[number]:
            self.distinct += 1
            self.message_ids[number] = mark
        elif self.message_ids[number] != mark:
            self.foreign_copies += 1
        self.copies[number] = min(255, self.copies[number] + 1)

    def totals(self) -> dict[str, int]:
        return {
            "total": self.total,
            "distinct": self.distinct,
            "copies": self.total - self.others - self.distinct,
            "foreign_copies": self.foreign_copies,  # another Message-ID than the first one
            "others": self.others,
        }

    def write(self, path: Path) -> None:
        """One line of totals, then a byte for each reader, then their checksums."""
        draft = path.with_suffix(".new")
        with draft.open("wb") as file:
            file.write(json.dumps(self.totals()).encode() + b"\n")
            file.write(self.copies)
            file.write(self.message_ids.tobytes())
        draft.replace(path)


def read(path: Path) -> Counts:
    """Read what `Counts.write` wrote."""
    with path.open("rb") as file:
        totals = json.loads(file.readline())
        content = file.read()
    readers = len(content) // 5 - 1  # one byte and four for each
    counts = Counts(readers)
    counts.copies = bytearray(content[: readers + 1])
    counts.message_ids = array("I", content[readers + 1 :])
    counts.total, counts.distinct = totals["total"], totals["distinct"]
    counts.foreign_copies, counts.others = totals["foreign_copies"], totals["others"]
    return counts


class Conversation(asyncio.Protocol):
    """One SMTP connection (RFC 5321, with PIPELINING)."""

    def __init__(self, counts: Counts, delay: float) -> None:
        self._counts = counts
        self._delay = delay  # seconds before the reply to the final dot
        self._received = bytearray()
        self._in_data = False
        self._searched = 0
        self._number: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"220 sink.invalid ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._received += data
        go_on = True
        while go_on:
            go_on = self._take_message() if self._in_data else self._take_line()

    def _take_line(self) -> bool:
        end = self._received.find(b"\n")
        if end < 0:
            return False
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        reply = self._reply_to(line)
        self._transport.write(reply)
        if reply.startswith(b"221"):
            self._transport.close()
        return True

    def _reply_to(self, line: bytes) -> bytes:
        match line[:4].upper():
            case b"EHLO":
                return EHLO
            case b"RCPT":
                reader = READER.search(line)
                self._number = int(reader[1]) if reader else None
                return b"250 2.1.5 ok\r\n"
            case b"DATA":
                self._in_data = True
                self._searched = 0
                return b"354 go on\r\n"
            case b"XCOU":
                return f"250 {json.dumps(self._counts.totals())}\r\n".encode()
            case b"QUIT":
                return b"221 2.0.0 bye\r\n"
        return b"250 2.0.0 ok\r\n"

    def _take_message(self) -> bool:
        end = self._received.find(END, max(0, self._searched - len(END)))
        if end < 0:
            self._searched = len(self._received)
            return False
        self._counts.take(self._number, bytes(self._received[:HEAD]))
        del self._received[: end + len(END)]
        self._in_data = False
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._accept)
        else:
            self._accept()
        return True

    def _accept(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(b"250 2.0.0 taken\r\n")


async def serve(counts: Counts, *, host: str, port: int, path: str, delay: float) -> None:
    """Listen on TCP and on a unix socket until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    conversation: Callable[[], Conversation] = functools.partial(Conversation, counts, delay)
    tcp = await loop.create_server(conversation, host, port, backlog=256)
    unix = await loop.create_unix_server(conversation, path)
    async with tcp, unix:
        await ended.wait()


def main() -> int:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--unix", required=True, help="path of a socket, for questions")
    parser.add_argument("--readers", type=int, required=True)
    parser.add_argument("--delay", type=float, default=0, help="seconds before the reply to a dot")
    parser.add_argument("--file", type=Path, required=True)
    options = parser.parse_args()
    counts = read(options.file) if options.file.exists() else Counts(options.readers)
    place = {"host": options.host, "port": options.port, "path": options.unix}
    try:
        asyncio.run(serve(counts, **place, delay=options.delay))
    finally:
        counts.write(options.file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
