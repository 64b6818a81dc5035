"""How often a form may be sent: counters in Redis, by network and by address, never in clear.

They only slow down abuse. When Redis is away nobody is refused; a log line says so.
"""

import hashlib
import ipaddress
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.translation import gettext, gettext_noop
from redis.exceptions import NoScriptError, RedisError

from iria_news import ephemeral, keys
from subscribers.addresses import Address

logger = logging.getLogger(__name__)

HOUR = timedelta(hours=1)
PER_NETWORK = 20  # an hour; an office behind one address, or a class that signs up together
PER_ADDRESS = 10  # an hour; counts unknown addresses like known ones
PER_DOMAIN = 500  # an hour; a list of one company's people, typed in by a program
IN_ALL = 3_000  # an hour; about ten times a very good day

# Keys are counters; arguments are how long they live (ms) and the most of each. Stops at the first
# that is exceeded.
SCRIPT = """
for place, key in ipairs(KEYS) do
  local tries = redis.call('INCR', key)
  if tries == 1 then redis.call('PEXPIRE', key, ARGV[1]) end
  if tries > tonumber(ARGV[place + 1]) then return {place, redis.call('PTTL', key)} end
end
return {0, 0}
"""
SCRIPT_HASH = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()  # as EVALSHA asks


@dataclass(frozen=True)
class _Limit:
    name: str
    most: int
    words: str

    @property
    def sentence(self) -> str:
        return gettext(self.words).format(most=self.most)


NETWORK = _Limit(
    "network", PER_NETWORK, gettext_noop("This network has sent {most} sign-ups in an hour")
)
ADDRESS = _Limit(
    "address", PER_ADDRESS, gettext_noop("This address was entered {most} times in an hour")
)
DOMAIN = _Limit(
    "domain", PER_DOMAIN, gettext_noop("This mail domain was entered very often in an hour")
)
ALL = _Limit("all", IN_ALL, gettext_noop("We had more sign-ups in an hour than we can take"))


class TooMany(Exception):
    """One of the limits is reached. `until` (UTC) is when the next try is welcome."""

    def __init__(self, limit: _Limit, until: datetime) -> None:
        super().__init__(limit.sentence)
        self.sentence = limit.sentence
        self.until = until


def count(address: Address, *, network: str | None) -> None:
    """Count one try, in one question to Redis. Raises TooMany from the first one above a limit on.

    That one counts, too, and the limits after it in this list do not count it: who is refused for
    a network's sake uses up nothing of the rest. An hour begins with the first try in it. Without
    a network there is no such limit: for programs, whose keys have limits of their own.
    """
    counted = [
        *([] if network is None else [(NETWORK, network)]),
        (ADDRESS, mailbox(address.key)),
        (DOMAIN, address.key.rpartition("@")[2]),
        (ALL, ""),
    ]
    try:
        exceeded, milliseconds = _ask_redis(counted)
    except RedisError as error:
        logger.warning("Redis is away, so sign-ups are not limited: %s", type(error).__name__)
        return
    if exceeded:
        until = timezone.now() + timedelta(milliseconds=milliseconds)
        raise TooMany(counted[exceeded - 1][0], until)


def _ask_redis(counted: Sequence[tuple[_Limit, str]]) -> tuple[int, int]:
    """Which limit, from 1 on, is exceeded (0 for none), and for how many milliseconds more."""
    client = ephemeral.client()
    names = [_name(limit, of) for limit, of in counted]
    most = [limit.most for limit, _ in counted]
    period = round(HOUR.total_seconds() * 1000)
    try:
        answer = client.evalsha(SCRIPT_HASH, len(names), *names, period, *most)
    except NoScriptError:  # Redis is new, and has not seen it
        answer = client.eval(SCRIPT, len(names), *names, period, *most)
    return answer[0], answer[1]


def _name(limit: _Limit, of: str) -> str:
    return f"iria-limit:{limit.name}:{keys.keyed_hash('limit', of)[:32]}"


def mailbox(address_key: str) -> str:
    """One name for all addresses that usually reach one mailbox: no dots, no +tag."""
    local_part, _, domain = address_key.rpartition("@")
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
