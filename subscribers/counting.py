"""How many readers newsletters have, for lists: counted at most once a minute.

A question that decides something, such as "send to 4,212 readers?", counts anew.
"""

import logging

from django.core.cache import cache
from django.db.models import Count
from redis.exceptions import RedisError

from subscribers.models import Subscription

log = logging.getLogger(__name__)

KEPT_SECONDS = 60  # counting a million subscriptions takes a quarter of a second
KEY = "readers-of-newsletters"


def readers_of(newsletter_id: int) -> int:
    """Confirmed subscriptions that have not ended, as of a minute ago at most."""
    try:
        counts: dict[int, int] = cache.get_or_set(KEY, _count, KEPT_SECONDS) or {}
    except RedisError as error:
        log.warning("readers are counted anew: %s", type(error).__name__)
        counts = _count()
    return counts.get(newsletter_id, 0)


def _count() -> dict[int, int]:
    places = Subscription.objects.open().filter(confirmed_at__isnull=False)
    return dict(places.order_by().values_list("newsletter").annotate(number=Count("pk")))
