"""How often a form may be sent: counters in Redis, by network and by address, never in clear.

They only slow down abuse. When Redis is away nobody is refused; a log line says so.
"""

import ipaddress
import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.core.cache import cache
from django.utils import timezone
from redis.exceptions import RedisError

from iria_news import keys
from subscribers.addresses import Address

logger = logging.getLogger(__name__)

HOUR = timedelta(hours=1)
PER_NETWORK = 20  # an hour; an office behind one address, or a class that signs up together
PER_ADDRESS = 10  # an hour; counts unknown addresses like known ones
PER_DOMAIN = 500  # an hour; a list of one company's people, typed in by a program
IN_ALL = 3_000  # an hour; about ten times a very good day


@dataclass(frozen=True)
class _Limit:
    name: str
    most: int
    sentence: str


NETWORK = _Limit("network", PER_NETWORK, f"This network has sent {PER_NETWORK} sign-ups in an hour")
ADDRESS = _Limit("address", PER_ADDRESS, f"This address was entered {PER_ADDRESS} times in an hour")
DOMAIN = _Limit("domain", PER_DOMAIN, "This mail domain was entered very often in an hour")
ALL = _Limit("all", IN_ALL, "We had more sign-ups in an hour than we can take")


class TooMany(Exception):
    """One of the limits is reached. `until` (UTC) is when the next try is welcome."""

    def __init__(self, limit: _Limit, until: datetime) -> None:
        super().__init__(limit.sentence)
        self.sentence = limit.sentence
        self.until = until


def count(address: Address, *, network: str) -> None:
    """Count one try. Raises TooMany from the first one above a limit on; that counts, too."""
    domain = address.key.rpartition("@")[2]
    try:
        _count(NETWORK, network)
        _count(ADDRESS, mailbox(address))
        _count(DOMAIN, domain)
        _count(ALL, "")
    except RedisError as error:
        logger.warning("Redis is away, so sign-ups are not limited: %s", type(error).__name__)


def mailbox(address: Address) -> str:
    """One name for all addresses that usually reach one mailbox: no dots, no +tag."""
    local_part, _, domain = address.key.rpartition("@")
    return f"{local_part.partition('+')[0].replace('.', '')}@{domain}"


def network(remote: str, forwarded_for: str, *, proxies: int) -> str:
    """The network a request came from: an IPv4 address or an IPv6 /64.

    With `proxies` of our own in front, the one that stands so many entries from the end of
    X-Forwarded-For saw the reader; everything before it is the reader's own invention.
    """
    hops = [*(hop.strip() for hop in forwarded_for.split(",")), remote]
    seen = hops[-1 - proxies] if proxies < len(hops) else hops[0]
    try:
        address = ipaddress.ip_address(seen)
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address.packed[:8] + bytes(8), 64)))
    return str(address)


def _count(limit: _Limit, of: str) -> None:
    key = f"limit:{limit.name}:{keys.keyed_hash('limit', of)[:32]}"
    ends = timezone.now() + HOUR
    if cache.add(key, 1, HOUR.total_seconds()):
        cache.set(f"{key}:ends", ends.timestamp(), HOUR.total_seconds())
        return
    try:
        tries = cache.incr(key)
    except ValueError:  # it ran out between the two commands
        return
    if tries > limit.most:
        until = cache.get(f"{key}:ends", ends.timestamp())
        raise TooMany(limit, datetime.fromtimestamp(until, UTC))
