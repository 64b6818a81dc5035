"""Permits to send, shared by all workers through Redis; each for itself while Redis is away.

The rule is GCRA, kept as permits at hand: time adds `rate` a second up to `burst`, and a message
takes one. Counting permits, not instants, is what lets a new rate or burst act at once, whatever
the old one left behind.
"""

import functools
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from mailer.throttle.buckets import COMMON, UNLIMITED, Answer, Bucket
from mailer.throttle.local_permits import LocalPermits

log = logging.getLogger(__name__)

PREFIX = "iria-permits"
PATIENCE = 1.0  # seconds that the loop may hang on a Redis that does not answer
PAUSE = 5.0  # seconds after that in which Redis is not asked again

# Everything of a bucket is one hash: permits and the instant they were true, day and what it used.
SCRIPT = """
local FIELDS = 7
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local buckets = {}
for place, key in ipairs(KEYS) do
  local first = (place - 1) * FIELDS
  local b = {
    rate = tonumber(ARGV[first + 1]), burst = tonumber(ARGV[first + 2]), day = ARGV[first + 3],
    per_day = tonumber(ARGV[first + 4]), sent = tonumber(ARGV[first + 5]),
    returned = tonumber(ARGV[first + 6]), unaccepted = tonumber(ARGV[first + 7]),
  }
  local kept = redis.call('HMGET', key, 'permits', 'at', 'day', 'used')
  b.permits = 1
  if kept[1] and kept[2] then
    local gone = math.max(0, now - tonumber(kept[2])) / 1000000
    b.permits = math.min(b.burst, tonumber(kept[1]) + gone * b.rate + b.returned)
  end
  b.used = b.sent
  if kept[4] and kept[3] == b.day then
    b.used = math.max(b.sent, tonumber(kept[4]) - b.returned - b.unaccepted)
  end
  buckets[place] = b
end

local function in_rate(b)
  return b.rate == 0 or b.permits >= 1 - 1e-6
end

local function has_room(b)
  return in_rate(b) and (b.per_day < 0 or b.used < b.per_day)
end

local function take(b)
  if b.rate > 0 then b.permits = b.permits - 1 end
  b.used = b.used + 1
end

local granted = {}
local left = tonumber(ARGV[#KEYS * FIELDS + 1])
for number = #KEYS * FIELDS + 2, #ARGV do
  local own = tonumber(ARGV[number]) + 1
  local may = left > 0 and has_room(buckets[1]) and has_room(buckets[own])
  if may then
    left = left - 1
    take(buckets[1])
    if own > 1 then take(buckets[own]) end
  end
  granted[#granted + 1] = may and '1' or '0'
end

local answer = { table.concat(granted) }
for place, key in ipairs(KEYS) do
  local b, wait = buckets[place], 0
  if not in_rate(b) then
    wait = math.max(1, math.ceil((1 - b.permits) / b.rate * 1000000))
  end
  if b.per_day >= 0 and b.used >= b.per_day then wait = -1 end
  answer[place + 1] = string.format('%.0f', wait)
  if b.rate > 0 or b.per_day >= 0 then
    redis.call('HSET', key, 'permits', string.format('%.9f', b.permits), 'at',
      string.format('%.0f', now), 'day', b.day, 'used', string.format('%.0f', b.used))
    local refilled = b.rate > 0 and math.ceil(b.burst / b.rate) or 0
    redis.call('EXPIRE', key, string.format('%.0f', math.min(2e9, refilled + 172800)))
  end
end
return answer
"""


@dataclass(frozen=True)
class Grant:
    """`granted` permits now; `wait` seconds until the next one, 0 if one more is there."""

    granted: int
    wait: float


class Permits:
    """A connection to the permits in Redis, and the share of this process while it is away.

    A bucket is one key. A missing one starts without its burst, so that an emptied Redis lets at
    most one message more through than the rate allows.
    """

    def __init__(self, url: str) -> None:
        redis = Redis.from_url(
            url,
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
            retry=Retry(NoBackoff(), 0),
        )
        self._script = redis.register_script(SCRIPT)
        self._local = LocalPermits()
        self._away_until = 0.0

    def take(self, bucket: str, *, rate: float, burst: int, want: int) -> Grant:
        """Take up to `want` permits of one bucket. Never raises; see `ask`."""
        answer = self.ask([Bucket(bucket, rate, burst)], [COMMON] * want, most=want)
        return Grant(sum(answer.granted), answer.waits[COMMON])

    def ask(self, buckets: Sequence[Bucket], messages: Sequence[int], *, most: int) -> Answer:
        """Decide for each message, in order, whether it may leave now: `most` may. One round trip.

        `messages` holds the place in `buckets` that each takes from, besides the first bucket,
        which all take from; a message takes from both or from neither. The waits are seconds
        until a bucket has a permit again, 0 if it has one, infinite if its day is used up.

        With Redis away (an error, or no answer within a second) this process goes on with its
        share, rate / SENDING_WORKERS, and asks Redis again after some seconds.
        """
        if time.monotonic() >= self._away_until:
            try:
                return self._ask_redis(buckets, messages, most)
            except RedisError as error:
                self._away_until = time.monotonic() + PAUSE
                log.warning(
                    "Redis is away, each worker sends at its share of the rate: %s",
                    type(error).__name__,
                )
        shares = [_share(bucket) for bucket in buckets]
        return self._local.ask(shares, messages, most=most, now=time.monotonic())

    def _ask_redis(self, buckets: Sequence[Bucket], messages: Sequence[int], most: int) -> Answer:
        values: list[str | int] = []
        for bucket in buckets:
            values += [repr(bucket.rate), bucket.burst, bucket.day]
            values += [bucket.per_day, bucket.sent, bucket.returned, bucket.unaccepted]
        keys = [f"{PREFIX}:{bucket.name}" for bucket in buckets]
        flags, *waits = self._script(keys=keys, args=[*values, most, *messages])
        return Answer(
            [flag == ord("1") for flag in flags],
            [int(wait) / 1e6 if int(wait) >= 0 else float("inf") for wait in waits],
        )


@functools.cache
def shared(url: str) -> Permits:
    """The permits of this process: one connection, and one pause when Redis is away."""
    return Permits(url)


def _share(bucket: Bucket) -> Bucket:
    """What one worker may do while the workers cannot count together."""
    workers = settings.SENDING_WORKERS
    if bucket.per_day < 0:
        left = UNLIMITED
    else:
        left = bucket.sent + max(0, bucket.per_day - bucket.sent) // workers
    return replace(
        bucket, rate=bucket.rate / workers, burst=max(1, bucket.burst // workers), per_day=left
    )
