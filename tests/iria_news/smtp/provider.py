"""A provider's HTTP interface (Postmark's) on loopback: takes messages, refuses, or cuts."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TAKEN = (200, {"ErrorCode": 0, "Message": "OK", "MessageID": "id-1", "To": "mara@example.org"})
CUT = (0, {})  # close the line without an answer


@dataclass
class Provider:
    """Use as a context manager. `answer` gets the request's JSON and returns status and JSON."""

    answer: Callable[[dict[str, Any]], tuple[int, Any]] = lambda asked: TAKEN
    asked: list[dict[str, Any]] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> "Provider":
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Interface)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._server.provider = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/"

    def anymail(self, **more: object) -> dict[str, object]:
        """The setting ANYMAIL for this provider."""
        return {"POSTMARK_SERVER_TOKEN": "t", "POSTMARK_API_URL": self.url, **more}


class _Interface(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.provider: Provider = self.server.provider  # type: ignore[attr-defined]
        self.provider.connections += 1

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.provider.asked.append(asked)
        status, said = self.provider.answer(asked)
        if not status:
            self.close_connection = True
            return
        body = said.encode() if isinstance(said, str) else json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet: a test looks at `asked`."""
