import json
import multiprocessing
import os
import time
from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from iria_news.environment import SubmissionServer
from mailer import bench, bench_costs, cohorts, editions, ledger, production
from mailer.bench_costs import Cost, cost_of
from mailer.deliveries import closing, sending
from mailer.deliveries.connections import Pool
from mailer.models import Edition, EditionState

MESSAGES_EACH = 100  # for each connection, as in production


class Command(BaseCommand):
    help = (
        "Send one real edition to made-up recipients and time each step. Needs a database of its "
        "own: it refuses one that holds any other subscriber."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--recipients", type=int, default=10_000)
        parser.add_argument("--bytes", type=int, default=30_000, dest="size")
        parser.add_argument("--cohorts", type=int, default=1, help="different messages")
        parser.add_argument("--smtp", default="127.0.0.1:2525", help="HOST:PORT of a sink")
        parser.add_argument("--connections", type=int, default=10, help="of all processes together")
        parser.add_argument("--processes", type=int, default=1, help="that send side by side")
        parser.add_argument("--export", type=Path, help="write one message, as sent, to this file")
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(
        self,
        *,
        recipients: int,
        size: int,
        smtp: str,
        connections: int,
        processes: int = 1,
        as_json: bool,
        cohorts: int = 1,
        export: Path | None = None,
        **options: object,
    ) -> None:
        host, _, port = smtp.rpartition(":")
        if not host or not port.isdigit():
            raise CommandError(f"--smtp is {smtp!r}, but it takes HOST:PORT.")
        if not 1 <= processes <= connections:
            raise CommandError("Each process needs a connection, and there must be a process.")
        began = time.perf_counter()
        try:
            edition = bench.prepare(recipients, size, cohorts=cohorts)
        except (bench.NotEmpty, ValueError) as error:
            raise CommandError(str(error)) from error
        prepared = {"prepare_seconds": round(time.perf_counter() - began, 3)}
        fleet = _Fleet(SubmissionServer(host, int(port)), connections, processes)
        report = prepared | _play(edition, fleet)
        report |= {"connections": connections, "processes": processes}
        if export:
            export.write_bytes(bench.sample_message(edition))
        self._say(report, as_json=as_json)
        if not report["balanced"]:
            raise CommandError("The ledger does not balance.")

    def _say(self, report: dict[str, object], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(report))
            return
        for name, value in report.items():
            self.stdout.write(f"{name:26} {value}")


@dataclass(frozen=True)
class _Fleet:
    """Sending processes that share the connections as evenly as they can."""

    server: SubmissionServer
    connections: int
    processes: int

    def send(self) -> tuple[Cost, int]:
        """Send until nothing is left; what it cost in all, and how many commits it took."""
        sizes = [
            len(range(number, self.connections, self.processes)) for number in range(self.processes)
        ]
        if self.processes == 1:
            return self._send(sizes[0])
        connection.close()  # a child must not speak on its parent's line
        began = time.perf_counter()
        with multiprocessing.get_context("fork").Pool(self.processes) as pool:
            parts = pool.map(self._send, sizes, chunksize=1)
        costs = [cost for cost, _ in parts]
        database = [cost.database_cpu for cost in costs if cost.database_cpu is not None]
        whole = Cost(
            time.perf_counter() - began,
            sum(cost.cpu for cost in costs),
            sum(database) if database else None,
        )
        return whole, sum(commits for _, commits in parts)

    def _send(self, size: int) -> tuple[Cost, int]:
        pool = Pool(self.server, size=size, messages_each=MESSAGES_EACH)
        turns: list[sending.Turn] = []

        def turn() -> None:
            worker = f"bench-{os.getpid()}"
            turns.append(sending.send_ready_batches(worker=worker, seconds=36_000, pool=pool))

        cost = cost_of(turn)
        connection.close()
        return cost, turns[0].commits


def _play(edition: Edition, fleet: _Fleet) -> dict[str, object]:
    before = bench.stored_bytes()
    costs = {"freeze": cost_of(lambda: _freeze(edition))}
    costs["render"] = cost_of(production.render_waiting)
    production.release_rendered()
    production.start_due()
    costs["send"], commits = fleet.send()
    costs["ledger"] = cost_of(closing.finish)
    edition.refresh_from_db()
    books = ledger.read(edition.pk)
    sent = books.by_state["sent"]
    stored = bench.stored_bytes()
    grown = stored.get("mailer_delivery", stored["database"] - before["database"])
    return {
        "database": connection.vendor,
        "recipients": books.candidates,
        "message_bytes": len(bench.sample_message(edition)),
        "cohorts": edition.cohorts.count(),
        **_flat(costs),
        "messages_per_second": round(sent / costs["send"].seconds, 1),
        "messages_per_commit": round(sent / max(commits, 1), 2),
        "cpu_us_per_message": round(costs["send"].cpu / max(sent, 1) * 1e6, 1),
        "bytes_per_delivery": round(grown / max(books.deliveries, 1), 1),
        "stored_bytes": stored,
        "peak_rss_mb": bench_costs.peak_rss_mb(),
        "sent": sent,
        "balanced": books.settled and edition.state == EditionState.DONE,
    }


def _flat(costs: dict[str, Cost]) -> dict[str, object]:
    found: dict[str, object] = {}
    for step, cost in costs.items():
        found[f"{step}_seconds"] = round(cost.seconds, 3)
        found[f"{step}_cpu_seconds"] = round(cost.cpu, 3)
        if cost.database_cpu is not None:
            found[f"{step}_database_cpu_seconds"] = round(cost.database_cpu, 3)
    return found


def _freeze(edition: Edition) -> None:
    editions.begin_freezing(edition)
    cohorts.freeze(edition.pk)
