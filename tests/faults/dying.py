"""A fault: the process, with its whole group, kills itself once at a named point of the engine.

The points are those of the crash matrix. What they are in the code stands in `POINTS`, and nowhere
else: when a function of the engine gets another name, this is the table to change.
"""

import functools
import importlib
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import connection

Condition = Callable[[tuple[Any, ...], Any], bool]  # arguments, result -> is this the point?


@dataclass(frozen=True)
class Point:
    where: str  # a function of the engine: module, then the names inside it
    moment: str  # "before" it, "after" it, or "inside": half of a write
    when: Condition = lambda arguments, result: True


def _asks_for_intents(arguments: tuple[Any, ...], result: Any) -> bool:
    return bool(arguments[1].wanted)


def _brings_accepted(arguments: tuple[Any, ...], result: Any) -> bool:
    return bool(arguments[1].accepted)


def _has_intents(arguments: tuple[Any, ...], result: Any) -> bool:
    return bool(arguments[1].intents)


def _has_settled_accepted(arguments: tuple[Any, ...], result: Any) -> bool:
    return bool(arguments[1].request.accepted)


def _is_body(arguments: tuple[Any, ...], result: Any) -> bool:
    dialogue = arguments[1]
    return dialogue._is_body and len(dialogue.outgoing) > 5


def _has_written_the_dot(arguments: tuple[Any, ...], result: Any) -> bool:
    return arguments[0]._is_complete


POINTS = {
    # the freeze and the rendering
    "in a page of the freeze": Point("mailer.cohorts:_write_deliveries", "after"),
    "after a page of the freeze": Point("mailer.cohorts:_freeze_page", "after"),
    "before the freeze is complete": Point("mailer.cohorts:_complete", "before"),
    "after the claim of a cohort": Point(
        "mailer.production:_claim", "after", lambda arguments, result: result is not None
    ),
    # the sending loop
    "after the claim": Point(
        "mailer.deliveries.leases:claim", "after", lambda arguments, result: result is not None
    ),
    "before the commit of intents": Point(
        "mailer.deliveries.exchanger:Exchanger.begin", "before", _asks_for_intents
    ),
    "in the commit of intents": (
        Point("mailer.deliveries.exchanging:_intend", "after", lambda _, result: bool(result))
        if connection.vendor == "sqlite"  # PostgreSQL has the statement, and will run it to its end
        else Point(
            "mailer.deliveries.prepared:Prepared.start", "after", lambda sent, _: bool(sent[1][7])
        )
    ),
    "after the commit of intents": Point(
        "mailer.deliveries.sending:_Loop._apply", "before", _has_intents
    ),
    "in a body": Point("mailer.deliveries.connection:Connection._write", "inside", _is_body),
    "after the final dot": Point("iria_news.smtp:Dialogue.wrote", "after", _has_written_the_dot),
    "before the commit of outcomes": Point(
        "mailer.deliveries.exchanger:Exchanger.begin", "before", _brings_accepted
    ),
    "after the commit of outcomes": Point(
        "mailer.deliveries.sending:_Loop._apply", "before", _has_settled_accepted
    ),
    "before the release": Point("mailer.deliveries.leases:release", "before"),
}


def install(*, point: str, note: str, call: int = 1) -> None:
    """Die at the point when it is reached for the `call`-th time; `note` is a file that says so."""
    chosen = POINTS[point]
    left = [call]

    def strike(arguments: tuple[Any, ...], result: Any = None) -> None:
        if not chosen.when(arguments, result):
            return
        left[0] -= 1
        if left[0] == 0:
            if chosen.moment == "inside":
                _write_half(*arguments)
            Path(note).write_text(point)
            os.killpg(0, signal.SIGKILL)

    replace(chosen.where, functools.partial(_around, strike, chosen.moment))


def install_poison(*, subscriber_id: int) -> None:
    """Die, each time, when the message of this subscriber is built."""

    def strike(arguments: tuple[Any, ...], result: Any = None) -> None:
        if arguments[1].subscriber_id == subscriber_id:
            os.kill(os.getpid(), signal.SIGKILL)

    replace(
        "mailer.deliveries.recipients:Recipients.submission",
        functools.partial(_around, strike, "before"),
    )


def replace(where: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Put a wrapper in the place of a function of the engine."""
    module, _, names = where.partition(":")
    owner: Any = importlib.import_module(module)
    *path, last = names.split(".")
    for name in path:
        owner = getattr(owner, name)
    setattr(owner, last, wrap(getattr(owner, last)))


def _around(
    strike: Callable[..., None], moment: str, original: Callable[..., Any]
) -> Callable[..., Any]:
    @functools.wraps(original)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        if moment != "after":
            strike(arguments)
        result = original(*arguments, **named)
        if moment == "after":
            strike(arguments, result)
        return result

    return wrapped


def _write_half(connection: Any, dialogue: Any) -> None:
    line: socket.socket = connection._session.socket
    line.send(dialogue.outgoing[: len(dialogue.outgoing) // 2])
