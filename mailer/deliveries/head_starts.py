"""Messages that begin to leave while their intent is being committed, all but their last bytes.

Envelope and body cost two round trips, the commit a flush to disk: here they happen at once. No
server may deliver a message before its final dot (RFC 5321 section 4.1.1.4), and that is written
only when the commit has said yes. So what a crash can leave in doubt, and what an unsubscribe can
still stop, is what it was: decision 0007.
"""

import logging
from collections.abc import Iterable

from iria_news.smtp import Kind
from mailer.deliveries.backends import BackendPool
from mailer.deliveries.connection import Finished, Submission
from mailer.deliveries.connections import Pool
from mailer.deliveries.exchanging import Intent
from mailer.deliveries.holding import Holding
from mailer.deliveries.leases import Waiting
from mailer.deliveries.recipients import UNBUILDABLE, Recipients

log = logging.getLogger(__name__)


class HeadStarts:
    """The rows of one commit whose messages have begun, on lines that were open anyway."""

    def __init__(self, pool: Pool | BackendPool, recipients: Recipients, holding: Holding) -> None:
        self._pool = pool if isinstance(pool, Pool) else None  # other transports have no last dot
        self._recipients = recipients
        self._holding = holding
        self._built: list[tuple[Intent, Submission]] = []
        self._begun: dict[tuple[int, int], Intent] = {}  # what the message was built from
        self._finished: dict[tuple[int, int], Finished] = {}  # refused before it could end
        self._settled: list[Finished] = []

    def build(self, wanted: Iterable[Waiting], *, not_after: float) -> None:
        """Join the messages that may begin: rows of batches that never lost an owner.

        A batch that has lost one may hold a message that kills whoever builds it; only an intent
        that was committed first names it. May ask the database for the messages of cohorts.
        """
        self._built = []
        for row in wanted if self._pool else ():
            lease = self._holding.held.get(row.batch_id)
            intent = self._recipients.foreseen(row)
            if lease is None or lease.losses or intent is None:
                continue
            try:
                submission = self._recipients.submission(row, intent, not_after=not_after)
            except UNBUILDABLE:  # said, and settled, when the intent is there
                continue
            self._built.append((intent, submission))

    def start(self) -> None:
        """Begin to send what was built, on the lines that are open for it. Asks no database."""
        built, self._built = self._built, []
        for intent, submission in built:
            if self._pool is None or not self._pool.start_early(submission):
                return
            self._begun[intent.edition_id, intent.subscriber_id] = intent

    def keeps(self, finished: Finished) -> bool:
        """Whether this is the end of a message whose intent is not known yet; then it is kept."""
        key = (finished.submission.edition_id, finished.submission.subscriber_id)
        if key in self._begun:
            self._finished[key] = finished
        return key in self._begun

    def goes_on(self, intent: Intent) -> bool:
        """The intent is committed: let its message end. False if it has to be sent from the start.

        It has not begun, its line was lost, or the reader has changed address or name since.
        """
        key = (intent.edition_id, intent.subscriber_id)
        built_from = self._begun.pop(key, None)
        finished = self._finished.pop(key, None)
        if built_from is None or self._pool is None:
            return False
        if built_from != intent:
            self._pool.drop(*key)
            return False
        if finished is None:
            self._pool.let_end(*key)
        elif finished.result.kind is Kind.NOT_SENT:
            return False
        else:
            self._settled.append(finished)
        return True

    def end(self) -> list[Finished]:
        """Drop what got no intent; return what finished early and has one."""
        for key in self._begun:
            if key not in self._finished and self._pool is not None:
                self._pool.drop(*key)
        self._begun.clear()
        self._finished.clear()
        settled, self._settled = self._settled, []
        return settled
