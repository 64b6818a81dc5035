"""Workers on two hosts, one of which loses its network in the middle of an edition.

With root, hosts are network namespaces joined by a bridge, and the cable of one is pulled. Without,
they are two groups of processes with folders of their own on one machine, and the one that is cut
reaches the servers through a proxy that stops. Either way what was on its way arrives late, when
its lease is long lost. Prints one line of JSON; exit code 1 if somebody was lost, got more
copies than the cut host had connections, or the ledger is not settled (G1 to G3).
"""

import dataclasses
import json
import os
import signal
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import counting_sink, delay, namespaces, servers, sinks, soak_parts
from benchmarks.machine import ROOT
from iria_news.embedded import valkey
from iria_news.supervisor.children import Child

if TYPE_CHECKING:
    import subprocess

    from mailer.models import Edition

COHORTS = 4
REPLY_DELAY = 0.03  # seconds before the reply to a dot, so that there is something on the wire
CUT_AT = 0.1  # of the edition
TAKEN_BACK_WITHIN = 60  # seconds, beyond the lease
DONE_WITHIN = 600  # seconds
SHARED = {"SECRET_KEY": "shared-" * 8, "MESSAGE_KEY_SECRET": "by-all-hosts-" * 4}


@dataclass
class Host:
    """Where workers run: how a program starts there, and how they reach each server."""

    name: str
    environment: dict[str, str]
    prefix: servers.Prefix = ()
    children: list[Child] = field(default_factory=list)


@dataclass
class Place:
    """Both hosts, the servers, and the way to cut the second host off."""

    hosts: list[Host]
    database: servers.PostgreSQL
    sink: sinks.CountingSink
    how: str
    network: namespaces.Network | None = None
    proxy: "subprocess.Popen[bytes] | None" = None

    def cut(self) -> None:
        if self.network:
            self.network.cut("b")
        elif self.proxy:
            os.kill(self.proxy.pid, signal.SIGSTOP)

    def mend(self) -> None:
        if self.network:
            self.network.mend("b")
        elif self.proxy:
            os.kill(self.proxy.pid, signal.SIGCONT)


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that blocks end what they began
    with tempfile.TemporaryDirectory(prefix="iria-hosts-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)  # the database runs as somebody else
        place = _place(folder, options, stack)
        found = _run(place, folder, options)
    print(json.dumps(found))
    return 1 if found["broken"] else 0


def _options() -> Namespace:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--recipients", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=4, help="of each sending process")
    parser.add_argument("--lease", type=int, default=4, help="seconds")
    parser.add_argument("--how", choices=["namespaces", "proxies"], help="default: as may be")
    return parser.parse_args()


# --- the place ------------------------------------------------------------------------------------


def _place(folder: Path, options: Namespace, stack: ExitStack) -> Place:
    if options.how != "proxies":
        try:
            return _namespaces(folder, options, stack)
        except namespaces.NoNamespaces as reason:
            if options.how:
                raise SystemExit(f"No network namespaces: {reason}") from reason
            stack.close()
    return _proxies(folder, options, stack)


def _namespaces(folder: Path, options: Namespace, stack: ExitStack) -> Place:
    network = stack.enter_context(namespaces.network("a", "b"))
    at, inside = network.address("server"), network.inside("server")
    database = stack.enter_context(
        servers.postgresql(folder / "postgresql", listen="*", prefix=inside)
    )
    stack.enter_context(
        servers.redis_server(folder / "redis", bind="0.0.0.0", port=6379, prefix=inside)  # noqa: S104
    )
    sink = stack.enter_context(
        sinks.counting_sink(
            folder, readers=options.recipients, delay=REPLY_DELAY, host=at, port=25, prefix=inside
        )
    )
    urls = _urls(f"postgres@{at}:5432", f"{at}:6379", f"{at}:25")
    hosts = [
        Host(name, _settings(folder, name, options) | urls, network.inside(name))
        for name in ("a", "b")
    ]
    return Place(hosts, database, sink, "namespaces", network=network)


def _proxies(folder: Path, options: Namespace, stack: ExitStack) -> Place:
    ports = [servers.free_port() for _ in range(6)]
    real, mapped = ports[:3], ports[3:]
    database = stack.enter_context(
        servers.postgresql(folder / "postgresql", listen="127.0.0.1", port=real[0])
    )
    stack.enter_context(servers.redis_server(folder / "redis", bind="127.0.0.1", port=real[1]))
    sink = stack.enter_context(
        sinks.counting_sink(folder, readers=options.recipients, delay=REPLY_DELAY, port=real[2])
    )
    proxy = stack.enter_context(delay.proxy(list(zip(mapped, real, strict=True))))
    hosts = []
    for name, (sql, redis, smtp) in (("a", real), ("b", mapped)):
        urls = _urls(f"postgres@127.0.0.1:{sql}", f"127.0.0.1:{redis}", f"127.0.0.1:{smtp}")
        hosts.append(Host(name, _settings(folder, name, options) | urls))
    return Place(hosts, database, sink, "proxies", proxy=proxy)


def _urls(database: str, redis: str, smtp: str) -> dict[str, str]:
    return {
        "DATABASE_URL": f"postgres://{database}/postgres",
        "REDIS_URL": f"redis://{redis}/0",
        "EMAIL_URL": f"smtp://{smtp}",
    }


def _settings(folder: Path, host: str, options: Namespace) -> dict[str, str]:
    data = folder / host
    (data / "logs").mkdir(parents=True)
    return SHARED | {
        "DATA_DIR": str(data),
        "SITE_URL": "https://news.ir-ia.example",
        "SUBMISSION_SERVERS": "",
        "SENDING_WORKERS": str(soak_parts.SENDING_PROCESSES),
        "SMTP_CONNECTIONS_PER_WORKER": str(options.connections),
        "LEASE_SECONDS": str(options.lease),
        "TICK_SECONDS": "1",
        "DJANGO_SETTINGS_MODULE": "iria_news.settings",
        "PYTHONPATH": str(ROOT),
    }


# --- the run --------------------------------------------------------------------------------------


def _run(place: Place, folder: Path, options: Namespace) -> dict[str, Any]:
    home = _settings(folder, "home", options) | {
        "DATABASE_URL": place.database.url(),
        "REDIS_URL": f"unix://{folder / 'redis' / valkey.SOCKET}",
    }
    soak_parts.use(home)
    from django.core.management import call_command

    from mailer import bench

    call_command("migrate", verbosity=0)
    edition = bench.prepare(options.recipients, 1, cohorts=COHORTS)
    a, b = place.hosts
    try:
        _start(b, folder)
        servers.wait_for("a lease of the host to be cut", lambda: _holds_leases(b), seconds=120)
        _start(a, folder)
        due = options.recipients * CUT_AT
        servers.wait_for(
            "the first deliveries", lambda: place.sink.totals()["distinct"] >= due, seconds=120
        )
        servers.wait_for("a lease of the host to be cut", lambda: _holds_leases(b), seconds=120)
        cut_seconds = _cut_off(place, options)
        servers.wait_for("the end", lambda: _is_done(edition), seconds=DONE_WITHIN)
    except servers.NotStarted as error:
        raise SystemExit(f"{error}\n{_logs(folder)}") from error
    finally:
        _stop(place)
    return _found(place, edition, options, cut_seconds)


def _start(host: Host, folder: Path) -> None:
    """Workers and a beat: two beats do no harm either (G2)."""
    from iria_news.supervisor import parts

    for part in (parts.sending_worker(), parts.preparing_worker(), parts.beat()):
        schedule = str(folder / host.name / "beat-schedule")
        command = [schedule if "beat-schedule" in word else word for word in part.command]
        child = dataclasses.replace(
            part,
            name=f"{part.name} of {host.name}",
            command=[*host.prefix, *command],
            log=folder / host.name / "logs" / part.log.name,
            environment=part.environment | host.environment,
        )
        host.children.append(child)
        child.start()


def _cut_off(place: Place, options: Namespace) -> float:
    """Cut the second host until its batches are taken back, and longer than its lease."""
    began = time.monotonic()
    place.cut()
    time.sleep(options.lease)  # nothing is taken back sooner
    servers.wait_for(
        "taking back the batches of the host that was cut",
        lambda: not _holds_leases(place.hosts[1]),
        seconds=options.lease + TAKEN_BACK_WITHIN,
    )
    place.mend()
    return time.monotonic() - began


def _holds_leases(host: Host) -> bool:
    from benchmarks import watching
    from mailer.models import Batch, BatchState

    leased = Batch.objects.filter(state=BatchState.LEASED).values_list("leased_by", flat=True)
    pids = {pid for child in host.children if child.pid for pid in watching.family(child.pid)}
    return any(int(worker.rpartition(":")[2]) in pids for worker in leased)


def _is_done(edition: "Edition") -> bool:
    edition.refresh_from_db()
    return edition.state == "done"


def _stop(place: Place) -> None:
    place.mend()
    children = [child for host in place.hosts for child in host.children]
    for child in children:
        child.kill_group()
    for child in children:
        child.ended()
    place.sink.process.terminate()
    place.sink.process.wait()


def _logs(folder: Path) -> str:
    return "\n".join(
        path.read_text(errors="replace")[-2000:] for path in sorted(folder.glob("[ab]/logs/*.log"))
    )


def _found(
    place: Place, edition: "Edition", options: Namespace, cut_seconds: float
) -> dict[str, Any]:
    from benchmarks import soak_check

    book = soak_check.books(edition, counting_sink.read(place.sink.file))
    allowed = soak_parts.SENDING_PROCESSES * options.connections
    broken = [
        sentence
        for is_broken, sentence in (
            (not book["settled"], book["ledger"]),
            (book["by_state"]["sent"] != options.recipients, "not everybody was sent to"),
            (book["lost"] > 0, f"{book['lost']} lost"),
            (book["copies"] > allowed, f"{book['copies']} copies of {allowed} allowed"),
            (book["foreign_copies"] > 0, "a copy has another Message-ID"),
        )
        if is_broken
    ]
    return {
        "how": place.how,
        "cut_seconds": round(cut_seconds, 1),
        "copies_allowed": allowed,
        "books": book,
        "broken": broken,
    }


if __name__ == "__main__":
    sys.exit(main())
