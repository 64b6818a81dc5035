"""Sign-ups per second, against a bare Django view with one insert.

One gunicorn, started as the product starts it, serves both; rounds alternate, so that a noisy
minute strikes both. Clients share the machine's cores. No worker acts on the requests: what is
measured is the page that a person waits for. Kept as JSON in build/bench-signups.json.
"""

import contextlib
import itertools
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from benchmarks import machine, report, servers
from iria_news.embedded import valkey

GOAL = 0.4  # of the bare view
CONTENDERS = {"IRIA News, sign-up": "/subscribe/", "bare view, one insert": "/bare/"}
REFERENCE = "bare view, one insert"
CONNECTIONS = 8
TYPING = 3  # seconds; a form that comes back sooner was sent by a program
# As in iria_news/supervisor/parts.py, but for the site and the port.
GUNICORN = ["--worker-class", "gthread", "--workers", "2", "--threads", "4", "--preload"]
_numbers = itertools.count(1)


class Refused(Exception):
    """An answer was not the one that a sign-up gets."""


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers end with us
    state: dict[str, Any] = {**machine.described(), "rates": {}}
    with tempfile.TemporaryDirectory(prefix="iria-signups-") as folder:
        place = Path(folder)
        place.chmod(0o755)  # the database runs as somebody else
        with (
            servers.postgresql(place / "postgresql") as database,
            servers.redis_server(place / "redis"),
        ):
            redis = f"unix://{place / 'redis' / valkey.SOCKET}"
            for name, url in {"SQLite": "", "PostgreSQL": database.url()}.items():
                with _site(place / name, url, redis) as port:
                    _play(name, port, state["rates"], options)
    report.keep(machine.BUILD / "bench-signups.json", state)
    return _say(state, options)


def _options() -> Namespace:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="for each contender in a round")
    return parser.parse_args()


@contextlib.contextmanager
def _site(data_dir: Path, database_url: str, redis_url: str) -> Iterator[int]:
    """The web part of the service with the demo newsroom; yields its port."""
    port = servers.free_port()
    data_dir.mkdir()
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "DATA_DIR": str(data_dir),
        **({"DATABASE_URL": database_url} if database_url else {}),
        "REDIS_URL": redis_url,
        "PORT": str(port),
        "LOG_LEVEL": "ERROR",
    }
    for command in (["migrate"], ["load_demo", "--readers", "10"], ["collectstatic", "--noinput"]):
        arguments = [sys.executable, "manage.py", *command]
        subprocess.run(
            arguments, cwd=machine.ROOT, env=environment, check=True, stdout=subprocess.DEVNULL
        )
    address = f"127.0.0.1:{port}"
    command = [sys.executable, "-m", "gunicorn", "benchmarks.signups_site:application"]
    web = subprocess.Popen(
        [*command, "--bind", address, *GUNICORN, "--no-control-socket", "--log-level", "error"],
        cwd=machine.ROOT,
        env=environment,
    )
    try:
        servers.wait_for("gunicorn", lambda: servers.accepts("127.0.0.1", port))
        yield port
    finally:
        web.terminate()
        web.wait()


def _play(database: str, port: int, rates: report.Rates, options: Namespace) -> None:
    with urlopen(f"http://127.0.0.1:{port}/subscribe/") as answer:
        form_age = re.search(rb'name="form_age" value="([^"]+)"', answer.read())
    assert form_age is not None
    time.sleep(TYPING)
    for number in range(options.rounds + 1):
        for name, path in CONTENDERS.items():
            rate = _rate(port, path, form_age[1].decode(), options.seconds if number else 1)
            if number:  # the first is to warm up
                rates.setdefault(f"{name}, {database}", []).append(rate)
                sys.stderr.write(f"round {number}, {database}: {name}: {rate:,.0f}/s\n")


def _rate(port: int, path: str, form_age: str, seconds: float) -> float:
    """Requests a second over all connections. Raises Refused."""
    counts: list[int] = []
    ends = time.monotonic() + seconds
    clients = [
        threading.Thread(target=lambda: counts.append(_post(port, path, form_age, ends)))
        for _ in range(CONNECTIONS)
    ]
    began = time.monotonic()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    if len(counts) < CONNECTIONS:
        raise Refused(f"{path} did not answer every form as it should")
    return sum(counts) / (time.monotonic() - began)


def _post(port: int, path: str, form_age: str, ends: float) -> int:
    """Send forms over one connection until the time is up; return how many were taken."""
    taken = 0
    with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        while time.monotonic() < ends:
            number = next(_numbers)
            fields = {"email": f"new{number}@d{number}.example", "website": ""}
            body = urlencode({**fields, "form_age": form_age})
            line.sendall(
                f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
                f"Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}".encode()
            )
            head = b""
            while b"\r\n\r\n" not in head:  # both answers have no body
                piece = line.recv(65536)
                if not piece:
                    raise Refused(f"{path} closed the connection")
                head += piece
            if not head.startswith((b"HTTP/1.1 303", b"HTTP/1.1 302")):
                raise Refused(head[:200].decode(errors="replace"))
            taken += 1
    return taken


def _say(state: dict[str, Any], options: Namespace) -> int:
    """Print the table; 1 if the goal is missed on one of the databases."""
    rates: report.Rates = state["rates"]
    print(f"{state['date']}, {state['cores']} cores, {state['revision']}")
    print(f"medians of {options.rounds} alternating rounds, {CONNECTIONS} connections\n")
    rows, missed = [], False
    for name, found in rates.items():
        contender, _, database = name.rpartition(", ")
        bare = statistics.median(rates[f"{REFERENCE}, {database}"])
        ratio = statistics.median(found) / bare
        missed |= contender != REFERENCE and ratio < GOAL
        spread = f"{min(found):,.0f} - {max(found):,.0f}"
        rows.append([name, f"{statistics.median(found):,.0f}", f"{ratio:.2f}", spread])
    print(report.table(["", "forms/s", f"of the {REFERENCE}", "lowest - highest"], rows))
    print(f"\nThe goal is {GOAL} of the bare view: {'missed' if missed else 'reached'}.")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
