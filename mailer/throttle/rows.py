"""One row of Throttle, locked, with the database's time: how reactions and operators change it."""

import contextlib
import logging
import re
from collections.abc import Iterator
from datetime import datetime

from django.db import transaction
from django.db.models.functions import Now

from mailer import dialect
from mailer.models import Throttle

log = logging.getLogger(__name__)

REASON_LENGTH = 200


@contextlib.contextmanager
def locked(server: str, domain: str) -> Iterator[tuple[Throttle, datetime]]:
    """The row of a lane, made if there is none, for this transaction alone; saved by the caller.

    The upsert takes the lock in the statement that finds or makes the row, so that a row which
    somebody deletes at this moment is made anew.
    """
    sql = """
        INSERT INTO mailer_throttle
            (server, domain, factor, is_held, reason, cuts, suspensions, failures)
        VALUES (%s, %s, 1.0, %s, '', 0, 0, 0)
        ON CONFLICT (server, domain) DO UPDATE SET server = excluded.server
        RETURNING id
    """
    with transaction.atomic():
        pk = dialect.fetch(sql, [server, domain, False])[0][0]
        row = Throttle.objects.annotate(now=Now()).get(pk=pk)
        yield row, row.now


def is_suspended(row: Throttle, now: datetime) -> bool:
    return row.is_held or (row.resume_at is not None and row.resume_at > now)


def in_words(reason: str) -> str:
    """A reason that a row and a log may keep: one line, no address, not too long."""
    return re.sub(r"\S+@\S+", "(address)", " ".join(reason.split()))[:REASON_LENGTH]


def lane(server: str, domain: str) -> str:
    """What logs and sentences call a lane."""
    return f"{server}/{domain}" if domain else server


def say(server: str, domain: str, change: str, *values: object) -> None:
    """Log a change of a lane once, when it is committed."""
    transaction.on_commit(lambda: log.warning("lane %s: " + change, lane(server, domain), *values))
