"""What a step costs: by the clock, of our CPU, and of the database's for us. Linux only."""

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mailer import dialect

CLOCK_TICKS = 100  # a second: USER_HZ of every Linux


@dataclass(frozen=True)
class Cost:
    seconds: float
    cpu: float
    database_cpu: float | None  # None: the database works elsewhere, or inside our process


def cost_of(step: Callable[[], object]) -> Cost:
    """Take a step and say what it cost."""
    database = _database_process()
    database_before = _cpu_of(database)
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.perf_counter()
    step()
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    database_after = _cpu_of(database)
    if database_before is None or database_after is None:
        return Cost(seconds, cpu, None)
    return Cost(seconds, cpu, database_after - database_before)


def peak_rss_mb() -> float:
    """The most memory that this process ever had resident, in MiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def _database_process() -> Path | None:
    """Where Linux describes the PostgreSQL process that serves us, if it is on this machine."""
    if not dialect.is_postgresql():
        return None
    [(pid,)] = dialect.fetch("SELECT pg_backend_pid()")
    process = Path(f"/proc/{pid}")
    try:
        is_it = (process / "comm").read_text().strip() == "postgres"
    except OSError:
        return None
    return process if is_it else None


def _cpu_of(process: Path | None) -> float | None:
    """Seconds of CPU since the process began; None when there is no such process (any more)."""
    if process is None:
        return None
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    ticks = int(fields[11]) + int(fields[12])  # utime and stime, proc(5)
    return ticks / CLOCK_TICKS
