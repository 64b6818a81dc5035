"""A Redis of this process's own, and lanes that have a past."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db.models import F
from redis import Redis

from iria_news.environment import SubmissionServer
from mailer.models import Throttle
from mailer.throttle import hours, permits


@pytest.fixture(autouse=True)
def redis(settings) -> Iterator[Redis]:
    """Parallel processes each have their own database of the one server."""
    settings.REDIS_URL = settings.CACHES["default"]["LOCATION"]
    permits.shared.cache_clear()
    with Redis.from_url(settings.REDIS_URL) as client:
        client.flushdb()
        yield client
    permits.shared.cache_clear()


def server(name: str = "relay", **fields) -> SubmissionServer:
    return SubmissionServer("localhost", 25, name=name, **fields)


def lane(domain: str = "", name: str = "relay") -> Throttle:
    return Throttle.objects.get(server=name, domain=domain)


def minutes_pass(minutes: float) -> None:
    """Every instant in the rows moves into the past, as if the time had gone by."""
    by = timedelta(minutes=minutes)
    instants = ["resume_at", "last_cut_at", "cuts_since"]
    Throttle.objects.update(**{name: F(name) - by for name in instants})


def results(domain: str, *, name: str = "relay", **kinds: int) -> None:
    """Results of this hour, as workers write them down."""
    hours.add(name, {(domain, kind): number for kind, number in kinds.items()})
