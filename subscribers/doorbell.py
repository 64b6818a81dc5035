"""The bells of workers. They carry nothing: what is to be done stands in rows.

One ring at a time is on its way, however many people press a button: whoever finds it rung may
rely on it, for the worker says that it heard the bell before it looks at the rows.
"""

import logging
from dataclasses import dataclass

from celery import current_app
from django.db import transaction
from redis.exceptions import RedisError

from iria_news import ephemeral

logger = logging.getLogger(__name__)

# Seconds. A ring that was lost keeps others from ringing no longer than a tick takes to come.
BELIEVED_FOR = 5


@dataclass(frozen=True)
class Bell:
    """The bell of one task. Named, not imported, for tasks import the rules that ring."""

    task: str

    def ring_after_commit(self) -> None:
        """Have what waits looked at at once.

        If Redis is away the reader waits for a second at most and the rows stand: Django logs what
        went wrong, and the tick finds them.
        """
        transaction.on_commit(self._ring, robust=True)

    def heard(self) -> None:
        """To be called before looking at the rows: what is written from now on rings anew."""
        try:
            ephemeral.client().delete(self._rung)
        except RedisError as error:
            logger.warning("Redis is away, so the bell stays rung: %s", type(error).__name__)

    def _ring(self) -> None:
        if ephemeral.client().set(self._rung, 1, ex=BELIEVED_FOR, nx=True):
            current_app.send_task(self.task, ignore_result=True)

    @property
    def _rung(self) -> str:
        return f"iria-bell:{self.task}"


_service_mails = Bell("subscribers.tasks.send_service_mails")
ring_after_commit = _service_mails.ring_after_commit
heard = _service_mails.heard
