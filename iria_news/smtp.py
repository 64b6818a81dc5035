"""One connection to the submission server: open it, submit messages one by one, close it.

Connecting, TLS and authentication are the standard library's. The envelope is ours, for two
reasons: smtplib does not pipeline (RFC 2920), and it tells "certainly not sent" from "nobody
knows" for no failure. Knows bytes and addresses, nothing of editions or readers.
"""

import contextlib
import enum
import re
import smtplib
import socket
import ssl
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from iria_news.environment import SubmissionServer

# RFC 5321 section 4.5.3.2 asks for 5 minutes on most replies. A server that is silent for a minute
# before anything was sent costs us nothing but another try, so we give up sooner there.
ENVELOPE_TIMEOUT = 60  # seconds
WRITE_TIMEOUT = 120  # seconds
GOODBYE_TIMEOUT = 1  # second
REPLY_LIMIT = 65_536  # bytes; no honest reply comes near it
FINAL_REPLY_TIMEOUT = 600  # seconds; RFC 5321 4.5.3.2.6: giving up early is what makes copies


class Kind(enum.Enum):
    ACCEPTED = "accepted"  # 250 after the final dot: the server is responsible now
    REFUSED = "refused"  # 5xx: this message to this recipient will never be taken
    DEFERRED = "deferred"  # 4xx: not now
    NOT_SENT = "not sent"  # the connection ended before the final dot left us
    IN_DOUBT = "in doubt"  # the final dot was (perhaps) sent and no reply came (RFC 1047)


@dataclass(frozen=True)
class Result:
    """What became of one submission, and in which words the server said so."""

    kind: Kind
    stage: str = ""  # "address", "mail", "rcpt", "data" or "dot"
    code: int = 0  # reply code, RFC 5321; 0 without a reply
    enhanced: str = ""  # enhanced status, RFC 3463, as in "5.1.1"
    text: str = ""


class ServerUnavailable(Exception):
    """No session could be opened. Nothing was sent, and no recipient is to blame."""

    def __init__(self, stage: str, code: int = 0, text: str = "") -> None:
        super().__init__(f"{stage}: {code or ''} {text}".strip())
        self.stage = stage  # "connect", "tls", "ehlo" or "auth"
        self.code = code
        self.text = text


class _Line(smtplib.SMTP):
    """smtplib's SMTP, able to connect to a unix socket as its LMTP is."""

    def __init__(self, server: SubmissionServer) -> None:
        self._server = server
        # Named here, or smtplib asks the resolver and may wait for it.
        super().__init__(local_hostname=socket.gethostname(), timeout=ENVELOPE_TIMEOUT)
        self._host = server.host  # the name that STARTTLS checks the certificate against

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        if self._server.unix_socket:
            line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            line.settimeout(timeout)
            try:
                line.connect(self._server.unix_socket)
            except OSError:
                line.close()
                raise
            return line
        line = socket.create_connection((host, port), timeout)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._server.security == "tls":
            return ssl.create_default_context().wrap_socket(line, server_hostname=host)
        return line


class Replies:
    """Cuts what a server sends into replies (RFC 5321 section 4.2.1). Knows no socket."""

    def __init__(self) -> None:
        self._unread = b""
        self._texts: list[bytes] = []  # of a reply that has begun
        self.is_out_of_step = False  # a reply came that nobody had asked for

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has come that was not asked for."""
        return not (self._unread or self._texts or self.is_out_of_step)

    def feed(self, received: bytes) -> list[tuple[int, bytes]]:
        """Return the replies that are complete now. Raises ConnectionError for what is none."""
        if not received:
            raise ConnectionError("the server closed the connection")
        *rows, self._unread = (self._unread + received).split(b"\n")
        if len(self._unread) > REPLY_LIMIT or len(self._texts) > REPLY_LIMIT:
            raise ConnectionError("the server's reply does not end")
        complete = []
        for row in rows:
            if not row[:3].isdigit():
                raise ConnectionError("the server's reply has no code")
            self._texts.append(row[4:].strip())
            if row[3:4] != b"-":
                complete.append((int(row[:3]), b" ".join(self._texts)))
                self._texts = []
        return complete


class Dialogue:
    """One submission, step by step: what to write now, and what each reply means for it.

    Knows no socket, so that a blocking session and a pool of many connections share it. Write
    `outgoing` and say so with `wrote`; pass replies to `answer`; the end is when `result` is set.
    """

    def __init__(
        self, commands: list[tuple[str, bytes]], message: bytes, *, pipelining: bool
    ) -> None:
        """`commands` are stages and lines; DATA is the last. `message` ends with CRLF, escaped."""
        self.result: Result | None = None
        self.must_reset = False  # the server still has a transaction open
        self.timeout: float = ENVELOPE_TIMEOUT
        self._commands = commands
        self._message = message
        self._pipelining = pipelining
        self._replies: list[tuple[int, bytes]] = []
        self._refusal: Result | None = None
        self._is_body = False
        asked = commands if pipelining else commands[:1]
        self.outgoing = memoryview(b"".join(line for _, line in asked))

    def wrote(self, count: int) -> None:
        """So many bytes of `outgoing` were handed to the system."""
        self.outgoing = self.outgoing[count:]
        if self._is_body and not self.outgoing:
            self.timeout = FINAL_REPLY_TIMEOUT

    def answer(self, code: int, text: bytes) -> None:
        """Take one reply in. May set `result`, or leave more in `outgoing`.

        Raises ConnectionError for a "yes" to a message that has not left: the server is one reply
        out of step, and to believe it would lose the message without a trace.
        """
        if self._is_body:
            if self.outgoing and code < 400:
                raise ConnectionError("the server accepted what it had not got")
            self.result = _result("dot", code, text)
        elif self._refusal is not None:
            self.result = self._refusal  # this reply ends the empty message, whatever it says
        else:
            self._replies.append((code, text))
            self._go_on(code)

    def _go_on(self, code: int) -> None:
        answered = len(self._replies)
        if answered == len(self._commands) or (code >= 400 and not self._pipelining):
            self._judge_envelope()
        elif not self._pipelining:
            self.outgoing = memoryview(self._commands[answered][1])

    def _judge_envelope(self) -> None:
        self._refusal = self._refused()
        if self._refusal is None:
            self._is_body = True
            self.timeout = WRITE_TIMEOUT
            self.outgoing = memoryview(self._message + b".\r\n")
            return
        self.must_reset = True
        if self._replies[-1][0] == 354:
            # RFC 2920 section 3.1: a pipelining server may say "go on" although it refused the
            # recipient. An empty message ends that; whatever it answers, nothing was delivered.
            self.outgoing = memoryview(b".\r\n")
        else:
            self.result = self._refusal

    def _refused(self) -> Result | None:
        for (stage, _), (code, text) in zip(self._commands, self._replies, strict=False):
            if code >= 400 or code < 200:
                return _result(stage, code, text)
        return None

    def lost(self, error: Exception) -> Result:
        """What became of it when the connection ended before `result` was set.

        In doubt only if the final dot was handed to the system: without it no server may deliver
        (RFC 5321 section 4.1.1.4).
        """
        refused = self._refusal or self._refused()
        if refused is not None:
            return refused
        if self._is_body and not self.outgoing:
            return Result(Kind.IN_DOUBT, "dot", 0, "", str(error))
        return Result(Kind.NOT_SENT, "dot" if self._is_body else "mail", 0, "", str(error))


class Session:
    """One SMTP connection. Opens itself again only when told to; not for two threads at once."""

    def __init__(self, server: SubmissionServer) -> None:
        self.server = server
        self.submitted = 0  # messages since it was opened
        self.replies = Replies()
        self._line: _Line | None = None
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
        assert self._line is not None
        assert self._line.sock is not None
        return self._line.sock

    def offers(self, extension: str) -> bool:
        """Whether the last EHLO named this extension (lower case)."""
        return self._line is not None and self._line.has_extn(extension)

    def open(self) -> None:
        """Connect, protect, introduce and authenticate. Raises ServerUnavailable.

        With security "starttls" a server that does not offer STARTTLS, or fails at it, gets
        neither mail nor password: an attacker on the line can strip the offer.
        """
        self.close()
        line = _Line(self.server)
        try:
            self._introduce(line)
        except ServerUnavailable:
            line.close()
            raise
        self._line, self.submitted, self._must_reset = line, 0, False
        self.replies = Replies()

    def _introduce(self, line: _Line) -> None:
        stage = "connect"
        try:
            code, text = line.connect(self.server.host, self.server.port)
            if code != 220:
                raise ServerUnavailable(stage, code, _readable(text))
            stage = "ehlo"
            line.ehlo_or_helo_if_needed()
            stage = "tls"
            if self.server.security == "starttls":
                line.starttls(context=ssl.create_default_context())
                line.ehlo_or_helo_if_needed()
            stage = "auth"
            if self.server.user:
                line.login(self.server.user, self.server.password)
        except smtplib.SMTPResponseException as error:
            raise ServerUnavailable(stage, error.smtp_code, _readable(error.smtp_error)) from error
        except (OSError, smtplib.SMTPException, ValueError) as error:
            # ValueError: a host name or password that smtplib cannot put into bytes
            raise ServerUnavailable(stage, 0, str(error)) from error

    def close(self, *, wait: bool = True) -> None:
        """Say goodbye if the line is still good, and close it. Never raises.

        `wait=False` does not wait for the server's goodbye.
        """
        line, self._line = self._line, None
        if line is None or line.sock is None:
            return
        with contextlib.suppress(OSError):
            line.sock.settimeout(GOODBYE_TIMEOUT)
            line.sock.sendall(b"QUIT\r\n")
            if wait:
                line.sock.recv(4096)
        line.close()

    def abandon(self) -> None:
        """Close without a word: after a failure, what we would read belongs to the past."""
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def dialogue(
        self, *, sender: str, recipient: str, message: bytes, key: str = "", escaped: bool = False
    ) -> Dialogue | Result:
        """Begin a submission over this open session; a Result if it cannot even begin.

        Parameters as those of `submit`. Pass the finished dialogue to `ended`.
        """
        if not _is_safe(sender) or not _is_safe(recipient):
            return Result(Kind.REFUSED, "address", 0, "5.1.3", "not a usable address")
        if not recipient.isascii() and not self.offers("smtputf8"):
            return Result(Kind.REFUSED, "address", 0, "5.6.7", "the server lacks SMTPUTF8")
        if not self.replies.is_quiet:  # replies and commands no longer match: do not guess
            return Result(Kind.NOT_SENT, "mail", 0, "", "the server spoke out of turn")
        commands = self._commands(sender, recipient, key)
        body = message if escaped else escape_dots(message)
        if not body.endswith(b"\r\n"):
            body += b"\r\n"
        return Dialogue(commands, body, pipelining=self.offers("pipelining"))

    def _commands(self, sender: str, recipient: str, key: str) -> list[tuple[str, bytes]]:
        mail, rcpt = f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>"
        if not recipient.isascii():
            mail += " SMTPUTF8"
        elif key and self.offers("dsn"):
            mail += f" RET=HDRS ENVID={xtext(key)}"
            rcpt += f" NOTIFY=FAILURE ORCPT=rfc822;{xtext(recipient)}"
        lines = [("mail", mail), ("rcpt", rcpt), ("data", "DATA")]
        if self._must_reset:
            lines.insert(0, ("mail", "RSET"))
        return [(stage, f"{line}\r\n".encode()) for stage, line in lines]

    def ended(self, result: Result, dialogue: Dialogue | None = None) -> None:
        """Note how a submission ended: the line stays open, or must be closed."""
        self._must_reset = dialogue is not None and dialogue.must_reset
        if result.stage == "dot" and result.code:
            self.submitted += 1
        # RFC 5321 section 3.8: with 421 the server is closing the channel.
        lost = result.kind in {Kind.NOT_SENT, Kind.IN_DOUBT}
        if lost or result.code == 421 or not self.replies.is_quiet:
            self.abandon()

    def submit(
        self, *, sender: str, recipient: str, message: bytes, key: str = "", escaped: bool = False
    ) -> Result:
        """Hand over one complete message (CRLF line ends) for one recipient, and wait.

        `key` becomes the envelope id where DSN (RFC 3461) is offered. `escaped` says that no line
        starts with a dot. The session must be open; after a failure of the line it is closed.
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
        while dialogue.outgoing:
            line.settimeout(dialogue.timeout)
            dialogue.wrote(line.send(dialogue.outgoing))
        line.settimeout(dialogue.timeout)
        self.hear(dialogue, line.recv(4096))

    def hear(self, dialogue: Dialogue, received: bytes) -> None:
        """Pass on what was received. Raises ConnectionError when the line has ended."""
        for code, text in self.replies.feed(received):
            if dialogue.result is None:
                dialogue.answer(code, text)
            else:
                self.replies.is_out_of_step = True
        if dialogue.result is not None and dialogue.outgoing:  # refused in the middle of the body
            self.replies.is_out_of_step = True


def xtext(value: str) -> str:
    """Encode a parameter value as RFC 3461 section 4 asks."""
    return "".join(
        char if "!" <= char <= "~" and char not in "+=" else f"+{ord(char):02X}" for char in value
    )


def escape_dots(message: bytes) -> bytes:
    """Double the dot of every line that starts with one (RFC 5321 section 4.5.2)."""
    escaped = message.replace(b"\r\n.", b"\r\n..")
    return b"." + escaped if escaped.startswith(b".") else escaped


def _is_safe(address: str) -> bool:
    """Whether the address can stand between angle brackets without ending the command."""
    return (
        0 < len(address.encode()) <= 254
        and "@" in address
        and re.search(r"[\s<>\x00-\x1f\x7f\u2028\u2029]", address) is None
    )


def _result(stage: str, code: int, text: bytes) -> Result:
    words = _readable(text)
    match = re.match(r"([245]\.\d{1,3}\.\d{1,3})(?!\S)", words)
    if stage == "dot" and 200 <= code < 300:
        kind = Kind.ACCEPTED
    else:
        kind = Kind.REFUSED if 500 <= code < 600 else Kind.DEFERRED
    return Result(kind, stage, code, match.group(1) if match else "", words)


def _readable(text: bytes | str) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return " ".join(words.split())[:300]
