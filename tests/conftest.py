"""Fixtures for every test."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from django.conf import settings
from django.core.cache import cache

from iria_news.environment import SubmissionServer
from subscribers import showcase
from tests import service as whole_service
from tests import steps
from tests.sink import Sink

# How long an example takes on a busy machine says nothing about what it shows.
hypothesis.settings.register_profile("any pace", deadline=None)
hypothesis.settings.load_profile("any pace")
# Names with hashes need collectstatic, which a test run has no reason to wait for.
settings.STORAGES["staticfiles"]["BACKEND"] = (
    "django.contrib.staticfiles.storage.StaticFilesStorage"
)
# Slow hashing protects real passwords; here it would only make the run slow.
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Each process of a parallel run empties its own Redis database, and no other's.
PROCESS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
settings.CACHES["default"]["LOCATION"] = f"{settings.REDIS_URL}?db={PROCESS}"
SNAPSHOTS = Path(__file__).parent / "snapshots"


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None) -> None:
    """On SQLite a file instead of memory: the processes of fault tests open it too."""
    if settings.IS_SQLITE:
        worker = os.environ.get("PYTEST_XDIST_WORKER", "alone")
        name = settings.DATA_DIR / f"test-{worker}.sqlite3"
        settings.DATABASES["default"]["TEST"]["NAME"] = str(name)


@pytest.fixture(autouse=True)
def _empty_redis() -> None:
    """Limits, counters and what is remembered in one test must not reach the next."""
    cache.clear()
    showcase.forget()


@pytest.fixture
def sink(tmp_path: Path, settings) -> Iterator[Sink]:
    """A real SMTP server that the service submits to; `sink.script` makes it misbehave."""
    with Sink(tmp_path / "sink") as server:
        settings.SUBMISSION_SERVERS = {
            "default": SubmissionServer("localhost", 0, unix_socket=str(server.path))
        }
        yield server


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[whole_service.Service]:
    """The whole service with the demo newsroom and 40 readers, for journeys and browsers."""
    folder = tmp_path_factory.mktemp("service")
    # Other sites are played on 127.0.0.1, while the service is at localhost.
    others = {"EMBED_ORIGINS": "http://127.0.0.1:*"}
    with whole_service.running(folder, "--no-demo", **others) as started:
        started.manage("load_demo", "--readers", "40")
        steps.publish(started, "A map of the last ice")  # brings its topic, which nobody follows
        yield started


@pytest.fixture
def snapshot() -> Callable[[str, str], None]:
    """Compare with tests/snapshots/<name>; with UPDATE_SNAPSHOTS=1 write it, to be reviewed."""

    def compare(name: str, content: str) -> None:
        path = SNAPSHOTS / name
        if os.environ.get("UPDATE_SNAPSHOTS") == "1":
            path.write_text(content)
        assert content == path.read_text(), f"{path} differs; UPDATE_SNAPSHOTS=1 writes it anew"

    return compare
