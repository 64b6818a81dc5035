"""One SMTP connection, and its blocking way to submit a message."""

import contextlib
import socket
import ssl
from types import TracebackType
from typing import Self

from iria_news.environment import SubmissionServer
from iria_news.smtp import pace
from iria_news.smtp.dialogue import Dialogue
from iria_news.smtp.line import Line, introduced
from iria_news.smtp.replies import OutOfStep, Replies
from iria_news.smtp.results import Kind, Result
from iria_news.smtp.syntax import ended, is_safe, xtext

GOODBYE_TIMEOUT = 1  # second
RECEIVE = 4096  # bytes at once; the replies to one message have some two hundred
CLOSING = 421  # RFC 5321 section 3.8: the server is closing the channel, and may say so unasked

STAGES = ("mail", "rcpt", "data")
STAGES_AFTER_REFUSAL = ("mail", *STAGES)  # RSET first


class Session:
    """One SMTP connection. Opens itself again only when told to; not for two threads at once."""

    def __init__(self, server: SubmissionServer) -> None:
        self.server = server
        self.submitted = 0  # messages since it was opened
        self.replies = Replies()
        self._line: Line | None = None
        self._socket: socket.socket | None = None
        self._offers: frozenset[str] = frozenset()  # of the last EHLO, lower case
        self._pipelines = self._notifies = self._takes_utf8 = False
        self._must_reset = False

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def is_open(self) -> bool:
        return self._line is not None

    @property
    def socket(self) -> socket.socket:
        """The socket of an open session, for whoever waits for many at once."""
        assert self._socket is not None
        return self._socket

    def offers(self, extension: str) -> bool:
        """Whether the last EHLO named this extension (lower case)."""
        return self._line is not None and extension in self._offers

    def open(self) -> None:
        """Connect, protect, introduce and authenticate. Raises ServerUnavailable.

        With security "starttls" a server that does not offer STARTTLS, or fails at it, gets
        neither mail nor password: an attacker on the line can strip the offer.
        """
        self.close()
        line = introduced(self.server)
        self._line, self._socket, self._offers = line, line.sock, frozenset(line.esmtp_features)
        self._pipelines = "pipelining" in self._offers
        self._notifies = "dsn" in self._offers
        self._takes_utf8 = "smtputf8" in self._offers
        self.submitted, self._must_reset = 0, False
        self.replies = Replies()

    def close(self, *, wait: bool = True) -> None:
        """Say goodbye if the line is still good, and close it. Never raises.

        `wait=False` does not wait for the server's goodbye.
        """
        line = self._line
        if line is not None and line.sock is not None:
            with contextlib.suppress(OSError):
                line.sock.settimeout(GOODBYE_TIMEOUT)
                line.sock.sendall(b"QUIT\r\n")
                if wait:
                    line.sock.recv(RECEIVE)
        self.abandon()

    def abandon(self) -> None:
        """Close without a word: after a failure, what we would read belongs to the past."""
        line, self._line, self._socket = self._line, None, None
        if line is not None:
            line.close()

    def dialogue(
        self,
        *,
        sender: str,
        recipient: str,
        message: bytes,
        key: str = "",
        escaped: bool = False,
        held: bool = False,
    ) -> Dialogue | Result:
        """Begin a submission over this open session; a Result if it cannot even begin.

        Parameters as those of `submit`; `held` as that of Dialogue. Pass the finished dialogue to
        `ended`.
        """
        if not is_safe(sender) or not is_safe(recipient):
            return self._unsent(Kind.REFUSED, "address", "5.1.3", "not a usable address")
        in_utf8 = not recipient.isascii()
        if in_utf8 and not self._takes_utf8:
            return self._unsent(Kind.REFUSED, "address", "5.6.7", "the server lacks SMTPUTF8")
        if not self.replies.is_quiet:  # replies and commands no longer match: do not guess
            return self._unsent(Kind.NOT_SENT, "mail", "", "the server spoke out of turn")
        of_mail = of_rcpt = ""
        if in_utf8:
            of_mail = " SMTPUTF8"
        elif key and self._notifies:
            of_mail = f" RET=HDRS ENVID={xtext(key)}"
            of_rcpt = f" NOTIFY=FAILURE ORCPT=rfc822;{xtext(recipient)}"
        commands = f"MAIL FROM:<{sender}>{of_mail}\r\nRCPT TO:<{recipient}>{of_rcpt}\r\nDATA\r\n"
        if self._must_reset:
            commands = f"RSET\r\n{commands}"
        return Dialogue(
            STAGES_AFTER_REFUSAL if self._must_reset else STAGES,
            commands.encode(),
            ended(message, escaped=escaped),
            pipelining=self._pipelines and pace.takes_groups(self.server),
            held=held,
            messages_before=self.submitted,
        )

    def _unsent(self, kind: Kind, stage: str, enhanced: str, text: str) -> Result:
        return Result(kind, stage, 0, enhanced, text, self.submitted)

    def ended(self, result: Result, dialogue: Dialogue | None = None) -> None:
        """Note how a submission ended: the line stays open, or must be closed."""
        self._must_reset = dialogue is not None and dialogue.must_reset
        if dialogue is not None and dialogue.is_out_of_step:
            pace.slow_down(self.server)
        if result.stage == "dot" and result.code:
            self.submitted += 1
        kind = result.kind
        lost = kind is Kind.NOT_SENT or kind is Kind.IN_DOUBT
        if lost or result.code == CLOSING or not self.replies.is_quiet:
            self.abandon()

    def submit(
        self, *, sender: str, recipient: str, message: bytes, key: str = "", escaped: bool = False
    ) -> Result:
        """Hand over one complete message (CRLF line ends) for one recipient, and wait.

        `key` becomes the envelope id where DSN (RFC 3461) is offered. `escaped` says that no line
        starts with a dot; such a message may end with its final dot, which saves a copy. The
        session must be open; after a failure of the line it is closed.
        """
        begun = self.dialogue(
            sender=sender, recipient=recipient, message=message, key=key, escaped=escaped
        )
        if isinstance(begun, Result):
            self.ended(begun)
            return begun
        try:
            while begun.result is None:
                self._step(begun)
        except OSError as error:
            result = begun.lost(error)
            self.ended(result, begun)
            self.abandon()
            return result
        self.ended(begun.result, begun)
        return begun.result

    def _step(self, dialogue: Dialogue) -> None:
        line = self.socket
        line.settimeout(dialogue.timeout)
        while dialogue.outgoing:
            dialogue.wrote(line.send(dialogue.outgoing))
        if line.gettimeout() != dialogue.timeout:  # each setting is a system call
            line.settimeout(dialogue.timeout)
        self.hear(dialogue, self.receive())

    def receive(self) -> bytes:
        """All that has come over the line; nothing once the server has closed it.

        Waits as the socket does: not at all, or until its timeout, for the first byte only. What
        TLS has already decrypted is taken too, for no selector would tell of it.
        """
        line = self.socket
        received = line.recv(RECEIVE)
        if isinstance(line, ssl.SSLSocket):
            while waiting := line.pending():
                received += line.recv(waiting)
        return received

    def hear(self, dialogue: Dialogue, received: bytes) -> None:
        """Pass on what was received. Raises ConnectionError when the line has ended.

        A server that got out of step is remembered: nobody pipelines to it again.
        """
        try:
            for code, text in self.replies.feed(received):
                if dialogue.result is None:
                    dialogue.answer(code, text)
                else:
                    self._heard_too_much(code)
        except OutOfStep:
            pace.slow_down(self.server)
            raise
        if dialogue.result is not None and dialogue.is_unended:  # refused in mid-body
            self.replies.is_out_of_step = True

    def _heard_too_much(self, code: int) -> None:
        self.replies.is_out_of_step = True
        if code != CLOSING:
            pace.slow_down(self.server)
