"""Real Celery workers and a real beat on the test's own database, to be killed at will."""

import contextlib
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from json import dumps
from pathlib import Path
from typing import Any

from celery import Task
from django.db import connection

from iria_news.celery import app
from mailer.models import Edition
from tests.faults.counting_sink import CountingSink

CONNECTIONS = 3  # of each sending process
PROCESSES = 2  # of each worker that may send
LEASE_SECONDS = 3
QUEUES = "tick,freeze,render,send,confirm,default"

Fault = tuple[str, dict[str, Any]]  # a module of this package, and what its `install` is told


class Nursery:
    """The process that workers are forked from; one for a whole run."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.faults.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def start(self, **order: Any) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def end(self) -> None:
        self._process.communicate()


class Worker:
    """A started process with a group of its own. It is nobody's child, so it leaves no zombie."""

    def __init__(self, pid: int, order: dict[str, Any]) -> None:
        self.pid = pid
        self.order = order
        self._descriptor = os.pidfd_open(pid)

    def is_alive(self) -> bool:
        return not select.select([self._descriptor], [], [], 0)[0]

    def children(self) -> list[int]:
        """The processes of its pool."""
        try:
            return [
                int(pid)
                for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            ]
        except OSError:
            return []

    def signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def limit(self, resource_: int, soft: int) -> None:
        """Change a limit of its processes while they run. Needs no root: the hard limit stays."""
        for pid in [self.pid, *self.children()]:
            with contextlib.suppress(ProcessLookupError):
                _, hard = resource.prlimit(pid, resource_)
                resource.prlimit(pid, resource_, (soft, hard))

    def wait(self, seconds: float = 60) -> None:
        assert select.select([self._descriptor], [], [], seconds)[0], f"{self.pid} does not end"


class Workers:
    """Start, stop and kill; counts the kills for the bound on copies."""

    def __init__(self, nursery: Nursery, folder: Path, sink: CountingSink, redis_url: str) -> None:
        self.folder = folder
        self.kills = self.restarts = 0
        self.is_supervised = False  # whether `wait_until` starts anew what has ended
        self.running: list[Worker] = []
        self.environment = os.environ | {
            "DATABASE_URL": database_url(),
            "REDIS_URL": redis_url,
            "EMAIL_URL": f"smtp+unix://{sink.path}",
            "TICK_SECONDS": "1",
            "LEASE_SECONDS": str(LEASE_SECONDS),
            "SMTP_CONNECTIONS_PER_WORKER": str(CONNECTIONS),
            "SENDING_WORKERS": "4",
            "PYTHONWARNINGS": "ignore",
        }
        self._nursery = nursery

    def start(
        self, *faults: Fault, queues: str = QUEUES, processes: int = PROCESSES, **environment: str
    ) -> Worker:
        """A worker that serves `queues`; `environment` overrides for this one."""
        return self._run(
            *("worker", "-Q", queues, "-c", str(processes), "--pool", "prefork"),
            *("-n", f"w{len(self.running)}-{time.monotonic_ns()}@test"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
            faults=faults,
            environment=environment,
        )

    def start_beat(self, *faults: Fault, **environment: str) -> Worker:
        schedule = self.folder / f"beat-schedule-{time.monotonic_ns()}"
        return self._run(
            *("beat", "--schedule", str(schedule), "--pidfile="),
            faults=faults,
            environment=environment,
        )

    def ring(self, task: Task, *arguments: object) -> None:
        """Ring once for a task, as another process of ours would."""
        with app.connection_for_write(self._broker_url()) as line:
            task.apply_async(arguments, connection=line)

    def _broker_url(self) -> str:
        url = self.environment["REDIS_URL"]
        return url.replace("unix://", "redis+socket://", 1)

    def _run(
        self, *arguments: str, faults: tuple[Fault, ...], environment: dict[str, str]
    ) -> Worker:
        return self._start(
            {
                "arguments": arguments,
                "environment": self.environment | environment,
                "faults": [(f"tests.faults.{name}", options) for name, options in faults],
                "log": str(self.folder / "celery.log"),
            }
        )

    def _start(self, order: dict[str, Any]) -> Worker:
        worker = Worker(self._nursery.start(**order), order)
        self.running.append(worker)
        return worker

    def keep_up(self) -> None:
        """Start anew what has ended by itself, as a supervisor does."""
        for worker in [each for each in self.running if not each.is_alive()]:
            self.running.remove(worker)
            self.restarts += 1
            self._start(worker.order)

    def kill(self, worker: Worker) -> None:
        """SIGKILL to parent and children: no clean-up of any kind."""
        worker.signal_group(signal.SIGKILL)
        worker.wait()
        self.running.remove(worker)
        self.kills += 1

    def died(self, worker: Worker) -> None:
        """It was to kill itself: wait until it has."""
        worker.wait()
        self.running.remove(worker)
        self.kills += 1

    def die_at(
        self,
        point: str,
        *,
        task: Task,
        queue: str,
        arguments: tuple[object, ...] = (),
        call: int = 1,
        faults: tuple[Fault, ...] = (),
    ) -> None:
        """Start a worker that dies at this point, ring for it, and see that it was there."""
        note = self.folder / f"reached-{self.kills}"
        dying = ("dying", {"point": point, "note": str(note), "call": call})
        worker = self.start(*faults, dying, queues=queue, processes=1)
        self.ring(task, *arguments)
        self.died(worker)
        assert note.exists(), f"it died before {point!r}; the log says:\n{self.log()}"

    def stop(self, worker: Worker) -> None:
        """SIGTERM to the parent, as a supervisor does, and wait."""
        self.ask_to_stop(worker)
        worker.wait()
        self.running.remove(worker)

    def ask_to_stop(self, worker: Worker) -> None:
        os.kill(worker.pid, signal.SIGTERM)

    def end(self) -> None:
        for worker in self.running:
            worker.signal_group(signal.SIGCONT)
            worker.signal_group(signal.SIGKILL)
        for worker in self.running:
            worker.wait()
        self.running.clear()

    def log(self) -> str:
        path = self.folder / "celery.log"
        return path.read_text(errors="replace")[-6000:] if path.exists() else "(nothing)"

    def wait_until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"it did not happen; they say:\n{self.log()}"
            if self.is_supervised:
                self.keep_up()
            time.sleep(0.05)

    def wait_for_state(self, edition: Edition, wanted: str = "done", seconds: float = 60) -> None:
        self.wait_until(lambda: state(edition) == wanted, seconds)


def database_url() -> str:
    """The URL of the test's database as it is now."""
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


@contextlib.contextmanager
def at_work(
    nursery: Nursery, folder: Path, sink: CountingSink, redis_url: str
) -> Iterator[Workers]:
    workers = Workers(nursery, folder, sink, redis_url)
    try:
        yield workers
    finally:
        workers.end()


def state(edition: Edition) -> str:
    return Edition.objects.values_list("state", flat=True).get(pk=edition.pk)
