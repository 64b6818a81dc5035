"""Several SMTP connections at once, in one thread. They never touch the database.

A selector waits for whichever server answers first. Only opening a connection takes a thread of
its own: TLS and authentication block, and happen once in a hundred messages.
"""

import queue
import selectors
import socket
import time

from iria_news.environment import SubmissionServer
from iria_news.smtp import Session
from mailer.deliveries.connection import Connection, Finished, Submission

RECEIVE = 4096  # bytes; a reply has some fifty
DEADLINE_CHECK = 1.0  # seconds between two looks for servers that are silent for too long


class Pool:
    """At most `size` connections to one server. A connection opens with its first message."""

    def __init__(self, server: SubmissionServer, *, size: int, messages_each: int) -> None:
        self.size = size
        self.in_flight = 0
        self._messages_each = messages_each
        self._idle = [Connection(self, Session(server)) for _ in range(size)]
        self._busy: set[Connection] = set()
        self._early: dict[tuple[int, int], Connection] = {}  # whose message must not end yet
        self._finished: list[Finished] = []
        self._also: int | None = None
        self._check_at = time.monotonic() + DEADLINE_CHECK
        self._opened: queue.SimpleQueue[Connection] = queue.SimpleQueue()
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

    def start_early(self, submission: Submission) -> bool:
        """Hand over a message that must not end yet; False if no idle line is open for it.

        A line that is lost before `let_end` makes it finish as certainly not sent.
        """
        if not (self._idle and self._idle[-1].has_room):
            return False
        self.in_flight += 1
        connection = self._idle.pop()
        self._busy.add(connection)
        self._early[submission.edition_id, submission.subscriber_id] = connection
        connection.begin(submission, held=True)
        return True

    def let_end(self, edition_id: int, subscriber_id: int) -> None:
        """A message that was started early may be delivered. No-op if it has finished."""
        connection = self._early.pop((edition_id, subscriber_id), None)
        if connection is not None:
            connection.let_end()

    def drop(self, edition_id: int, subscriber_id: int) -> None:
        """A message that was started early must not be delivered: its line is closed."""
        connection = self._early.pop((edition_id, subscriber_id), None)
        if connection is not None:
            connection.drop()
            self._put_away(connection)
            self.in_flight -= 1
            return
        for finished in self._finished:  # it has ended, but nobody has collected that yet
            done = finished.submission
            if (done.edition_id, done.subscriber_id) == (edition_id, subscriber_id):
                self._finished.remove(finished)
                self.in_flight -= 1
                return

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

    def watch(self, connection: "Connection", line: socket.socket, events: int) -> None:
        try:
            self._selector.modify(line, events, connection)
        except KeyError:
            self._selector.register(line, events, connection)

    def forget(self, line: socket.socket) -> None:
        try:
            self._selector.unregister(line)
        except (KeyError, ValueError):
            return  # it never was watched, or is closed already

    def settled(self, connection: Connection, finished: Finished) -> None:
        done = finished.submission
        self._early.pop((done.edition_id, done.subscriber_id), None)
        self._put_away(connection)
        self._finished.append(finished)

    def _put_away(self, connection: Connection) -> None:
        self._busy.discard(connection)
        # The open ones are taken first: one that could not be opened may be one too many.
        self._idle.insert(len(self._idle) if connection.is_open else 0, connection)

    def announce(self, connection: "Connection") -> None:
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
