"""The whole service under an edition to a million, while it is hurt and people use the site.

Starts a private PostgreSQL (or SQLite), Valkey, a counting sink, the web server, workers and beat,
each as `make run` starts it. While the edition leaves, workers are killed, the database restarts as
after a power cut, Redis is flushed, editors and readers click and newcomers sign up. At the end the
rows are compared with what the sink took, one by one. Kept as JSON in build/soak.json; exit code 1
if a bound is broken. `--resume` goes on with the folder of an interrupted run, as an operator would
after a reboot.
"""

import json
import random
import shutil
import signal
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import (
    counting_sink,
    machine,
    report,
    servers,
    sinks,
    soak_parts,
    soak_report,
    watching,
)
from iria_news.embedded import valkey

if TYPE_CHECKING:
    from mailer.models import Edition

QUICK_DELAY = 0.02  # seconds before each reply to a dot
STILL_LIMIT = 600  # seconds without progress; freezing a million readers is one step of it
FLUSH_AT, RESTART_AT = 0.35, 0.5  # of the edition


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that blocks end what they began
    folder = options.folder or machine.BUILD / f"soak-{options.db}"
    if folder.exists() and not options.resume:
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # the database runs as somebody else
    with ExitStack() as stack:
        soak = Soak(folder, options, stack)
        soak.run()
    found = soak.found()
    report.keep(options.result, found)
    print(soak_report.text(found))
    return 1 if found["broken"] else 0


def _options() -> Namespace:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--recipients", type=int, default=1_000_000)
    parser.add_argument("--cohorts", type=int, default=10_000)
    parser.add_argument("--bytes", type=int, default=3_000, dest="size")
    parser.add_argument("--connections", type=int, default=5, help="of each sending process")
    parser.add_argument("--db", choices=["postgresql", "sqlite"], default="postgresql")
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="default: build/soak-<db>")
    parser.add_argument("--result", type=Path, default=machine.BUILD / "soak.json")
    parser.add_argument("--resume", action="store_true")
    return parser.parse_args()


class Soak:
    """One run. After `run` the servers but for the database may be gone; `found` reads rows."""

    def __init__(self, folder: Path, options: Namespace, stack: ExitStack) -> None:
        self.folder = folder
        self.options = options
        self.quick = options.recipients < soak_parts.QUICK_BELOW
        self.restarts: list[float] = []  # when, as time.time()
        self.flushed_at = 0.0
        self._chance = random.Random(options.seed)  # noqa: S311  # to repeat a run
        self._result: dict[str, Any] = {}
        self._open(stack)

    def _open(self, stack: ExitStack) -> None:
        options = self.options
        self.database: servers.PostgreSQL | None = None
        if options.db == "postgresql":
            self.database = stack.enter_context(servers.postgresql(self.folder / "postgresql"))
        redis_folder = self.folder / "redis"
        self.redis = stack.enter_context(servers.redis_server(redis_folder))
        redis_url = f"unix://{redis_folder / valkey.SOCKET}"
        delay = QUICK_DELAY if self.quick else 0
        self.sink = stack.enter_context(
            sinks.counting_sink(self.folder, readers=options.recipients, delay=delay)
        )
        soak_parts.use(
            soak_parts.settings(
                self.folder,
                database_url=self.database.url() if self.database else "",
                redis_url=redis_url,
                smtp=self.sink.port,
                quick=self.quick,
                connections=options.connections,
            )
        )
        self.watch = watching.Watch(redis_url)

    # --- the run --------------------------------------------------------------------------------

    def run(self) -> None:
        began = time.perf_counter()
        self.edition = self._prepared()
        prepared = time.perf_counter() - began
        notes = self.folder / "kills"
        parts = soak_parts.Parts(notes, is_resumed=self.options.resume)
        seen = self.folder / "visitors.json"
        try:
            parts.start()
            pause = 0.3 if self.quick else 1.0
            parts.admit_visitors(self.edition.pk, seen, seed=self.options.seed, pause=pause)
            self._watch_it_leave(parts)
            parts.dismiss_visitors()
        finally:
            parts.stop()
        self.sink.process.terminate()
        self.sink.process.wait()
        self._result = self._measured(parts, json.loads(seen.read_text()))
        self._result["prepare_seconds"] = round(prepared, 1)

    def _prepared(self) -> "Edition":
        from django.contrib.auth.models import User

        from benchmarks import visitors
        from mailer import bench
        from mailer.models import Edition

        soak_parts.run_preparation()
        unfinished = Edition.objects.exclude(state="done").first()
        if unfinished is not None:
            return unfinished
        User.objects.create_superuser(visitors.EDITOR, password=visitors.PASSWORD)
        options = self.options
        return bench.prepare(options.recipients, options.size, cohorts=options.cohorts)

    def _watch_it_leave(self, parts: soak_parts.Parts) -> None:
        """Until the edition is done: sample, start again what died, strike when it is time."""
        kills = self.options.kills
        blows: list[tuple[float, Callable[[soak_parts.Parts], None]]]
        blows = [((number + 1) / (kills + 1), self._kill) for number in range(kills)]
        blows += [(FLUSH_AT, self._flush), (RESTART_AT, self._restart)]
        blows.sort(key=lambda blow: blow[0])
        shown, moved_at, before = 0.0, time.monotonic(), ("", 0, 0)
        while self._state() != "done":
            time.sleep(0.1 if self.quick else 1.0)
            parts.mend()
            self.watch.look(parts.pids() | self._servers())
            now = (self.edition.state, self.sink.totals()["distinct"], self._rendered())
            if now != before:
                moved_at, before = time.monotonic(), now
            if time.monotonic() > moved_at + STILL_LIMIT:
                raise SystemExit(f"Nothing has moved for {STILL_LIMIT} s; logs: {self.folder}/data")
            share = now[1] / self.options.recipients
            if blows and share >= blows[0][0]:
                blows.pop(0)[1](parts)
            if share >= shown + 0.1:
                shown = share
                sys.stderr.write(f"{share:.0%} after {self._since_start():.0f} s\n")

    def _servers(self) -> dict[str, int | None]:
        found: dict[str, int | None] = {"Valkey": self.redis.pid}
        if self.database:
            found["PostgreSQL"] = self.database.pid
        return found

    def _state(self) -> str:
        """The edition's state; while the database is away, nothing is known."""
        from django.db import DatabaseError, connection

        try:
            self.edition.refresh_from_db()
        except DatabaseError:
            connection.close()
            return "unknown"
        if self.edition.state == "paused":
            raise SystemExit(f"The edition is paused: {self.edition.reason}")
        return str(self.edition.state)

    def _rendered(self) -> int:
        from django.db import DatabaseError, connection

        try:
            return self.edition.cohorts.filter(message__isnull=False).count()
        except DatabaseError:
            connection.close()
            return 0

    def _since_start(self) -> float:
        if self.edition.started_at is None:
            return 0.0
        return time.time() - self.edition.started_at.timestamp()

    def _kill(self, parts: soak_parts.Parts) -> None:
        sys.stderr.write(f"killed: {parts.kill_one(self._chance)}\n")

    def _flush(self, _parts: soak_parts.Parts) -> None:
        import redis
        from django.conf import settings

        redis.Redis.from_url(settings.REDIS_URL).flushall()
        self.flushed_at = time.time()
        sys.stderr.write("Redis flushed\n")

    def _restart(self, _parts: soak_parts.Parts) -> None:
        if self.database is None:
            return
        self.restarts.append(time.time())
        self._commits_before = self._commits()
        self.database.restart_at_once()
        sys.stderr.write("PostgreSQL restarted at once, without a checkpoint\n")

    # --- what it came to ------------------------------------------------------------------------

    _commits_before = 0  # a crash makes PostgreSQL forget its counters

    def _commits(self) -> int:
        from django.db import connection

        connection.close()
        with connection.cursor() as cursor:
            cursor.execute("SELECT sum(xact_commit) FROM pg_stat_database")
            return int(cursor.fetchone()[0])

    def _measured(self, parts: soak_parts.Parts, seen: dict[str, Any]) -> dict[str, Any]:
        from benchmarks import soak_check
        from mailer import bench

        edition, options = self.edition, self.options
        edition.refresh_from_db()
        assert edition.frozen_at is not None
        assert edition.started_at is not None
        assert edition.finished_at is not None
        sending = (edition.finished_at - edition.started_at).total_seconds()
        stored = bench.stored_bytes()
        books = soak_check.books(edition, counting_sink.read(self.sink.file))
        found = {
            **machine.described(),
            "database": options.db,
            "recipients": options.recipients,
            "cohorts": edition.cohorts.count(),
            "message_bytes": len(bench.sample_message(edition)),
            "seed": options.seed,
            "freeze_seconds": round((edition.frozen_at - edition.slot).total_seconds(), 1),
            "render_seconds": round((edition.started_at - edition.frozen_at).total_seconds(), 1),
            "sending_seconds": round(sending, 1),
            "messages_per_second": round(books["by_state"]["sent"] / sending, 1),
            "kills": parts.kills,
            "restarts": len(self.restarts),
            "flushed": bool(self.flushed_at),
            "copies_allowed": parts.copies_allowed(options.connections),
            "books": books,
            "confirming": soak_check.confirmations(),
            "pages": soak_check.pages(seen, self.restarts),
            "peaks_mib": self.watch.in_mib(),
            "redis_peak_mib": round(self.watch.redis_peak / watching.MIB, 2),
            "stored_bytes": stored,
            "bytes_per_delivery": round(stored.get("mailer_delivery", 0) / books["deliveries"], 1),
        }
        if self.database:
            commits = self._commits_before + self._commits()
            slow = self.database.slow_statements()
            found |= {"commits": commits, "slow_in_a_thousand": round(slow / commits * 1000, 2)}
        found["broken"] = soak_check.broken(found)
        return found

    def found(self) -> dict[str, Any]:
        """Everything that was measured, and under `broken` the bounds that do not hold."""
        return self._result


if __name__ == "__main__":
    sys.exit(main())
