"""How long a file of readers takes on its way in and out, and how much memory.

Each database is one of its own, each command a process of its own, watched from outside; beside
the clock stands the time that command and database had a processor, which a busy machine does not
lengthen. Four of
five rows carry proof of consent, the fifth is asked; each names two topics of eight. Results are
kept in build/imports.json. Exit code 1 if a bound is broken.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from benchmarks import contenders, machine, report, servers, watching

RESULT = machine.BUILD / "imports.json"
NEWSLETTER = "iria-daily"
LOOK_EVERY = 0.2  # seconds
MOST_RESIDENT = 400  # MiB, of the command
# The bounds: database -> rows, seconds for the import, seconds for the export.
BOUNDS = {"postgresql": (1_000_000, 180, 60), "sqlite": (100_000, 60, 60)}
TOPICS = 8


def main() -> int:
    options = _options()
    found: dict[str, Any] = {**machine.described(), "runs": {}}
    for database in options.db:
        rows = options.rows or BOUNDS[database][0]
        sys.stderr.write(f"{rows:,} rows on {database} ...\n")
        found["runs"][database] = _measure(database, rows)
        report.keep(RESULT, found)
    broken = _say(found)
    for sentence in broken:
        print(f"BROKEN: {sentence}")
    return 1 if broken else 0


def _options() -> Namespace:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--db", nargs="+", default=list(BOUNDS), choices=BOUNDS)
    parser.add_argument("--rows", type=int, help="instead of those of the bounds")
    return parser.parse_args()


def _measure(database: str, rows: int) -> dict[str, Any]:
    machine.BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="iria-imports-", dir=machine.BUILD) as place:
        folder = Path(place)
        folder.chmod(0o755)  # the database runs as somebody else
        with servers.postgresql(folder / "postgresql") as server:
            url = {"DATABASE_URL": server.url()} if database == "postgresql" else {}
            settings = contenders.environment(folder / "data", **url)
            contenders.manage(settings, "migrate", "-v0")
            contenders.manage(settings, "shell", "-v0", "-c", _newsroom())
            file, out = folder / "readers.csv", folder / "out.csv"
            _write(file, rows)
            plan = ("import_subscribers", str(file), "--newsletter", NEWSLETTER)
            found: dict[str, Any] = {"rows": rows, "bytes": file.stat().st_size}
            for step, arguments in {
                "look": (*plan, "--proof", "kept"),
                "import": (*plan, "--proof", "kept", "--apply"),
                "again": (*plan, "--proof", "kept"),
                "export": ("export_subscribers", "--state", "all"),
            }.items():
                before = _cpu(server.pid)
                found[step] = _timed(settings, out, *arguments)
                found[step]["database_cpu"] = round(_cpu(server.pid) - before, 1)
            with out.open("rb") as lines:
                found["exported"] = sum(1 for _ in lines) - 1
    return found


def _newsroom() -> str:
    return (
        "from iria_news.articles.models import Topic; from subscribers import demo; "
        f"[Topic.objects.create(name=f'Topic {{n}}', slug=f'topic-{{n}}') for n in range({TOPICS})]"
        "; demo.load_newsletters()"
    )


def _write(path: Path, rows: int) -> None:
    with path.open("w") as file:
        file.write("email,name,topics,consented_at,consent_source\n")
        for number in range(rows):
            topics = f"topic-{number % TOPICS};topic-{(number // TOPICS + 1) % TOPICS}"
            proof = "2026-05-04 10:00,paper form" if number % 5 else ","
            file.write(f"reader{number}@host{number % 97}.example.org,Reader {number},")
            file.write(f"{topics},{proof}\n")


def _timed(settings: dict[str, str], out: Path, *arguments: str) -> dict[str, float]:
    """Run a command to its end. Raises SystemExit if it fails."""
    watch = watching.Watch()
    began, used = time.monotonic(), _used()
    with out.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, str(contenders.MANAGE), *arguments],
            env=settings,
            stdout=said,
            stderr=subprocess.DEVNULL,
        )
        while process.poll() is None:
            watch.look({"command": process.pid})
            time.sleep(LOOK_EVERY)
    if process.returncode:
        raise SystemExit(f"{arguments[0]} failed: {out.read_text()[:500]}")
    seconds = round(time.monotonic() - began, 1)
    peak = watch.in_mib().get("command", 0.0)
    return {"seconds": seconds, "cpu": round(_used() - used, 1), "mib": peak}


def _used() -> float:
    """Seconds of processor time of all commands that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def _cpu(pid: int) -> float:
    """Seconds of processor time of a server and its processes, also of those that have ended."""
    ticks = 0
    for member in watching.family(pid):
        fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))  # user, system; likewise of children
    return ticks / os.sysconf("SC_CLK_TCK")


def _say(found: dict[str, Any]) -> list[str]:
    """Print the table; return a sentence for each bound that is broken."""
    print(f"{found['date']}, {found['cores']} cores, {found['revision']}\n")
    broken, lines = [], []
    for database, run in found["runs"].items():
        bounds = {"import": BOUNDS[database][1], "export": BOUNDS[database][2]}
        for step in ("look", "import", "again", "export"):
            seconds, mib = run[step]["seconds"], run[step]["mib"]
            each = seconds / run["rows"] * 1e6
            rows = f"{run['rows']:,}"
            used = f"{run[step]['cpu']:.1f} + {run[step]['database_cpu']:.1f}"
            figures = [f"{seconds:.1f}", f"{each:.0f}", used, f"{mib:.0f}"]
            lines.append([database, rows, step, *figures])
            if seconds > bounds.get(step, seconds):
                broken.append(f"{step} on {database}: {seconds} s, {bounds[step]} s is the most")
            if mib > MOST_RESIDENT:
                broken.append(f"{step} on {database}: {mib} MiB, {MOST_RESIDENT} is the most")
        if run["exported"] != run["rows"]:
            broken.append(f"{database}: {run['exported']:,} of {run['rows']:,} were exported")
    print(
        report.table(
            ["database", "rows", "step", "seconds", "us a row", "CPU + database", "MiB"], lines
        )
    )
    return broken


if __name__ == "__main__":
    sys.exit(main())
