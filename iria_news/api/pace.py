"""How many requests a key may send: counters in Redis, a key and a minute each."""

import functools
import logging
import time

from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

log = logging.getLogger(__name__)

MINUTE = 60  # seconds
PATIENCE = 1.0  # seconds that a request may hang on a Redis that does not answer


def count(key_id: int, *, per_minute: int) -> int:
    """Count one request in this minute of the clock; seconds to wait if it is one too many.

    One round trip. With Redis away nobody is refused, and a log line says so: the limit slows
    programs down that run wild, and protects no secret.
    """
    now = int(time.time())
    name = f"iria-api:{key_id}:{now // MINUTE}"
    try:
        with _redis(str(settings.CACHES["default"]["LOCATION"])).pipeline(
            transaction=False
        ) as trip:
            trip.incr(name)
            trip.expire(name, 2 * MINUTE)
            requests, _ = trip.execute()
    except RedisError as error:
        log.warning("Redis is away, so API keys are not limited: %s", type(error).__name__)
        return 0
    return MINUTE - now % MINUTE if requests > per_minute else 0


@functools.cache
def _redis(url: str) -> Redis:
    return Redis.from_url(
        url,
        socket_timeout=PATIENCE,
        socket_connect_timeout=PATIENCE,
        retry=Retry(NoBackoff(), 0),
    )
