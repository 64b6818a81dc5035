"""SMTP connections, each in a thread of its own. They never touch the database."""

import queue
import threading
import time
from dataclasses import dataclass

from django.conf import settings

from iria_news.environment import SubmissionServer
from iria_news.smtp import Kind, Result, ServerUnavailable, Session

LEASE_MARGIN = 1 / 3  # of the lease must be left before MAIL is said


@dataclass(frozen=True)
class Submission:
    """A message on its way to a connection."""

    edition_id: int
    subscriber_id: int
    sender: str
    recipient: str
    message: bytes
    key: str
    not_after: float  # on this process's monotonic clock


@dataclass(frozen=True)
class Finished:
    """What a connection did with a submission. `unavailable` says that no session was open."""

    submission: Submission
    result: Result
    unavailable: ServerUnavailable | None = None


class Pool:
    """At most `size` connections to one server. A connection opens with its first message."""

    def __init__(self, server: SubmissionServer, *, size: int, messages_each: int) -> None:
        self.size = size
        self.in_flight = 0
        self._server = server
        self._messages_each = messages_each
        self._tasks: queue.SimpleQueue[Submission | None] = queue.SimpleQueue()
        self._finished: queue.SimpleQueue[Finished] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    @property
    def idle(self) -> int:
        return self.size - self.in_flight

    def hand_over(self, submission: Submission) -> None:
        """Give a message to an idle connection; there must be one."""
        assert self.idle > 0
        self.in_flight += 1
        if len(self._threads) < min(self.in_flight, self.size):
            thread = threading.Thread(target=self._run, daemon=True, name="smtp")
            self._threads.append(thread)
            thread.start()
        self._tasks.put(submission)

    def collect(self, *, seconds: float) -> list[Finished]:
        """What has finished; waits up to so long for the first, if anything is under way."""
        finished: list[Finished] = []
        if self.in_flight and seconds > 0:
            try:
                finished.append(self._finished.get(timeout=seconds))
            except queue.Empty:
                return finished
        while not self._finished.empty():
            finished.append(self._finished.get())
        self.in_flight -= len(finished)
        return finished

    def close(self) -> None:
        """End the connections. Waits for them only if nothing is on the wire."""
        for _ in self._threads:
            self._tasks.put(None)
        if not self.in_flight:
            for thread in self._threads:
                thread.join(timeout=5)

    def _run(self) -> None:
        session = Session(self._server)
        while (submission := self._tasks.get()) is not None:
            self._finished.put(self._submit(session, submission))
        session.close()

    def _submit(self, session: Session, submission: Submission) -> Finished:
        if session.submitted >= self._messages_each:
            session.close()  # servers cut lines that carry too many; better at our moment
        used_before = session.is_open
        finished = self._try(session, submission)
        if used_before and finished.result.kind is Kind.NOT_SENT and finished.unavailable is None:
            # The server closed the line between two messages, as it may. That is no failure.
            finished = self._try(session, submission)
        return finished

    def _try(self, session: Session, submission: Submission) -> Finished:
        try:
            if not session.is_open:
                session.open()
        except ServerUnavailable as error:
            return Finished(submission, Result(Kind.NOT_SENT, error.stage, error.code), error)
        if time.monotonic() > submission.not_after - settings.LEASE_SECONDS * LEASE_MARGIN:
            return Finished(submission, Result(Kind.NOT_SENT, "lease"))
        result = session.submit(
            sender=submission.sender,
            recipient=submission.recipient,
            message=submission.message,
            key=submission.key,
            escaped=True,
        )
        return Finished(submission, result)
