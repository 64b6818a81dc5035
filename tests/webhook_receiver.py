"""The other side of a webhook: a real HTTPS server on loopback that keeps what it is told.

Its answers are bytes on the line, so it can also be slow, hostile, or silent. `connect` is the one
place where the guard lets it through: the product refuses every private address.
"""

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from iria_news import fetching
from tests.iria_news.smtp import tls

URL = "https://hooks.example/iria?key=theirs"
HOST = "hooks.example"


@dataclass
class Told:
    """One request: its line, its headers in small letters, its body."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def payload(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def uid(self) -> str:
        return self.headers["webhook-id"]

    def is_signed_with(self, secret: str) -> bool:
        """The check of Standard Webhooks, written down apart from the product's signature."""
        stamp = self.headers["webhook-timestamp"]
        content = f"{self.uid}.{stamp}.{self.body.decode()}".encode()
        key = base64.b64decode(secret.split("_", 1)[1])
        expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
        fresh = abs(time.time() - int(stamp)) < 300
        offered = self.headers["webhook-signature"].split(" ")
        return fresh and f"v1,{expected}" in offered


Answer = Callable[[socket.socket, Told], None]


def answer(status: int, *headers: str, body: bytes = b"") -> Answer:
    def send(line: socket.socket, _told: Told) -> None:
        head = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers, "", ""]
        line.sendall("\r\n".join(head).encode("latin-1") + body)

    return send


def raw(*pieces: bytes, every: float = 0.0) -> Answer:
    def send(line: socket.socket, _told: Told) -> None:
        for piece in pieces:
            line.sendall(piece)
            time.sleep(every)

    return send


@dataclass
class Receiver:
    """Use as a context manager. `script` holds the next answers; then everything is taken."""

    script: list[Answer] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    def __enter__(self) -> "Receiver":
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._lines: list[socket.socket] = []
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for line in self._lines:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()

    def connect(
        self, host: str, port: int, deadline: fetching.Deadline
    ) -> http.client.HTTPConnection:
        """What leads `hooks.example` here; every other name goes the way of the product."""
        if host != HOST:
            return fetching.connect(host, port, deadline)
        trusting = ssl.create_default_context(cafile=str(tls.CERTIFICATE))
        plain = socket.create_connection(("127.0.0.1", self.port), deadline.left())
        connection = http.client.HTTPSConnection(host, port, context=trusting)
        connection.sock = trusting.wrap_socket(plain, server_hostname="127.0.0.1")
        return connection

    def wait_for(self, number: int, *, within: float = 20) -> None:
        deadline = time.monotonic() + within
        while len(self.told) < number:
            assert time.monotonic() < deadline, f"{len(self.told)} of {number} calls came"
            time.sleep(0.01)

    def _listen(self) -> None:
        context = tls.context()
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(context, plain), daemon=True).start()

    def _serve(self, context: ssl.SSLContext, plain: socket.socket) -> None:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        with contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as line:
            self._lines.append(line)
            told = _read(line)
            with self._lock:
                self.told.append(told)
                send = self.script.pop(0) if self.script else answer(200)
            send(line, told)
        with self._lock:
            self.at_once -= 1


def _read(line: socket.socket) -> Told:
    with line.makefile("rb") as file:
        first = file.readline().decode().strip()
        headers = {}
        while pair := file.readline().decode().strip():
            name, _, value = pair.partition(":")
            headers[name.lower()] = value.strip()
        return Told(first, headers, file.read(int(headers.get("content-length", 0))))
