"""A fault: the rings that this process makes come several times, or only now and then."""

import random
from typing import Any

from kombu import Producer


def install(*, times: int = 1, dropped: float = 0.0, seed: int = 0) -> None:
    """Each message to the broker is published so often, or dropped with this probability."""
    chance = random.Random(seed)
    publish = Producer.publish

    def published(self: Producer, *arguments: Any, **named: Any) -> Any:
        if chance.random() < dropped:
            return None
        for _ in range(times - 1):
            publish(self, *arguments, **named)
        return publish(self, *arguments, **named)

    Producer.publish = published
