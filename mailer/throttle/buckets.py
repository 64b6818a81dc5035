"""What `permits` is asked, and what it answers."""

from dataclasses import dataclass

UNLIMITED = -1
COMMON = 0  # the place of the bucket that every message takes from


@dataclass(frozen=True)
class Bucket:
    """One limit. A rate of 0 and `per_day` UNLIMITED are no limit."""

    name: str
    rate: float = 0.0  # messages a second
    burst: int = 1  # messages that may leave at once after a silence
    day: str = ""  # the day that `per_day` and `sent` speak of
    per_day: int = UNLIMITED
    sent: int = 0  # on that day, as the database knows it: what an emptied Redis begins with
    returned: int = 0  # earlier permits whose message never left
    unaccepted: int = 0  # earlier permits whose message the server did not take

    @property
    def is_limited(self) -> bool:
        return self.rate > 0 or self.per_day >= 0


@dataclass(frozen=True)
class Answer:
    granted: list[bool]  # for each message, in order
    waits: list[float]  # for each bucket, in seconds
