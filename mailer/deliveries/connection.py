"""One SMTP connection, and the submission it is busy with. It never touches the database."""

import logging
import selectors
import ssl
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from iria_news.smtp import Dialogue, Kind, Result, ServerUnavailable, Session

if TYPE_CHECKING:
    from mailer.deliveries.connections import Pool

log = logging.getLogger(__name__)

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


class Connection:
    """Never waits: whoever watches its socket calls `go_on` when there is something to do."""

    def __init__(self, pool: "Pool", session: Session) -> None:
        self.deadline = 0.0
        self._pool = pool
        self._session = session
        self._submission: Submission | None = None
        self._dialogue: Dialogue | None = None
        self._failure: ServerUnavailable | None = None
        self._is_fresh = True  # opened for the present submission
        self._is_held = False  # the present message must not end yet
        self._watched = 0

    @property
    def is_open(self) -> bool:
        return self._session.is_open

    @property
    def has_room(self) -> bool:
        """Whether a message can go over the line as it is, without a new session."""
        return self._session.is_open and not self._pool.wears_out(self._session)

    def begin(self, submission: Submission, *, held: bool = False) -> None:
        """Submit a message. `held`: all of it but its end, which waits for `let_end`."""
        self._submission, self._is_held = submission, held
        if self._session.is_open and self._pool.wears_out(self._session):
            self._leave(goodbye=True)
        self._is_fresh = not self._session.is_open
        if self._is_fresh:
            self._open()
        else:
            self._speak()

    def let_end(self) -> None:
        """The message that was held may be delivered now."""
        self._is_held = False
        if self._dialogue is not None:
            self._dialogue.release()
            self.go_on()

    def drop(self) -> None:
        """Forget the message that is held. Nothing was delivered: the server never saw its end."""
        self._leave(goodbye=False)
        self._submission, self._is_held = None, False

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
            held=self._is_held,
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
        if result.kind is Kind.NOT_SENT and not self._is_fresh and not self._is_held:
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
