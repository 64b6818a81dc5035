"""Who sends the same message into the same sink: ours, and what it is measured against.

Each contender is a function that sends once and returns its rate in messages a second.
"""

import json
import os
import smtplib
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import sinks
from benchmarks.machine import BUILD, ROOT

MANAGE = ROOT / "manage.py"
LOCK = ROOT / "benchmarks" / "django-newsletter.lock"
PEER = ROOT / "benchmarks" / "newsletter_peer.py"
SENDER, RECIPIENT = "bounce@bench.invalid", "reader@bench.invalid"
# Slow ones send less; the rate is the same, sooner.
SMTPLIB_SHARE = 5
NEWSLETTER_SHARE = 20
LEAST = 50  # messages
OUR_OWN = ("DATA_DIR", "DATABASE_URL", "REDIS_URL", "EMAIL_URL", "SUBMISSION_SERVERS", "SITE_URL")


class NotRun(Exception):
    """This contender cannot run here. The message says why, for the table."""


@dataclass
class Task:
    """What everybody has to send, and where to."""

    recipients: int
    size: int  # bytes asked of our message; `message` says what became of it
    connections: int
    port: int
    database_url: str  # of a PostgreSQL that we may empty
    redis_url: str
    host: str = "127.0.0.1"  # the sink, with `port`
    message: Path = field(default=BUILD / "bench-message.eml")
    details: dict[str, dict[str, object]] = field(default_factory=dict)  # of our last runs

    @property
    def sink(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def message_bytes(self) -> int:
        return self.message.stat().st_size


def environment(data_dir: Path | str, **ours: str) -> dict[str, str]:
    """The environment of this process without settings of ours, but for those given."""
    kept = {name: value for name, value in os.environ.items() if name not in OUR_OWN}
    return kept | {"DATA_DIR": str(data_dir), "SITE_URL": "https://news.ir-ia.example"} | ours


def manage(settings: dict[str, str], *arguments: str) -> str:
    """Run a management command; its standard output. Raises SystemExit with what went wrong."""
    done = subprocess.run(
        [sys.executable, str(MANAGE), *arguments],
        env=settings,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{arguments[0]} failed: {done.stdout}{done.stderr}")
    return done.stdout


def deliver(settings: dict[str, str], task: Task, *more: str) -> dict[str, object]:
    """One edition from freezing to a balanced ledger; what `bench_delivery` says of it."""
    said = manage(
        settings,
        *("bench_delivery", "--json", "--smtp", task.sink),
        *("--recipients", str(task.recipients), "--bytes", str(task.size)),
        *("--connections", str(task.connections), *more),
    )
    found: dict[str, object] = json.loads(said.splitlines()[-1])
    return found


def ours_on_sqlite(task: Task) -> float:
    with tempfile.TemporaryDirectory(prefix="iria-bench-") as folder:
        settings = environment(folder, REDIS_URL=task.redis_url)
        manage(settings, "migrate", "-v0")
        return _ours(settings, task, "IRIA News, SQLite")


def ours_on_postgresql(task: Task) -> float:
    with tempfile.TemporaryDirectory(prefix="iria-bench-") as folder:
        urls = {"DATABASE_URL": task.database_url, "REDIS_URL": task.redis_url}
        settings = environment(folder, **urls)
        manage(settings, "migrate", "-v0")
        manage(settings, "flush", "--no-input")
        return _ours(settings, task, "IRIA News, PostgreSQL")


def _ours(settings: dict[str, str], task: Task, name: str) -> float:
    task.message.parent.mkdir(exist_ok=True)
    found = task.details[name] = deliver(settings, task, "--export", str(task.message))
    return float(str(found["messages_per_second"]))


def smtp_source(task: Task) -> float:
    """Postfix's generator, each connection kept for all its messages."""
    return _smtp_source(task, "-d")


def smtp_source_reconnecting(task: Task) -> float:
    """As it comes: a connection for each message."""
    return _smtp_source(task)


def _smtp_source(task: Task, *more: str) -> float:
    command = [
        *(str(sinks.program("smtp-source")), *more, "-s", str(task.connections)),
        *("-l", str(task.message_bytes), "-m", str(task.recipients)),
        *("-f", SENDER, "-t", RECIPIENT, task.sink),
    ]
    return _rate(task.recipients, lambda: subprocess.run(command, check=True, capture_output=True))


def smtplib_one_by_one(task: Task) -> float:
    """smtplib on one reused connection, as most senders work."""
    message = task.message.read_bytes()
    count = max(LEAST, task.recipients // SMTPLIB_SHARE)

    def run() -> None:
        with smtplib.SMTP(task.host, task.port, local_hostname="bench") as line:
            for _ in range(count):
                line.sendmail(SENDER, [RECIPIENT], message)

    return _rate(count, run)


def django_newsletter(task: Task) -> float:
    """The submission of django-newsletter. Raises NotRun where it cannot be installed."""
    python = _newsletter_python()
    with tempfile.TemporaryDirectory(prefix="iria-bench-") as folder:
        done = subprocess.run(
            [
                *(str(python), str(PEER), "--host", task.host, "--port", str(task.port)),
                *("--recipients", str(max(LEAST, task.recipients // NEWSLETTER_SHARE))),
                *("--bytes", str(task.message_bytes), "--database", f"{folder}/peer.sqlite3"),
            ],
            env={"PATH": os.environ.get("PATH", "")},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise NotRun((done.stderr.strip().splitlines() or ["it said nothing"])[-1])
    found = json.loads(done.stdout.splitlines()[-1])
    task.details["django-newsletter"] = found
    return float(found["messages_per_second"])


def _newsletter_python() -> Path:
    """An environment of its own, made once from the hashed lock file."""
    place = BUILD / "django-newsletter"
    python = place / "bin" / "python"
    mark = place / ".installed"
    if mark.exists() and mark.stat().st_mtime >= LOCK.stat().st_mtime:
        return python
    venv.create(place, with_pip=True, clear=True)
    done = subprocess.run(
        [
            *(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--retries", "1", "--no-deps", "--require-hashes", "-r", str(LOCK)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
        raise NotRun(f"it cannot be installed: {last}")
    mark.touch()
    return python


def _rate(messages: int, run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return messages / (time.perf_counter() - began)


# In the order of a round. Ours first: its message is what the others send.
ALL: dict[str, Callable[[Task], float]] = {
    "IRIA News, PostgreSQL": ours_on_postgresql,
    "IRIA News, SQLite": ours_on_sqlite,
    "smtp-source, connections kept": smtp_source,
    "smtp-source, one for each message": smtp_source_reconnecting,
    "smtplib one by one": smtplib_one_by_one,
    "django-newsletter": django_newsletter,
}
MAKE_THE_MESSAGE = (ours_on_postgresql, ours_on_sqlite)
