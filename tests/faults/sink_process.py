"""An SMTP server in a process of its own that writes down each message before it answers.

    python -m tests.faults.sink_process SOCKET RECORD

RECORD gets one line for each accepted message: the moment (CLOCK_MONOTONIC), Message-ID and
recipient. A line of JSON on standard input changes the behaviour; each is answered with "ok".
"""

import asyncio
import json
import os
import socket
import struct
import sys
import time
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field

DRIP_SECONDS = 0.0001


@dataclass
class Behaviour:
    """What the server does, for all conversations at once."""

    delay: float = 0.0  # seconds before the reply to the dot
    close_after: int = 0  # messages on a connection, then it is closed; 0: never
    bytewise: bool = False  # replies leave byte by byte
    glued: bool = False  # replies to a pipelined group leave together
    goodbye_every: int = 0  # every so many MAIL commands are answered 421, and the line is closed
    unanswered_every: int = 0  # every so many messages are accepted without an answer ...
    unanswered_how: str = "close"  # ... and the line is closed, reset, or kept ("silent")
    hang_up_at: dict[str, str] = field(
        default_factory=dict
    )  # address -> "rcpt" or "dot": cut there
    refuse: dict[str, str] = field(default_factory=dict)  # address -> reply to RCPT
    rates: dict[str, float] = field(
        default_factory=dict
    )  # domain -> messages a second, or it objects


class Server:
    def __init__(self, record: str) -> None:
        self.behaviour = Behaviour()
        self.mails = self.taken = self.objections = 0
        self.recent: dict[str, deque[float]] = defaultdict(deque)
        self.counts: Counter[str] = Counter()
        self._record = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def take(self, message_id: bytes, recipient: str) -> None:
        line = f"{time.monotonic():.6f} {message_id.decode()} {recipient}\n"
        os.write(self._record, line.encode())
        self.taken += 1

    def is_too_fast(self, recipient: str) -> bool:
        domain = recipient.rpartition("@")[2]
        rate = self.behaviour.rates.get(domain)
        if rate is None:
            return False
        recent, now = self.recent[domain], time.monotonic()
        while recent and recent[0] < now - 1:
            recent.popleft()
        if len(recent) >= rate:
            return True
        recent.append(now)
        return False


class Conversation(asyncio.Protocol):
    def __init__(self, server: Server) -> None:
        self.server = server
        self.buffer = bytearray()
        self.sender = self.recipient = ""
        self.outgoing = bytearray()
        self.is_body = self.is_waiting = self.is_reading = self.is_dripping = False
        self.messages = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.line = transport
        self.say("220 sink.test ESMTP")

    def say(self, *replies: str) -> None:
        self.outgoing += "".join(f"{reply}\r\n" for reply in replies).encode()
        behaviour = self.server.behaviour
        if behaviour.bytewise:
            self.drip()
        elif not (behaviour.glued and self.is_reading):
            self.flush()

    def flush(self) -> None:
        self.line.write(bytes(self.outgoing))
        self.outgoing.clear()

    def drip(self) -> None:
        """One byte now, the next in a moment."""
        self.line.write(bytes(self.outgoing[:1]))
        del self.outgoing[:1]
        if self.outgoing and not self.is_dripping:
            self.is_dripping = True
            asyncio.get_running_loop().call_later(DRIP_SECONDS, self.drip_on)

    def drip_on(self) -> None:
        self.is_dripping = False
        self.drip()

    def close(self) -> None:
        self.flush()
        self.line.close()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self.is_reading = True
        while not self.is_waiting and not self.line.is_closing():
            if not (self.read_body() if self.is_body else self.read_command()):
                break
        self.is_reading = False
        if self.server.behaviour.glued and not self.line.is_closing():
            self.flush()

    def read_command(self) -> bool:
        end = self.buffer.find(b"\r\n")
        if end < 0:
            return False
        text = self.buffer[:end].decode("utf-8", "replace")
        del self.buffer[: end + 2]
        self.obey(text[:4].upper(), text)
        return True

    def obey(self, verb: str, text: str) -> None:
        server, behaviour = self.server, self.server.behaviour
        if verb == "EHLO":
            self.say("250-sink.test", "250-PIPELINING", "250 8BITMIME")
        elif verb == "MAIL":
            server.mails += 1
            if behaviour.goodbye_every and server.mails % behaviour.goodbye_every == 0:
                self.say("421 4.3.2 closing for maintenance")
                self.close()
                return
            self.sender = text
            self.say("250 2.1.0 ok")
        elif verb == "RCPT":
            self.ask_for(text[text.index("<") + 1 : text.rindex(">")])
        elif verb == "DATA":
            self.is_body = bool(self.recipient)
            self.say("354 go on" if self.recipient else "503 5.5.1 RCPT first")
        elif verb == "RSET":
            self.sender = self.recipient = ""
            self.say("250 2.0.0 ok")
        elif verb == "QUIT":
            self.say("221 2.0.0 bye")
            self.close()
        else:
            self.say("500 5.5.2 what?")

    def ask_for(self, recipient: str) -> None:
        behaviour = self.server.behaviour
        if behaviour.hang_up_at.get(recipient) == "rcpt":
            self.line.abort()
        elif recipient in behaviour.refuse:
            self.say(behaviour.refuse[recipient])
        elif self.server.is_too_fast(recipient):
            self.object()
        else:
            self.recipient = recipient
            self.say("250 2.1.5 ok")

    def object(self) -> None:
        """In turn with a 451 and with a 421, which closes the line (RFC 5321 section 3.8)."""
        self.server.objections += 1
        if self.server.objections % 2:
            self.say("451 4.7.650 too many messages from your address, slow down")
        else:
            self.say("421 4.7.28 unusual rate of mail, try again later")
            self.close()

    def read_body(self) -> bool:
        end = self.buffer.find(b"\r\n.\r\n")
        if end < 0:
            return False
        raw = bytes(self.buffer[: end + 2])
        del self.buffer[: end + 5]
        self.is_body = False
        self.accept(raw)
        return True

    def accept(self, raw: bytes) -> None:
        server, behaviour = self.server, self.server.behaviour
        recipient, self.sender, self.recipient = self.recipient, "", ""
        start = raw.index(b"Message-ID: ") + 12
        server.take(raw[start : raw.index(b"\r\n", start)], recipient)
        self.messages += 1
        odd = behaviour.unanswered_every and server.taken % behaviour.unanswered_every == 0
        if odd or behaviour.hang_up_at.get(recipient) == "dot":
            self.leave_unanswered(behaviour.unanswered_how)
        elif behaviour.delay:
            self.is_waiting = True
            asyncio.get_running_loop().call_later(behaviour.delay, self.answer)
        else:
            self.answer()

    def leave_unanswered(self, how: str) -> None:
        if how == "silent":
            self.is_waiting = True
        elif how == "reset":
            line = self.line.get_extra_info("socket")
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.line.abort()
        else:
            self.close()

    def answer(self) -> None:
        self.is_waiting = False
        if self.line.is_closing():
            return
        self.say("250 2.0.0 taken")
        limit = self.server.behaviour.close_after
        if limit and self.messages >= limit:
            self.close()
        elif self.buffer:
            self.data_received(b"")


def _acknowledge() -> None:
    sys.stdout.write("ok\n")
    sys.stdout.flush()


async def main(path: str, record: str) -> None:
    loop = asyncio.get_running_loop()
    server = Server(record)
    await loop.create_unix_server(lambda: Conversation(server), path, backlog=256)
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    _acknowledge()
    while line := await orders.readline():
        for name, value in json.loads(line).items():
            assert hasattr(server.behaviour, name), name
            setattr(server.behaviour, name, value)
        _acknowledge()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
