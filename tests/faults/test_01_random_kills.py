"""Test 1: `kill -9` at any moment, to any process."""

import os
import signal
import time
from pathlib import Path

import pytest

from mailer import editions
from tests.faults import audience, books
from tests.faults.workers import CONNECTIONS, PROCESSES, state

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]


def strike(worker, chance, workers) -> None:
    """The whole group, the parent alone, or one process of the pool."""
    kind = chance.choice(["group", "parent", "child"])
    children = worker.children()
    if kind == "child" and children:
        try:
            os.kill(chance.choice(children), signal.SIGKILL)
        except ProcessLookupError:
            return
        workers.kills += 1
        return
    if kind == "parent":
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        workers.running.remove(worker)
        workers.kills += 1
        workers.wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))
        return
    workers.kill(worker)


def test_random_kills_lose_nobody(pick, sink, workers, chance, note):
    sink.behave(delay=pick(0.03, 0.02))
    edition = audience.going_out(pick(300, 20_000))
    count, wanted = pick(2, 4), pick(8, 120)
    beat = workers.start_beat()
    for _ in range(count):
        workers.start()
    workers.wait_until(lambda: sink.count() > 0)

    while workers.kills < wanted and state(edition) == "sending":
        time.sleep(chance.uniform(0.1, 0.5))
        strike(
            chance.choice([each for each in workers.running if each is not beat]), chance, workers
        )
        while len(workers.running) < count + 1:
            workers.start()
    assert workers.kills == wanted, "the edition was done too soon to strike at it"
    resumed = 0
    while state(edition) != "done":
        workers.wait_until(lambda: state(edition) != "sending", pick(90, 600))
        if state(edition) == "paused":  # a batch that five workers died over waits for a person
            assert resumed < 3
            resumed += editions.resume(edition)
            workers.wait_until(lambda: state(edition) in {"sending", "done"})

    allowed = workers.kills * CONNECTIONS * PROCESSES
    figures = books.check(edition, sink, copies_allowed=allowed)
    note(f"{workers.kills} kills, {resumed} times resumed, bound {allowed}, {figures}")
