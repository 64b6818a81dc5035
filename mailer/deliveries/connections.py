"""Several SMTP connections at once, in one thread. They never touch the database.

A selector waits for whichever server answers first. Only opening a connection takes a thread of
its own: TLS and authentication block, and happen once in a hundred messages.
"""

import logging
import queue
import selectors
import socket
import ssl
import threading
import time
from dataclasses import dataclass

from iria_news.environment import SubmissionServer
from iria_news.smtp import Dialogue, Kind, Result, ServerUnavailable, Session

log = logging.getLogger(__name__)

RECEIVE = 4096  # bytes; a reply has some fifty
DEADLINE_CHECK = 1.0  # seconds between two looks for servers that are silent for too long
BOTH = selectors.EVENT_READ | selectors.EVENT_WRITE
NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


@dataclass(slots=True)
class Submission:
    """A message on its way to a connection."""

    edition_id: int
    subscriber_id: int
    sender: str
    recipient: str
    message: bytes
    key: str
    not_after: float  # on this process's monotonic clock: later, it must not even begin


@dataclass(slots=True)
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
        self._messages_each = messages_each
        self._idle = [_Connection(self, Session(server)) for _ in range(size)]
        self._busy: set[_Connection] = set()
        self._finished: list[Finished] = []
        self._also: int | None = None
        self._check_at = time.monotonic() + DEADLINE_CHECK
        self._opened: queue.SimpleQueue[_Connection] = queue.SimpleQueue()
        self._selector = selectors.DefaultSelector()
        self._bell, self._ringer = socket.socketpair()  # rung by threads that have opened one
        self._bell.setblocking(False)  # noqa: FBT003  # the library's signature
        self._selector.register(self._bell, selectors.EVENT_READ)

    @property
    def idle(self) -> int:
        return self.size - self.in_flight

    def hand_over(self, submission: Submission) -> None:
        """Give a message to an idle connection; there must be one."""
        self.in_flight += 1
        connection = self._idle.pop()  # the last used: fewer stay open when there is little to do
        self._busy.add(connection)
        connection.begin(submission)

    def collect(self, *, seconds: float, also: int | None = None) -> list[Finished]:
        """What has finished; waits up to so long for the first, if anything is under way.

        `also` is a descriptor of the caller's: when it can be read, nobody waits any longer.
        """
        if also != self._also:
            self._listen(also)
        until = time.monotonic() + seconds
        heard = self._serve(0, also)
        while not heard and not self._finished and (self._busy or also is not None):
            left = until - time.monotonic()
            if left <= 0:
                break
            heard = self._serve(left, also)
        finished, self._finished = self._finished, []
        self.in_flight -= len(finished)
        return finished

    def _listen(self, also: int | None) -> None:
        if self._also is not None:
            self._selector.unregister(self._also)
        if also is not None:
            self._selector.register(also, selectors.EVENT_READ)
        self._also = also

    def _serve(self, seconds: float, also: int | None = None) -> bool:
        """Wait for any connection, then do all that can be done without waiting.

        Says whether `also` can be read.
        """
        heard = False
        now = time.monotonic()
        wait = max(0.0, min(seconds, self._check_at - now))
        for key, _ in self._selector.select(wait):
            if key.data is not None:
                key.data.go_on()
            elif key.fd == also:
                heard = True
            else:
                self._bell.recv(RECEIVE)
        while not self._opened.empty():
            self._opened.get().opened()
        if time.monotonic() >= self._check_at:
            self._give_up_late()
        return heard

    def _give_up_late(self) -> None:
        """Looked at every second: among ten-minute timeouts that is soon enough."""
        now = time.monotonic()
        self._check_at = now + DEADLINE_CHECK
        for connection in [each for each in self._busy if each.deadline <= now]:
            connection.give_up(TimeoutError("no answer in time"))

    def watch(self, connection: "_Connection", line: socket.socket, events: int) -> None:
        try:
            self._selector.modify(line, events, connection)
        except KeyError:
            self._selector.register(line, events, connection)

    def forget(self, line: socket.socket) -> None:
        try:
            self._selector.unregister(line)
        except (KeyError, ValueError):
            return  # it never was watched, or is closed already

    def settled(self, connection: "_Connection", finished: Finished) -> None:
        self._busy.discard(connection)
        # The open ones are taken first: one that could not be opened may be one too many.
        self._idle.insert(len(self._idle) if connection.is_open else 0, connection)
        self._finished.append(finished)

    def announce(self, connection: "_Connection") -> None:
        """Called by the thread that opened, or failed to open, a connection."""
        self._opened.put(connection)
        self._ringer.send(b"!")

    def wear_out_after(self, messages: int) -> None:
        """The server cuts lines that carry more than so many: leave them sooner from now on."""
        self._messages_each = max(1, min(self._messages_each, messages))

    @property
    def has_open_line(self) -> bool:
        """Whether any connection is up, or may be: one that could not be opened is one too many."""
        return bool(self._busy) or any(each.is_open for each in self._idle)

    def narrow(self) -> None:
        """The server takes fewer connections than this: use one less from now on."""
        self.size = max(1, self.size - 1)

    def wears_out(self, session: Session) -> bool:
        """Servers cut lines that carry too many messages; better at a moment of ours."""
        return session.submitted >= self._messages_each

    def close(self) -> None:
        """End the connections; one that is in the middle of a message without a goodbye."""
        for connection in self._idle:
            connection.close()
        for connection in self._busy:
            connection.abandon()
        self._selector.close()
        self._bell.close()
        self._ringer.close()


class _Connection:
    """One session, and the submission it is busy with."""

    def __init__(self, pool: Pool, session: Session) -> None:
        self.deadline = 0.0
        self._pool = pool
        self._session = session
        self._submission: Submission | None = None
        self._dialogue: Dialogue | None = None
        self._failure: ServerUnavailable | None = None
        self._is_fresh = True  # opened for the present submission
        self._watched = 0

    @property
    def is_open(self) -> bool:
        return self._session.is_open

    def begin(self, submission: Submission) -> None:
        self._submission = submission
        if self._session.is_open and self._pool.wears_out(self._session):
            self._leave(goodbye=True)
        self._is_fresh = not self._session.is_open
        if self._is_fresh:
            self._open()
        else:
            self._speak()

    def _open(self) -> None:
        self.deadline = float("inf")  # smtplib has timeouts of its own
        opener = threading.Thread(target=self._open_and_announce, daemon=True, name="smtp-open")
        try:
            opener.start()
        except RuntimeError as error:  # the system has no thread left for us
            self._failure = ServerUnavailable("connect", 0, str(error))
            self._pool.announce(self)

    def _open_and_announce(self) -> None:
        self._failure = None
        try:
            self._session.open()
        except ServerUnavailable as error:
            self._failure = error
        except Exception as error:  # whatever it is, the loop waits to hear of it
            log.exception("a connection could not be opened")
            self._failure = ServerUnavailable("connect", 0, type(error).__name__)
        self._pool.announce(self)

    def opened(self) -> None:
        """The thread is done: speak, or say that the server cannot be reached."""
        if self._failure is not None:
            error = self._failure
            self._finish(Result(Kind.NOT_SENT, error.stage, error.code), unavailable=error)
            return
        self._session.socket.setblocking(False)  # noqa: FBT003  # the library's signature
        self._watched = 0
        self._speak()

    def _speak(self) -> None:
        submission = self._submission
        assert submission is not None
        if time.monotonic() > submission.not_after:
            self._finish(Result(Kind.NOT_SENT, "lease"), line_is_good=True)
            return
        begun = self._session.dialogue(
            sender=submission.sender,
            recipient=submission.recipient,
            message=submission.message,
            key=submission.key,
            escaped=True,
        )
        if isinstance(begun, Result):
            self._end(begun)
            return
        self._dialogue = begun
        self.go_on()

    def go_on(self) -> None:
        """Write and read what can be without waiting."""
        dialogue = self._dialogue
        if dialogue is None:  # an idle server said something, most likely goodbye
            self._leave(goodbye=False)
            return
        try:
            self._write(dialogue)
            self._read(dialogue)
            if dialogue.result is None and dialogue.outgoing:
                self._write(dialogue)
        except OSError as error:
            self.give_up(error)
            return
        if dialogue.result is not None:
            self._end(dialogue.result)
            return
        self.deadline = time.monotonic() + dialogue.timeout
        self._watch(BOTH if dialogue.outgoing else selectors.EVENT_READ)

    def _write(self, dialogue: Dialogue) -> None:
        try:
            while dialogue.outgoing:
                dialogue.wrote(self._session.socket.send(dialogue.outgoing))
        except NOT_NOW:
            return

    def _read(self, dialogue: Dialogue) -> None:
        try:
            received = self._session.receive()
        except NOT_NOW:
            return
        self._session.hear(dialogue, received)

    def _watch(self, events: int) -> None:
        if events != self._watched:
            self._pool.watch(self, self._session.socket, events)
            self._watched = events

    def give_up(self, error: OSError) -> None:
        """The line has ended, or the server is silent for too long."""
        assert self._dialogue is not None
        self._end(self._dialogue.result or self._dialogue.lost(error), line_ended=True)

    def _end(self, result: Result, *, line_ended: bool = False) -> None:
        if result.kind is Kind.NOT_SENT and not self._is_fresh:
            self._pool.forget(self._session.socket)
            self._session.ended(result, self._dialogue)  # which remembers how to talk to it
            # The server closed the line between two messages, as it may. That is no failure.
            self._leave(goodbye=False)
            self._is_fresh = True
            self._open()
            return
        line = self._session.socket
        self._session.ended(result, self._dialogue)
        if line_ended or not self._session.is_open:
            self._pool.forget(line)
            self._session.abandon()
        self._finish(result, line_is_good=self._session.is_open)

    def _finish(
        self,
        result: Result,
        *,
        unavailable: ServerUnavailable | None = None,
        line_is_good: bool = False,
    ) -> None:
        submission = self._submission
        assert submission is not None
        self._submission = self._dialogue = None
        if line_is_good:
            self._watch(selectors.EVENT_READ)
        self._pool.settled(self, Finished(submission, result, unavailable))

    def _leave(self, *, goodbye: bool) -> None:
        """Close the line; with a goodbye nobody waits for the answer to."""
        if self._session.is_open:
            self._pool.forget(self._session.socket)
            if goodbye:
                self._session.close(wait=False)
            else:
                self._session.abandon()
        self._dialogue = None
        self._watched = 0

    def abandon(self) -> None:
        self._leave(goodbye=False)

    def close(self) -> None:
        if self._session.is_open:
            self._pool.forget(self._session.socket)
            self._session.close()
