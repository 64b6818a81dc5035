"""Where the mail goes: Postfix's smtp-sink for rates, a counting one of ours for promises."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import servers
from benchmarks.machine import ROOT
from iria_news.supervisor import children


def program(name: str) -> str | None:
    """Where a program of Postfix is; Debian puts it where only root looks."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextlib.contextmanager
def smtp_sink(
    *, host: str = "127.0.0.1", port: int = 0, prefix: servers.Prefix = ()
) -> Iterator[int]:
    """Postfix's sink, which throws everything away; gives its port."""
    port = port or servers.free_port()
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    command = [*prefix, str(program("smtp-sink")), *user, f"{host}:{port}", "1000"]
    process = children.spawn(command, output=None, environment={})
    try:
        if not prefix:  # in a namespace only that one reaches it
            servers.wait_for("smtp-sink", lambda: servers.accepts(host, port))
        yield port
    finally:
        process.terminate()
        process.wait()


@dataclass
class CountingSink:
    """The counting sink as a process of its own."""

    port: int
    socket_path: Path
    file: Path
    process: "subprocess.Popen[bytes]"

    def totals(self) -> dict[str, int]:
        """What has come so far; keys as in `counting_sink.Counts.totals`."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(30)
            line.connect(str(self.socket_path))
            with line.makefile("rwb") as talk:
                talk.readline()
                talk.write(b"XCOUNT\r\nQUIT\r\n")
                talk.flush()
                found: dict[str, int] = json.loads(talk.readline()[4:])
        return found


@contextlib.contextmanager
def counting_sink(
    folder: Path,
    *,
    readers: int,
    delay: float = 0,
    host: str = "127.0.0.1",
    port: int = 0,
    prefix: servers.Prefix = (),
) -> Iterator[CountingSink]:
    """The counts end up in `folder`/sink.counts; a later sink there goes on with them."""
    port = port or servers.free_port()
    path = folder / "sink.sock"
    path.unlink(missing_ok=True)
    file = folder / "sink.counts"
    command = [
        *(*prefix, sys.executable, "-m", "benchmarks.counting_sink"),
        *("--host", host, "--port", str(port), "--unix", str(path), "--file", str(file)),
        *("--readers", str(readers), "--delay", str(delay)),
    ]
    with (folder / "sink.log").open("ab") as log:
        process = children.spawn(command, output=log, environment={"PYTHONPATH": str(ROOT)})
    try:
        servers.wait_for("the sink", lambda: servers.accepts_on(path))
        yield CountingSink(port, path, file, process)
    finally:
        process.terminate()
        process.wait()
