"""What a recipient costs in an edition of 10,000 and in one of 1,000,000.

Each step of each edition by clock and by CPU, the largest size of each process, and what the
database takes on disk for a delivery. Results are kept in build/scale.json after each edition, and
`--resume` goes on with those that are missing. Exit code 1 if a bound is broken.
"""

import json
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from benchmarks import contenders, machine, report, servers, sinks, watching
from iria_news.embedded import valkey

RESULT = machine.BUILD / "scale.json"
STEPS = ("freeze", "render", "send", "ledger")
LOOK_EVERY = 1.0  # seconds
# The bounds.
MOST_RATIO = 1.1  # of a recipient's cost, the largest edition to the smallest
MOST_RESIDENT = 300  # MiB, any process
MOST_REDIS = 20  # MiB
MOST_STORED = 250  # bytes for each delivery, on PostgreSQL, indexes included


def main() -> int:
    options = _options()
    state = report.kept(RESULT) if options.resume else {}
    if state.get("size") != options.size:
        state = {"size": options.size, **machine.described(), "editions": {}}
    for database in options.db:
        for recipients in options.recipients:
            name = f"{database} {recipients}"
            if name in state["editions"]:
                continue
            sys.stderr.write(f"{recipients:,} recipients on {database} ...\n")
            state["editions"][name] = _measure(database, recipients, options)
            report.keep(RESULT, state)
    broken = _say(state, options)
    for sentence in broken:
        print(f"BROKEN: {sentence}")
    return 1 if broken else 0


def _options() -> Namespace:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--recipients", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--db", nargs="+", default=["postgresql", "sqlite"])
    parser.add_argument("--bytes", type=int, default=3_000, dest="size")
    parser.add_argument("--cohorts", type=int, default=10)
    parser.add_argument("--connections", type=int, default=10)
    parser.add_argument("--resume", action="store_true")
    return parser.parse_args()


def _measure(database: str, recipients: int, options: Namespace) -> dict[str, Any]:
    """One edition on fresh servers."""
    with tempfile.TemporaryDirectory(prefix="iria-scale-", dir=_roomy()) as place:
        folder = Path(place)
        folder.chmod(0o755)  # the database runs as somebody else
        redis_folder = folder / "redis"
        with (
            servers.postgresql(folder / "postgresql") as server,
            servers.redis_server(redis_folder) as redis_process,
            sinks.smtp_sink() as port,
        ):
            redis_url = f"unix://{redis_folder / valkey.SOCKET}"
            url = {"DATABASE_URL": server.url()} if database == "postgresql" else {}
            settings = contenders.environment(folder / "data", REDIS_URL=redis_url, **url)
            contenders.manage(settings, "migrate", "-v0")
            watch = watching.Watch(redis_url)
            parts = {"Valkey": redis_process.pid}
            if database == "postgresql":
                parts["PostgreSQL"] = server.pid
            found = _run(settings, port, recipients, options, watch, parts)
    found["peaks_mib"] = watch.in_mib()
    found["redis_peak_mib"] = round(watch.redis_peak / watching.MIB, 2)
    return found


def _roomy() -> Path:
    """Below build/, on the same disk as everything else: a temporary folder may be memory."""
    machine.BUILD.mkdir(exist_ok=True)
    return machine.BUILD


def _run(
    settings: dict[str, str],
    port: int,
    recipients: int,
    options: Namespace,
    watch: watching.Watch,
    parts: dict[str, int],
) -> dict[str, Any]:
    """Start `bench_delivery` and watch all parts until it ends. Raises SystemExit if it fails."""
    command = [
        *(sys.executable, str(contenders.MANAGE), "bench_delivery", "--json"),
        *("--smtp", f"127.0.0.1:{port}", "--recipients", str(recipients)),
        *("--bytes", str(options.size), "--cohorts", str(options.cohorts)),
        *("--connections", str(options.connections)),
    ]
    process = subprocess.Popen(
        command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        while process.poll() is None:
            watch.look(parts | {"sending process": process.pid})
            time.sleep(LOOK_EVERY)
        said, complained = process.communicate()
    finally:
        process.kill()
    if process.returncode:
        raise SystemExit(f"bench_delivery failed: {said}{complained}")
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


def _say(state: dict[str, Any], options: Namespace) -> list[str]:
    """Print the tables; return a sentence for each bound that is broken."""
    print(f"{state['date']}, {state['cores']} cores, {state['revision']}\n")
    broken: list[str] = []
    for database in options.db:
        found = [state["editions"][f"{database} {number}"] for number in options.recipients]
        rows = [_row(f"{step}, us", [_micros(each, step) for each in found]) for step in STEPS]
        cost = [sum(_micros(each, step) for step in STEPS) for each in found]
        rows.append(_row("all steps, us by the clock", cost))
        cpu = [sum(_cpu_micros(each, step) for step in STEPS) for each in found]
        rows.append(_row("all steps, us of CPU, database included", cpu))
        for name, unit in (("bytes_per_delivery", "bytes"), ("messages_per_second", "1/s")):
            rows.append(_row(f"{name.replace('_', ' ')}, {unit}", [each[name] for each in found]))
        rows.append(_row("preparing readers, s", [each["prepare_seconds"] for each in found]))
        for part in sorted({part for each in found for part in each["peaks_mib"]}):
            peaks = [each["peaks_mib"].get(part, 0) for each in found]
            rows.append(_row(f"largest {part}, MiB", peaks))
            broken += _above(f"{part} on {database}", max(peaks), MOST_RESIDENT, "MiB")
        head = [database, *[f"{number:,}" for number in options.recipients], "last / first"]
        print(report.table(head, rows), "\n")
        ratio = cpu[-1] / cpu[0]
        broken += _above(f"cost by CPU, last to first, on {database}", ratio, MOST_RATIO, "")
        redis = max(each["redis_peak_mib"] for each in found)
        broken += _above(f"Redis on {database}", redis, MOST_REDIS, "MiB")
        if database == "postgresql":
            stored = found[-1]["bytes_per_delivery"]
            broken += _above("a delivery on PostgreSQL", stored, MOST_STORED, "bytes")
    return broken


def _row(name: str, values: list[float]) -> list[str]:
    ratio = f"{values[-1] / values[0]:.2f}" if values[0] else ""
    return [name, *[f"{value:,.1f}" for value in values], ratio]


def _micros(found: dict[str, Any], step: str) -> float:
    return float(found[f"{step}_seconds"] / found["recipients"] * 1e6)


def _cpu_micros(found: dict[str, Any], step: str) -> float:
    seconds = found[f"{step}_cpu_seconds"] + found.get(f"{step}_database_cpu_seconds", 0)
    return float(seconds / found["recipients"] * 1e6)


def _above(what: str, value: float, most: float, unit: str) -> list[str]:
    return [f"{what}: {value:,.2f} {unit}, and {most} is the most"] if value > most else []


if __name__ == "__main__":
    sys.exit(main())
