"""Real Celery workers and a real beat on the test's own database, to be killed at will."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from django.db import connection

from mailer.models import Edition
from tests.sink import Sink

CONNECTIONS = 3  # of each sending process
LEASE_SECONDS = 4


class Workers:
    """Start, stop and kill; each worker is a process group of its own."""

    def __init__(self, folder: Path, sink: Sink, redis_url: str) -> None:
        self.folder = folder
        self.kills = 0
        self.running: list[subprocess.Popen[bytes]] = []
        self.environment = os.environ | {
            "DATABASE_URL": _database_url(),
            "REDIS_URL": redis_url,
            "EMAIL_URL": f"smtp+unix://{sink.path}",
            "TICK_SECONDS": "1",
            "LEASE_SECONDS": str(LEASE_SECONDS),
            "SMTP_CONNECTIONS_PER_WORKER": str(CONNECTIONS),
            "SENDING_WORKERS": "2",
            "PYTHONWARNINGS": "ignore",
        }

    def start(self) -> subprocess.Popen[bytes]:
        """A worker with one sending process and one for everything short."""
        return self._run(
            *("worker", "-Q", "tick,freeze,render,send,confirm,default", "-c", "2"),
            *("-n", f"w{len(self.running)}-{time.monotonic_ns()}@test", "--pool", "prefork"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        )

    def start_beat(self) -> subprocess.Popen[bytes]:
        schedule = self.folder / "beat-schedule"
        return self._run("beat", "--schedule", str(schedule), "--pidfile=")

    def _run(self, *arguments: str) -> subprocess.Popen[bytes]:
        log = (self.folder / "celery.log").open("ab")
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "iria_news", *arguments],
            env=self.environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()
        self.running.append(process)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """SIGKILL to parent and children: no clean-up of any kind."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.running.remove(process)
        self.kills += 1

    def signal(self, process: subprocess.Popen[bytes], number: signal.Signals) -> None:
        os.killpg(process.pid, number)

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """SIGTERM to the parent, as a supervisor does, and wait."""
        process.terminate()
        process.wait(timeout=60)
        self.running.remove(process)

    def end(self) -> None:
        for process in list(self.running):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def log(self) -> str:
        return (self.folder / "celery.log").read_text(errors="replace")[-4000:]


def _database_url() -> str:
    values = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{values['NAME']}"
    options = "&".join(
        f"{name}={value}" for name, value in values["OPTIONS"].items() if name != "options"
    )
    host = values["HOST"].replace("/", "%2F")
    user = values["USER"] + (f":{values['PASSWORD']}" if values["PASSWORD"] else "")
    place = f"{user}@{host}" + (f":{values['PORT']}" if values["PORT"] else "")
    return f"postgres://{place}/{values['NAME']}" + (f"?{options}" if options else "")


def wait_until(condition: Callable[[], bool], workers: Workers, *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen; the workers say:\n{workers.log()}"
        time.sleep(0.05)


@contextlib.contextmanager
def at_work(folder: Path, sink: Sink, redis_url: str) -> Iterator[Workers]:
    workers = Workers(folder, sink, redis_url)
    try:
        yield workers
    finally:
        workers.end()


def state(edition: Edition) -> str:
    return Edition.objects.values_list("state", flat=True).get(pk=edition.pk)
