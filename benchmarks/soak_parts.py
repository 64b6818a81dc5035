"""The service of a soak: its parts as the supervisor starts them, and ways to hurt it."""

import dataclasses
import os
import random
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks import servers
from benchmarks.machine import ROOT
from iria_news.supervisor import children
from iria_news.supervisor.children import Child

QUICK_BELOW = 50_000  # recipients; short leases and ticks, slow replies, so that blows strike home
STOPS_WITHIN = 60  # seconds
READY_WITHIN = 90  # seconds
SENDING_PROCESSES = 2  # of each sending worker


def settings(
    folder: Path, *, database_url: str, redis_url: str, smtp: int, quick: bool, connections: int
) -> dict[str, str]:
    """The environment of all parts. A quick soak takes a dead worker's batches back sooner."""
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    port = servers.free_port()
    return {
        "DATA_DIR": str(data),
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "EMAIL_URL": f"smtp://127.0.0.1:{smtp}",
        "SUBMISSION_SERVERS": "",
        "PORT": str(port),
        "BIND": "127.0.0.1",
        "SITE_URL": f"http://localhost:{port}",
        "TRUSTED_PROXIES": "1",
        "SENDING_WORKERS": str(SENDING_PROCESSES),
        "SMTP_CONNECTIONS_PER_WORKER": str(connections),
        "LEASE_SECONDS": "4" if quick else "60",
        "TICK_SECONDS": "1" if quick else "5",
        "DJANGO_SETTINGS_MODULE": "iria_news.settings",
        "PYTHONPATH": str(ROOT),
    }


class Parts:
    """Web, two sending workers, those for everything short, and beat."""

    def __init__(self, notes: Path, *, is_resumed: bool) -> None:
        """`notes` holds whom an interrupted run killed; its own end struck every sender, too."""
        from iria_news import settings as ours
        from iria_news.supervisor import parts

        for place in (ours.DATA_DIR / "logs", ours.RUN_DIR):
            place.mkdir(exist_ok=True)
        sending = parts.sending_worker()
        self.sending = [_named(sending, f"sending-{number}") for number in (1, 2)]
        self.short = [parts.preparing_worker(), parts.confirming_worker()]
        self.web = parts.web_server()
        self._all = [self.web, *self.sending, *self.short, parts.beat()]
        self._visitors: Child | None = None
        self._notes = notes
        self.kills: list[str] = []
        if is_resumed and notes.exists():
            self.kills = notes.read_text().split() + [child.name for child in self.sending]

    def start(self) -> None:
        """Start all and wait until the site is ready; from then on a killed worker is noted."""
        self._notes.write_text("\n".join(self.kills))
        for child in self._all:
            child.start()
        servers.wait_for("the site", self.web.answers, seconds=READY_WITHIN)

    def admit_visitors(self, edition_id: int, file: Path, *, seed: int, pause: float) -> None:
        from iria_news import settings as ours

        command = [
            *(sys.executable, "-m", "benchmarks.visitors", "--site", ours.SITE_URL),
            *("--edition", str(edition_id), "--file", str(file)),
            *("--seed", str(seed), "--pause", str(pause)),
        ]
        log = ours.DATA_DIR / "logs" / "visitors.log"
        self._visitors = Child("visitors", command, log, STOPS_WITHIN)
        self._visitors.start()

    def dismiss_visitors(self) -> None:
        if self._visitors is not None:
            _stop([self._visitors])

    def mend(self) -> None:
        """Start again what ended, as the supervisor does; visitors must not end."""
        for child in self._all:
            child.ended()
            child.start_again()
        if self._visitors is not None and (how := self._visitors.ended()):
            raise servers.NotStarted(f"the visitors ended ({how}); see {self._visitors.log}")

    def kill_one(self, chance: random.Random) -> str:
        """SIGKILL to one worker with all its processes; says which."""
        running = [child for child in (*self.sending, *self.short) if child.pid]
        if not running:
            return ""
        victim = chance.choice(running)
        victim.kill_group()
        self.kills.append(victim.name)
        self._notes.write_text("\n".join(self.kills))
        return victim.name

    def copies_allowed(self, connections: int) -> int:
        """One for each connection that a killed worker had, or could have had, open."""
        of_sending = sum(name.startswith("sending") for name in self.kills)
        return of_sending * SENDING_PROCESSES * connections

    def pids(self) -> dict[str, int | None]:
        return {child.name: child.pid for child in self._all}

    def stop(self) -> None:
        """All of them: who is on the site, then beat, and so on."""
        self.dismiss_visitors()
        _stop(reversed(self._all))


def _named(child: Child, name: str) -> Child:
    command = [name + "@%h" if word == f"{child.name}@%h" else word for word in child.command]
    return dataclasses.replace(
        child, name=name, command=command, log=child.log.with_name(f"{name}.log")
    )


def _stop(parts: Iterable[Child]) -> None:
    together = [child for child in parts if child.pid]
    for child in together:
        child.ask_to_stop()
    for child in together:
        try:
            servers.wait_for(child.name, lambda c=child: not c.pid or bool(c.ended()), seconds=90)  # type: ignore[misc]
        except servers.NotStarted:
            child.kill_group()
            raise


def run_preparation() -> None:
    """Migrations, static files and the editor's account, as before the first start."""
    command = [sys.executable, "-m", "iria_news.supervisor.preparation", "--no-demo"]
    process = children.spawn(command, output=None, environment={"LOG_LEVEL": "WARNING"})
    if process.wait():
        raise servers.NotStarted("the preparation failed")


def use(environment: dict[str, str]) -> None:
    """From now on this process and those it starts belong to this installation.

    An empty value takes the variable away: whatever this process had, the default counts.
    """
    for name, value in environment.items():
        if value:
            os.environ[name] = value
        else:
            os.environ.pop(name, None)
    import django

    django.setup()
