"""Redis for counters and marks that may be lost at any moment; nothing else is kept there."""

import functools
from typing import Any

from django.conf import settings
from redis import Redis


def client() -> Redis:
    """The server of the cache, with its timeouts. Safe for threads, and after a fork.

    Kept, because making one anew, as Django's cache does for each command, costs more than asking.
    """
    cache: dict[str, Any] = settings.CACHES["default"]
    return _client(cache["LOCATION"], **cache["OPTIONS"])


@functools.cache
def _client(location: str, **options: Any) -> Redis:
    return Redis.from_url(location, **options)
