import json
import resource
import time
from argparse import ArgumentParser
from collections.abc import Callable

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from iria_news.environment import SubmissionServer
from mailer import bench, cohorts, editions, ledger, production
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
        parser.add_argument("--smtp", default="127.0.0.1:2525", help="HOST:PORT of a sink")
        parser.add_argument("--connections", type=int, default=10)
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(
        self,
        *,
        recipients: int,
        size: int,
        smtp: str,
        connections: int,
        as_json: bool,
        **options: object,
    ) -> None:
        host, _, port = smtp.rpartition(":")
        if not host or not port.isdigit():
            raise CommandError(f"--smtp is {smtp!r}, but it takes HOST:PORT.")
        try:
            edition = bench.prepare(recipients, size)
        except bench.NotEmpty as error:
            raise CommandError(str(error)) from error
        pool = Pool(
            SubmissionServer(host, int(port)), size=connections, messages_each=MESSAGES_EACH
        )
        report = self._play(edition, pool) | {"connections": connections}
        if as_json:
            self.stdout.write(json.dumps(report))
        else:
            for name, value in report.items():
                self.stdout.write(f"{name:22} {value}")
        if not report["balanced"]:
            raise CommandError("The ledger does not balance.")

    def _play(self, edition: Edition, pool: Pool) -> dict[str, object]:
        seconds: dict[str, float] = {}

        def timed(name: str, step: Callable[[], object]) -> None:
            began = time.perf_counter()
            step()
            seconds[name] = time.perf_counter() - began

        timed("freeze", lambda: _freeze(edition))
        timed("render", production.render_waiting)
        production.release_rendered()
        production.start_due()
        before = resource.getrusage(resource.RUSAGE_SELF)
        turns = []
        timed("send", lambda: turns.append(_send(pool)))
        after = resource.getrusage(resource.RUSAGE_SELF)
        timed("ledger", closing.finish)
        edition.refresh_from_db()
        books = ledger.read(edition.pk)
        sent = books.by_state["sent"]
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return {
            "database": connection.vendor,
            "recipients": books.candidates,
            "message_bytes": bench.message_bytes(edition),
            "cohorts": edition.cohorts.count(),
            **{f"{name}_seconds": round(value, 3) for name, value in seconds.items()},
            "messages_per_second": round(sent / seconds["send"], 1),
            "messages_per_commit": round(sent / max(turns[0].commits, 1), 2),
            "cpu_us_per_message": round(cpu / max(sent, 1) * 1e6, 1),
            "peak_rss_mb": round(after.ru_maxrss / 1024, 1),
            "sent": sent,
            "balanced": books.settled and edition.state == EditionState.DONE,
        }


def _freeze(edition: Edition) -> None:
    editions.begin_freezing(edition)
    cohorts.freeze(edition.pk)


def _send(pool: Pool) -> sending.Turn:
    return sending.send_ready_batches(worker="bench", seconds=36_000, pool=pool)
