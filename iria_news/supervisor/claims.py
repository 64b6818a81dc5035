"""What must be ours before anything starts: the data folder, the sockets in it, the port.

Every refusal is a `Misconfigured` with one sentence that says what to do.
"""

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from iria_news.environment import Misconfigured


@contextlib.contextmanager
def data_folder(data_dir: Path) -> Iterator[None]:
    """Hold DATA_DIR for this process. The lock ends with the process, however it ends."""
    lock = data_dir / "run" / "supervisor.lock"
    try:
        lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = lock.open("a+")
    except OSError as error:
        raise Misconfigured(
            f"DATA_DIR ({data_dir}) cannot be written: {error.strerror}. "
            "Give a folder that this user may write to."
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            raise Misconfigured(
                f"The folder {data_dir} is already served by process {file.read() or 'unknown'}. "
                "Stop that one first, or start with another DATA_DIR and another PORT."
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def socket_folder(run_dir: Path) -> None:
    """Make RUN_DIR, for this user only: it may lie in the shared temporary folder."""
    run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if run_dir.stat().st_uid != os.getuid():
        raise Misconfigured(
            f"The folder for sockets, {run_dir}, belongs to another user. "
            "Start with a DATA_DIR that is yours and has a shorter path."
        )
    run_dir.chmod(0o700)


def web_port(bind: str, port: int) -> None:
    """Raise unless the web server will be able to listen there."""
    not_ours = Misconfigured(
        f"BIND is {bind!r}, which is no address of this machine. "
        "It takes 127.0.0.1 for this machine only, or 0.0.0.0 for all networks."
    )
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            bind, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise not_ours from error
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except PermissionError as error:
            raise Misconfigured(
                f"This user may not listen on port {port}. Use one above 1023: PORT=8001 make run"
            ) from error
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise not_ours from error
            raise Misconfigured(
                f"Port {port} of {bind} cannot be used: {error.strerror}. "
                f"Choose another: PORT={port + 1 if port < 65535 else 8001} make run"
            ) from error
