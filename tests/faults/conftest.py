"""Two sizes from one body, a seed that repeats a run, and the parts that every fault test needs."""

import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from iria_news.embedded import valkey
from mailer import cohorts
from tests.faults import workers as processes
from tests.faults.counting_sink import CountingSink, counting

FIGURES = "figures"
SEED = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, help="repeat the fault tests that failed with this seed")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SEED] = _seed(config)


def _seed(config: pytest.Config) -> int:
    given = config.getoption("--seed", None)
    return random.randrange(10**6) if given is None else int(given)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The storm form takes an hour: it runs only for who asks for it."""
    if "storm" in (config.getoption("markexpr", "") or ""):
        return
    storm = [item for item in items if item.get_closest_marker("storm")]
    if storm:
        config.hook.pytest_deselected(items=storm)
        items[:] = [item for item in items if item not in storm]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    if report.failed and SEED in item.config.stash:
        report.sections.append(("To repeat", f"--seed={item.config.stash[SEED]} {item.nodeid}"))
    return report


def pytest_terminal_summary(terminalreporter) -> None:
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", []):
                if name == FIGURES and report.when == "call":
                    terminalreporter.write_line(f"{report.nodeid}: {value}")


@pytest.fixture(
    params=[
        pytest.param("quick", id="quick"),
        pytest.param("storm", id="storm", marks=pytest.mark.storm),
    ]
)
def pick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """`pick(quick, storm)` is the number for the form that runs."""
    is_storm = request.param == "storm"
    if not is_storm:  # as many batches for few readers as there are in a large edition
        monkeypatch.setattr(cohorts, "BATCH", 25)
    return lambda quick, storm: storm if is_storm else quick


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """The same for the same --seed and test."""
    config = request.config
    if SEED not in config.stash:  # this file was read too late for pytest_configure
        config.stash[SEED] = _seed(config)
    return random.Random(f"{config.stash[SEED]} {request.node.nodeid}")


@pytest.fixture
def note(record_property: Callable[[str, object], None]) -> Callable[[object], None]:
    """Print a figure at the end of the run."""
    started = time.monotonic()
    return lambda value: record_property(FIGURES, f"{value}, {time.monotonic() - started:.0f} s")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a name so short that a socket fits into it."""
    place = Path(tempfile.mkdtemp(prefix="iria-fault-"))
    yield place
    shutil.rmtree(place)


class OwnRedis:
    """A Redis-compatible server that a test may flush, stop, fill and kill."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / valkey.SOCKET
        self.url = f"unix://{self.socket}"
        self.start()

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        self.process = subprocess.Popen(valkey.command(self.folder), stdout=subprocess.DEVNULL)
        while not self.socket.exists():
            assert self.process.poll() is None, "the Valkey server did not start"
            time.sleep(0.01)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def own_redis(folder: Path) -> Iterator[OwnRedis]:
    server = OwnRedis(folder)
    yield server
    server.kill()


@pytest.fixture
def sink(folder: Path) -> Iterator[CountingSink]:
    """In place of the sink of other tests: a process of its own that keeps count in a file."""
    with counting(folder) as server:
        yield server


@pytest.fixture(scope="session")
def nursery() -> Iterator[processes.Nursery]:
    nursery = processes.Nursery()
    yield nursery
    nursery.end()


@pytest.fixture
def workers(
    nursery: processes.Nursery, folder: Path, sink: CountingSink, own_redis: OwnRedis
) -> Iterator[processes.Workers]:
    """Workers and beat are started by the test; whatever it leaves running is killed."""
    sink.behave(delay=0.01)  # so that there is something on the wire when we strike
    with processes.at_work(nursery, folder, sink, own_redis.url) as them:
        yield them
