"""Several Django email backends at once, one thread each. They never touch the database.

With the interface of the SMTP `Pool`, so that the sending loop need not know which it has. A
backend blocks and takes one message a call; the threads are there to wait for it.
"""

import contextlib
import logging
import queue
import socket
import threading
import time
from multiprocessing.connection import wait

from iria_news.backend import BackendSession
from iria_news.environment import SubmissionServer
from iria_news.smtp import Kind, Result, ServerUnavailable
from mailer.deliveries.connection import Finished, Submission
from mailer.deliveries.connections import RECEIVE

log = logging.getLogger(__name__)

GOODBYE_TIMEOUT = 2  # seconds
AT_THE_MESSAGE = {"lease", "mail", "dot"}  # where it was not sent; elsewhere the server is away


class BackendPool:
    """At most `size` backends of one server. Each is opened by its first message."""

    def __init__(self, server: SubmissionServer, *, size: int, messages_each: int) -> None:
        self.size = size
        self.in_flight = 0
        self.messages_each = messages_each
        self._hands = [_Hand(self, BackendSession(server)) for _ in range(size)]
        self._idle = self._hands.copy()
        self._finished: queue.SimpleQueue[tuple[_Hand, Finished]] = queue.SimpleQueue()
        self._bell, self._ringer = socket.socketpair()  # rung by the threads
        self._bell.setblocking(False)  # noqa: FBT003  # the library's signature

    @property
    def idle(self) -> int:
        return self.size - self.in_flight

    def hand_over(self, submission: Submission) -> None:
        """Give a message to an idle backend; there must be one."""
        hand = self._idle.pop()  # the last used: fewer stay open when there is little to do
        self.in_flight += 1
        hand.take(submission)

    def collect(self, *, seconds: float, also: int | None = None) -> list[Finished]:
        """What has finished; waits up to so long for the first, if anything is under way.

        `also` is a descriptor of the caller's: when it can be read, nobody waits any longer.
        """
        until = time.monotonic() + seconds
        others = [] if also is None else [also]
        finished = self._take()
        heard = False
        while not (finished or heard) and (self.in_flight or others):
            left = until - time.monotonic()
            if left <= 0:
                break
            heard = also in wait([self._bell, *others], left)
            finished = self._take()
        return finished

    def _take(self) -> list[Finished]:
        """All that threads have finished by now; the bell is silenced first, so none is missed."""
        with contextlib.suppress(BlockingIOError):
            self._bell.recv(RECEIVE)
        finished = []
        while not self._finished.empty():
            hand, done = self._finished.get()
            self._idle.append(hand)
            finished.append(done)
        self.in_flight -= len(finished)
        return finished

    @property
    def has_open_line(self) -> bool:
        """Whether another message is under way; a backend does not say whether it has a line."""
        return self.in_flight > 0

    def narrow(self) -> None:
        """The server takes fewer connections than this: use one less from now on."""
        self.size = max(1, self.size - 1)

    def wear_out_after(self, messages: int) -> None:
        """The server cuts lines that carry more than so many: leave them sooner from now on."""
        self.messages_each = max(1, min(self.messages_each, messages))

    def announce(self, hand: "_Hand", finished: Finished) -> None:
        """Called by the thread of a backend, also after `close`."""
        self._finished.put((hand, finished))
        with contextlib.suppress(OSError):  # the bell is gone when nobody listens any more
            self._ringer.send(b"!")

    def close(self) -> None:
        """Close the backends; one that is in the middle of a call does so when it is through."""
        for hand in self._hands:
            hand.leave()
        for hand in self._idle:
            hand.join(GOODBYE_TIMEOUT)
        self._bell.close()
        self._ringer.close()


class _Hand:
    """One backend session, and the thread that waits for it."""

    def __init__(self, pool: BackendPool, session: BackendSession) -> None:
        self._pool = pool
        self._session = session
        self._asked: queue.SimpleQueue[Submission | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def take(self, submission: Submission) -> None:
        """Begin with a message; the pool is told what became of it."""
        if self._thread is None:
            thread = threading.Thread(target=self._work, daemon=True, name="backend")
            try:
                thread.start()
            except RuntimeError as error:  # the system has no thread left for us
                away = ServerUnavailable("connect", 0, str(error))
                self._pool.announce(self, Finished(submission, Result(Kind.NOT_SENT), away))
                return
            self._thread = thread
        self._asked.put(submission)

    def leave(self) -> None:
        """Close the session after the present message, and end."""
        self._asked.put(None)

    def join(self, seconds: float) -> None:
        if self._thread is not None:
            self._thread.join(seconds)

    def _work(self) -> None:
        while (submission := self._asked.get()) is not None:
            try:
                finished = self._submit(submission)
            except Exception as error:  # whatever it is, the loop waits to hear of it
                log.exception("a backend failed in a way of its own")
                doubt = Result(Kind.IN_DOUBT, "dot", 0, "", type(error).__name__)
                finished = Finished(submission, doubt)
            self._pool.announce(self, finished)
        self._session.close()

    def _submit(self, submission: Submission) -> Finished:
        """One message over a session that is opened for it if need be, or opened anew."""
        if self._session.submitted >= self._pool.messages_each:
            self._session.close()
        is_fresh = not self._session.is_open
        result = self._try(submission)
        if result.kind is Kind.NOT_SENT and result.stage == "mail" and not is_fresh:
            # The server closed the line between two messages, as it may. That is no failure.
            result = self._try(submission)
        if result.kind is Kind.NOT_SENT and result.stage not in AT_THE_MESSAGE:
            away = ServerUnavailable(result.stage, result.code, result.text)
            return Finished(submission, result, away)
        return Finished(submission, result)

    def _try(self, submission: Submission) -> Result:
        try:
            if not self._session.is_open:
                self._session.open()
        except ServerUnavailable as error:
            return Result(Kind.NOT_SENT, error.stage, error.code, "", error.text)
        if time.monotonic() > submission.not_after:
            return Result(Kind.NOT_SENT, "lease")
        return self._session.submit(
            sender=submission.sender,
            recipient=submission.recipient,
            message=submission.message,
            key=submission.key,
            escaped=True,
        )
