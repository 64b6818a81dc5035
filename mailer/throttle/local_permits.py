"""The rule of `permits` for one process alone, for the time in which Redis is away."""

from collections.abc import Sequence
from dataclasses import dataclass

from mailer.throttle.buckets import COMMON, Answer, Bucket

ROUNDING = 1e-6  # permits; a number that should be whole may be off by this much


@dataclass
class _State:
    permits: float
    at: float
    day: str
    used: int


class LocalPermits:
    def __init__(self) -> None:
        self._states: dict[str, _State] = {}

    def ask(
        self, buckets: Sequence[Bucket], messages: Sequence[int], *, most: int, now: float
    ) -> Answer:
        """As `permits.Permits.ask`; `now` in seconds, of any clock that does not go back."""
        states = [self._at(bucket, now) for bucket in buckets]
        granted: list[bool] = []
        for own in messages:
            needed = [COMMON] if own == COMMON else [COMMON, own]
            may = sum(granted) < most and all(
                _has_room(buckets[place], states[place]) for place in needed
            )
            if may:
                for place in needed:
                    states[place].permits -= 1 if buckets[place].rate else 0
                    states[place].used += 1
            granted.append(may)
        waits = [_wait(*pair) for pair in zip(buckets, states, strict=True)]
        return Answer(granted, waits)

    def _at(self, bucket: Bucket, now: float) -> _State:
        state = self._states.get(bucket.name)
        if state is None:
            state = _State(1.0, now, bucket.day, bucket.sent)
            self._states[bucket.name] = state
        gone = max(0.0, now - state.at)
        gained = gone * bucket.rate + bucket.returned
        state.permits = min(bucket.burst, state.permits + gained)
        state.at = now
        if state.day != bucket.day:
            state.day, state.used = bucket.day, bucket.sent
        state.used = max(bucket.sent, state.used - bucket.returned - bucket.unaccepted)
        return state


def _in_rate(bucket: Bucket, state: _State) -> bool:
    return not bucket.rate or state.permits >= 1 - ROUNDING


def _has_room(bucket: Bucket, state: _State) -> bool:
    return _in_rate(bucket, state) and (bucket.per_day < 0 or state.used < bucket.per_day)


def _wait(bucket: Bucket, state: _State) -> float:
    if 0 <= bucket.per_day <= state.used:
        return float("inf")
    if _in_rate(bucket, state):
        return 0.0
    return (1 - state.permits) / bucket.rate
