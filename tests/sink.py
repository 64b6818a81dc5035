"""A real SMTP server for tests: takes messages, counts them, and misbehaves on request.

It runs in threads of the test process and listens on a unix socket or on loopback. A `Script`
decides what it answers; everything accepted is in `messages`, byte for byte.
"""

import contextlib
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path


@dataclass(frozen=True)
class Taken:
    sender: str
    recipient: str
    raw: bytes
    params: str = ""  # of MAIL and RCPT

    @property
    def message(self) -> EmailMessage:
        parsed = message_from_bytes(self.raw, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    @property
    def message_id(self) -> str:
        return str(self.message["Message-ID"])


@dataclass
class Script:
    """What the server does. Replies are texts such as "450 4.2.1 slow down"."""

    extensions: list[str] = field(default_factory=lambda: ["PIPELINING", "8BITMIME"])
    banner: str = "220 sink.test ESMTP"
    mail: Callable[[str], str] = lambda sender: "250 2.1.0 ok"
    rcpt: Callable[[str], str] = lambda recipient: "250 2.1.5 ok"
    data: str = "354 go on"
    dot: Callable[[str], str | None] = lambda recipient: "250 2.0.0 taken"  # None: no reply, cut
    keep_unanswered: bool = True  # whether a message without a reply counts as accepted
    delay: float = 0.0  # seconds before the reply to the dot
    close_after: int = 0  # messages per connection; 0 is no limit
    password: str = ""
    tls: ssl.SSLContext | None = None
    data_after_refusal: bool = False  # answer 354 although the recipient was refused (RFC 2920)
    starttls: str = "220 go ahead"
    cut: Callable[[bytes], list[bytes]] = lambda reply: [reply]  # what is written at once
    glue: bool = False  # hold the replies to MAIL and RCPT back, and write them with that to DATA
    drops_groups: bool = False  # of commands that came together read the first only


class Sink:
    """Use as a context manager. Give a path for a unix socket, or nothing for a loopback port."""

    def __init__(self, path: Path | None = None, script: Script | None = None) -> None:
        self.script = script or Script()
        self.taken: list[Taken] = []
        self.connections = 0
        self.most_connections = 0  # at once; more are refused with 421; 0 is no limit
        self.commands: list[str] = []
        self._open: set[socket.socket] = set()
        if path is None:
            self._server: socketserver.BaseServer = _Tcp(("127.0.0.1", 0), _Conversation)
        else:
            path.unlink(missing_ok=True)
            self._server = _Unix(str(path), _Conversation)
        self._server.sink = self  # type: ignore[attr-defined]
        self.path = path

    @property
    def port(self) -> int:
        return self._server.server_address[1]  # type: ignore[return-value]

    def __enter__(self) -> "Sink":
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        for line in list(self._open):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        self._thread.join()
        if self.path:
            self.path.unlink(missing_ok=True)

    def to(self, recipient: str) -> list[Taken]:
        return [taken for taken in self.taken if taken.recipient == recipient]

    def hang_up(self, word: str = "") -> None:
        """Close every line, as servers do that were idle for too long; maybe with a last word."""
        for line in list(self._open):
            with contextlib.suppress(OSError):
                line.sendall(f"{word}\r\n".encode() if word else b"")
                line.shutdown(socket.SHUT_RDWR)

    def wait_for(self, messages: int, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while len(self.taken) < messages:
            assert time.monotonic() < deadline, f"{len(self.taken)} of {messages} messages came"
            time.sleep(0.01)


class _Unix(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64


class _Tcp(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64


class _Conversation(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.sink: Sink = self.server.sink  # type: ignore[attr-defined]
        self.sink.connections += 1
        self.sink._open.add(self.request)
        if self.request.family == socket.AF_INET:  # or each small reply waits 40 ms for the last
            self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        most = self.sink.most_connections
        with contextlib.suppress(OSError):
            if most and len(self.sink._open) > most:
                self._say("421 4.7.0 too many connections from you")
            else:
                self._converse(self.sink.script)
        self.sink._open.discard(self.request)
        if isinstance(self.request, ssl.SSLSocket):  # socketserver closes the one below only
            self.request.close()

    def _say(self, reply: str, *, hold: bool = False) -> None:
        held = getattr(self, "_held", b"") + f"{reply}\r\n".encode()
        self._held = held if hold else b""
        pieces = [] if hold else self.sink.script.cut(held)
        for piece in pieces:
            self.wfile.write(piece)
            if len(pieces) > 1:
                time.sleep(0.001)  # or the kernel puts them together again

    def _drop_group(self, script: Script) -> None:
        """Forget the commands that came together with the one that is answered next."""
        if script.drops_groups:
            self.request.setblocking(False)
            self.rfile.read(len(self.rfile.peek()))
            self.request.setblocking(True)

    def _converse(self, script: Script) -> None:
        self._say(script.banner)
        self.sender = self.recipient = self.params = ""
        messages = 0
        while line := self.rfile.readline():
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            self.sink.commands.append(text)
            verb = text[:4].upper()
            if verb == "EHLO":
                names = [*script.extensions, *(["AUTH PLAIN"] if script.password else [])]
                lines = ["sink.test", *names]
                for name in lines[:-1]:
                    self._say(f"250-{name}")
                self._say(f"250 {lines[-1]}")
            elif verb == "STAR" and script.tls:
                self._start_tls(script)
            elif verb == "AUTH":
                self._say("235 2.7.0 welcome" if script.password in text else "535 5.7.8 no")
            elif verb == "MAIL":
                if self.sender:
                    self._say("503 5.5.1 nested MAIL")
                    continue
                self.sender, self.params = _path(text)
                reply = script.mail(self.sender)
                if not reply.startswith("2"):
                    self.sender = ""
                self._drop_group(script)
                self._say(reply, hold=script.glue)
            elif verb == "RCPT":
                address, params = _path(text)
                reply = script.rcpt(address) if self.sender else "503 5.5.1 MAIL first"
                if reply.startswith("2"):
                    self.recipient, self.params = address, f"{self.params} {params}".strip()
                self._say(reply, hold=script.glue)
                if reply.startswith("421"):
                    return
            elif verb == "DATA":
                if not self.recipient and not script.data_after_refusal:
                    self._say("503 5.5.1 RCPT first")
                    continue
                self._say(script.data)
                if script.data.startswith("354") and not self._take(script):
                    return
                messages += 1
                if script.close_after and messages >= script.close_after:
                    return
            elif verb == "RSET":
                self.sender = self.recipient = self.params = ""
                self._say("250 2.0.0 ok")
            elif verb == "QUIT":
                self._say("221 2.0.0 bye")
                return
            elif verb == "NOOP":
                self._say("250 2.0.0 ok")
            else:
                self._say("500 5.5.2 what?")

    def _take(self, script: Script) -> bool:
        """Read a message and answer it; False when the line is to be cut."""
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                return False
            lines.append(line[1:] if line.startswith(b".") else line)
        sender, recipient, params = self.sender, self.recipient, self.params
        self.sender = self.recipient = self.params = ""
        if not recipient:
            self._say("554 5.5.1 no valid recipients")
            return True
        if script.delay:
            time.sleep(script.delay)
        reply = script.dot(recipient)
        if (reply is None and script.keep_unanswered) or (reply or "").startswith("250"):
            self.sink.taken.append(Taken(sender, recipient, b"".join(lines), params))
        if reply is None:
            return False
        self._say(reply)
        return not reply.startswith("421")

    def _start_tls(self, script: Script) -> None:
        self._say(script.starttls)
        if script.starttls.startswith("220") and script.tls:
            self._protect(script.tls)

    def _protect(self, context: ssl.SSLContext) -> None:
        self.sink._open.discard(self.request)
        self.request = context.wrap_socket(self.request, server_side=True)
        self.sink._open.add(self.request)
        self.rfile = self.request.makefile("rb")
        self.wfile = self.request.makefile("wb", 0)


def _path(command: str) -> tuple[str, str]:
    inside = command[command.index("<") + 1 :]
    address, _, params = inside.partition(">")
    return address, params.strip()
