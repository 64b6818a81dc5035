"""The freeze of 10,000 and of 1,000,000 readers with realistic choices and three earlier editions.

Seconds, memory of the client, statements for each page, time for each reader, and how many
premailer runs the cohorts cost. Results are kept in build/freezing.json after each edition, and
`--resume` goes on with those that are missing. Exit code 1 if a bound is broken.
"""

import json
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from benchmarks import contenders, machine, report, servers

RESULT = machine.BUILD / "freezing.json"
# The bounds.
MOST_SECONDS = 45  # for a million readers
MOST_RATIO = 1.2  # of the time for a reader, the largest edition to the smallest
MOST_RESIDENT = 150  # MiB, of the process that freezes


def main() -> int:
    options = _options()
    state = report.kept(RESULT) if options.resume else {}
    if "editions" not in state:
        state = {**machine.described(), "editions": {}}
    for database in options.db:
        for readers in options.readers:
            name = f"{database} {readers}"
            if name in state["editions"]:
                continue
            sys.stderr.write(f"{readers:,} readers on {database} ...\n")
            state["editions"][name] = _measure(database, readers, options)
            report.keep(RESULT, state)
    broken = _say(state, options)
    for sentence in broken:
        print(f"BROKEN: {sentence}")
    return 1 if broken else 0


def _options() -> Namespace:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--db", nargs="+", default=["postgresql", "sqlite"])
    parser.add_argument("--render", type=int, default=200, help="so many cohorts of each edition")
    parser.add_argument("--resume", action="store_true")
    return parser.parse_args()


def _measure(database: str, readers: int, options: Namespace) -> dict[str, Any]:
    """One edition on fresh servers, frozen by a process that does nothing else."""
    machine.BUILD.mkdir(exist_ok=True)  # below it: a temporary folder may be memory
    with tempfile.TemporaryDirectory(prefix="iria-freezing-", dir=machine.BUILD) as place:
        folder = Path(place)
        folder.chmod(0o755)  # the database runs as somebody else
        with servers.postgresql(folder / "postgresql") as server:
            url = {"DATABASE_URL": server.url()} if database == "postgresql" else {}
            settings = contenders.environment(folder / "data", **url)
            contenders.manage(settings, "migrate", "-v0")
            contenders.manage(settings, "bench_freeze", "--prepare", str(readers))
            asked = ["bench_freeze", "--render", str(options.render)]
            done = subprocess.run(
                [sys.executable, str(contenders.MANAGE), *asked],
                env=settings,
                capture_output=True,
                text=True,
                check=False,
            )
    if done.returncode:
        raise SystemExit(f"bench_freeze failed: {done.stdout}{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _say(state: dict[str, Any], options: Namespace) -> list[str]:
    """Print the tables; return a sentence for each bound that is broken."""
    print(f"{state['date']}, {state['cores']} cores, {state['revision']}\n")
    broken: list[str] = []
    for database in options.db:
        found = [state["editions"][f"{database} {number}"] for number in options.readers]
        head = [database, *[f"{number:,}" for number in options.readers], "last / first"]
        micros = [each["seconds"] / each["candidates"] * 1e6 for each in found]
        rows = [
            _row("seconds", [each["seconds"] for each in found]),
            _row("microseconds for each reader", micros),
            _row("CPU of the client, s", [each["cpu_seconds"] for each in found]),
            _row("CPU of the database, s", [each["database_cpu_seconds"] for each in found]),
            _row("largest client, MiB", [each["peak_rss_mb"] for each in found]),
            *(
                _row(name, [each[name] for each in found])
                for name in ("deliveries", "cohorts", "told", "waves", "batches", "pages")
            ),
            ["statements of a page", *[_span(each["statements_of_a_page"]) for each in found], ""],
            ["premailer runs for cohorts", *[_runs(each) for each in found], ""],
        ]
        print(report.table(head, rows), "\n")
        broken += _broken(database, found, micros)
    return broken


def _broken(database: str, found: list[dict[str, Any]], micros: list[float]) -> list[str]:
    largest = found[-1]
    whole = largest["seconds"] / largest["candidates"] * 1e6  # a million takes as long for each
    counts = {count for each in found for count in each["statements_of_a_page"] if count}
    return [
        *_above(f"a million readers on {database}", whole, MOST_SECONDS, " s"),
        *_above(
            f"time of a reader on {database}, last to first", micros[-1] / micros[0], MOST_RATIO
        ),
        *_above(f"the client on {database}", largest["peak_rss_mb"], MOST_RESIDENT, " MiB"),
        *_above(f"different numbers of statements of a page on {database}", len(counts), 1),
        *[
            f"{each['inlinings']} premailer runs for {each['rendered']} cohorts on {database}"
            for each in found
            if each["inlinings"] > each["rendered"]
        ],
    ]


def _row(name: str, values: list[float]) -> list[str]:
    shown = [f"{value:,}" if isinstance(value, int) else f"{value:,.1f}" for value in values]
    return [name, *shown, f"{values[-1] / values[0]:.2f}" if values[0] else ""]


def _span(counts: list[int]) -> str:
    return " - ".join(str(count) for count in sorted(set(counts)))


def _runs(found: dict[str, Any]) -> str:
    return f"{found['inlinings']:,} for {found['rendered']:,}"


def _above(what: str, value: float, most: float, unit: str = "") -> list[str]:
    return [f"{what}: {value:,.2f}{unit}, and {most} is the most"] if value > most else []


if __name__ == "__main__":
    sys.exit(main())
