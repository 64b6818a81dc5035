"""The one-machine default, started as `make run` starts it."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, build_opener

import pytest

pytestmark = [
    pytest.mark.journey,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]
NOT_OURS = ("DATA_DIR", "DATABASE_URL", "REDIS_URL", "EMAIL_URL", "SITE_URL", "PORT", "BIND")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def spawn(data_dir: Path, port: int, **environment: str) -> subprocess.Popen[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
    ours = {"DATA_DIR": str(data_dir), "PORT": str(port), "HOME": "/nonexistent"}
    return subprocess.Popen(
        [sys.executable, "-m", "iria_news.supervisor", "--no-demo"],
        env=inherited | ours | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def refusal(data_dir: Path, port: int, **environment: str) -> str:
    """What a start that must not succeed says on standard error."""
    process = spawn(data_dir, port, **environment)
    _, complaint = process.communicate(timeout=30)
    assert process.returncode == 2
    assert complaint.count("\n") == 1, complaint
    return complaint


@dataclass
class Running:
    process: subprocess.Popen[str]
    port: int
    data_dir: Path
    greeting: str

    def status(self, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().status

    def descendants(self) -> dict[int, str]:
        """Process ids of everything below the supervisor, with their command lines."""
        parents = {
            int(path.parent.name): parent(path) for path in Path("/proc").glob("[0-9]*/stat")
        }
        found = {self.process.pid}
        while more := {pid for pid, above in parents.items() if above in found} - found:
            found |= more
        return {pid: command(pid) for pid in found - {self.process.pid}}


def parent(stat: Path) -> int:
    with contextlib.suppress(OSError):
        return int(stat.read_text().rpartition(")")[2].split()[1])
    return 0


def command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""


def alive(pids: dict[int, str]) -> list[str]:
    """Those that still run as what they were. A number alone may be somebody else's by now."""
    return [line for pid, line in pids.items() if command(pid) and command(pid) == line]


def comes_true(condition: Callable[[], bool], *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@contextlib.contextmanager
def running(data_dir: Path) -> Iterator[Running]:
    port = free_port()
    process = spawn(data_dir, port)
    assert process.stdout is not None
    greeting = ""
    for line in process.stdout:
        greeting += line
        if line.startswith("Ctrl-C"):
            break
    else:
        pytest.fail(greeting + process.stderr.read())
    try:
        yield Running(process, port, data_dir, greeting)
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("service")) as started:
        yield started


def test_a_start_from_nothing_serves_pages_and_says_where(service):
    assert service.status("/healthz") == 200
    for place in ("/", "/inbox/", "/admin/"):
        assert f"http://localhost:{service.port}{place}\n" in service.greeting


def test_the_first_start_shows_a_password_that_logs_the_editor_in(service):
    password = service.greeting.split('user "editor", password "')[1].split('"')[0]

    browser = build_opener(HTTPCookieProcessor())
    login = f"http://localhost:{service.port}/admin/login/?next=/admin/"
    form = browser.open(login).read().decode()
    token = form.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    fields = {"username": "editor", "password": password, "csrfmiddlewaretoken": token}
    answer = browser.open(login, urlencode(fields).encode())

    assert answer.url == f"http://localhost:{service.port}/admin/"
    logs = "".join(path.read_text() for path in (service.data_dir / "logs").iterdir())
    assert password not in logs


def test_a_part_that_is_killed_starts_again(service):
    [catcher] = [pid for pid, line in service.descendants().items() if "catcher" in line]

    os.kill(catcher, signal.SIGKILL)

    def another_one_runs() -> bool:
        found = [pid for pid, line in service.descendants().items() if "catcher" in line]
        return bool(found) and found != [catcher]

    assert comes_true(another_one_runs, seconds=10)


def test_a_folder_is_served_by_one_supervisor_only(service):
    sentence = refusal(service.data_dir, free_port())

    assert f"{service.data_dir} is already served by process {service.process.pid}." in sentence


def test_a_port_in_use_is_named_together_with_the_way_out(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        sentence = refusal(tmp_path, port)

    assert f"Port {port} of 127.0.0.1 cannot be used: Address already in use." in sentence
    assert "PORT=" in sentence
    assert "make run" in sentence


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", "postgres://iria:s3cret@127.0.0.1:1/iria"),
        ("DATABASE_URL", "sqlite:////nowhere/iria.sqlite3"),
        ("REDIS_URL", "redis://:s3cret@127.0.0.1:1/0"),
        ("EMAIL_URL", "smtp://iria:s3cret@127.0.0.1:1"),
        ("BIND", "not-an-address.invalid"),
        ("TICK_SECONDS", "soon"),
        ("PORT", "http"),
    ],
)
def test_a_wrong_value_stops_the_start_with_a_sentence_that_names_it(variable, value, tmp_path):
    sentence = refusal(tmp_path, free_port(), **{variable: value})

    assert variable in sentence
    assert "s3cret" not in sentence
    assert "Traceback" not in sentence


def test_sigterm_ends_every_process_and_the_next_start_finds_everything_in_place(tmp_path):
    with running(tmp_path) as first:
        below = first.descendants()
        first.process.terminate()
        assert first.process.wait(timeout=60) == 0
        assert alive(below) == []

    with running(tmp_path) as second:
        assert "Database: up to date." in second.greeting
        assert '", password "' not in second.greeting

        below = second.descendants()
        second.process.send_signal(signal.SIGINT)
        time.sleep(0.7)  # sooner, it would be taken for the same press
        second.process.send_signal(signal.SIGINT)
        assert second.process.wait(timeout=5) == 130
        assert alive(below) == []


def test_a_killed_supervisor_leaves_no_process_behind(tmp_path):
    with running(tmp_path) as service:
        below = service.descendants()
        service.process.kill()

        assert comes_true(lambda: not alive(below), seconds=20), alive(below)
