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


class _Wire:
    """An opened line: bytes out, replies in. smtplib reads each line through three more layers,
    which costs as much as all the rest of a submission (measured: 230 us against 60 us)."""

    def __init__(self, line: _Line) -> None:
        assert line.sock is not None
        self.line = line
        self._socket = line.sock
        self._unread = b""
        self._timeout = -1.0

    def send(self, content: bytes, *, timeout: float) -> None:
        """Raises OSError when the line has ended, or the server said more than it was asked."""
        if self._unread:  # replies and commands no longer match (RFC 2920): do not guess
            raise ConnectionError("the server spoke out of turn")
        self._wait_at_most(timeout)
        self._socket.sendall(content)

    def reply(self, *, timeout: float) -> tuple[int, bytes]:
        """The next reply, its lines joined by blanks. Raises OSError when the line has ended."""
        texts = []
        while True:
            end = self._unread.find(b"\n")
            while end < 0:
                self._receive(timeout)
                end = self._unread.find(b"\n")
            row, self._unread = self._unread[:end], self._unread[end + 1 :]
            texts.append(row[4:].strip())
            if row[3:4] != b"-":  # RFC 5321 section 4.2.1: the last line of a reply
                return _code(row), b" ".join(texts)

    def _receive(self, timeout: float) -> None:
        if len(self._unread) > REPLY_LIMIT:
            raise ConnectionError("the server's reply does not end")
        self._wait_at_most(timeout)
        received = self._socket.recv(4096)
        if not received:
            raise ConnectionError("the server closed the connection")
        self._unread += received

    def _wait_at_most(self, timeout: float) -> None:
        if timeout != self._timeout:  # setting it is a system call
            self._socket.settimeout(timeout)
            self._timeout = timeout

    def close(self) -> None:
        self.line.close()


def _code(row: bytes) -> int:
    if not row[:3].isdigit():
        raise ConnectionError("the server's reply has no code")
    return int(row[:3])


class Session:
    """One SMTP connection, used by one thread. Opens itself again only when told to."""

    def __init__(self, server: SubmissionServer) -> None:
        self.server = server
        self.submitted = 0  # messages since it was opened
        self._wire: _Wire | None = None
        self._must_reset = False
        self._pipelining = False

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
        return self._wire is not None

    def offers(self, extension: str) -> bool:
        """Whether the last EHLO named this extension (lower case)."""
        return self._wire is not None and self._wire.line.has_extn(extension)

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
        self._wire, self.submitted, self._must_reset = _Wire(line), 0, False
        self._pipelining = self.offers("pipelining")

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
        except (OSError, smtplib.SMTPException) as error:
            raise ServerUnavailable(stage, 0, str(error)) from error

    def close(self) -> None:
        """Say goodbye if the line is still good, and close it. Never raises."""
        wire, self._wire = self._wire, None
        if wire is not None:
            with contextlib.suppress(OSError):
                wire.send(b"QUIT\r\n", timeout=GOODBYE_TIMEOUT)
                wire.reply(timeout=GOODBYE_TIMEOUT)
            wire.close()

    def _abandon(self) -> None:
        """Close without a word: after a failure, what we would read belongs to the past."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    def submit(
        self, *, sender: str, recipient: str, message: bytes, key: str = "", escaped: bool = False
    ) -> Result:
        """Hand over one complete message (CRLF line ends) for one recipient.

        `key` becomes the envelope id where DSN (RFC 3461) is offered. `escaped` says that no line
        starts with a dot. The session must be open; after a failure of the line it is closed.
        """
        wire = self._wire
        assert wire is not None, "open() comes first"
        if not _is_safe(sender) or not _is_safe(recipient):
            return Result(Kind.REFUSED, "address", 0, "5.1.3", "not a usable address")
        if not recipient.isascii() and not self.offers("smtputf8"):
            return Result(Kind.REFUSED, "address", 0, "5.6.7", "the server lacks SMTPUTF8")
        try:
            refusal = self._envelope(wire, self._commands(sender, recipient, key))
        except OSError as error:
            self._abandon()
            return Result(Kind.NOT_SENT, "mail", 0, "", str(error))
        if refusal is not None:
            if refusal.code == 421:  # RFC 5321 3.8: the server is closing the channel
                self._abandon()
            return refusal
        return self._body(wire, message if escaped else escape_dots(message))

    def _envelope(self, wire: _Wire, commands: list[tuple[str, str]]) -> Result | None:
        """MAIL, RCPT and DATA; None when the server now waits for the message."""
        replies: list[tuple[int, bytes]] = []
        try:
            self._exchange(wire, [command for _, command in commands], replies)
        except OSError:
            self._abandon()
            if not any(code >= 400 for code, _ in replies):  # it went without a word
                raise
        self._must_reset = False
        for (stage, _), (code, text) in zip(commands, replies, strict=False):
            if code >= 400 or code < 200:
                self._leave_transaction(wire, replies, len(commands))
                return _result(stage, code, text)
        return None

    def _exchange(self, wire: _Wire, commands: list[str], replies: list[tuple[int, bytes]]) -> None:
        """Send the commands, in one write where PIPELINING is offered, and collect the replies."""
        if self._pipelining:
            wire.send("".join(f"{c}\r\n" for c in commands).encode(), timeout=ENVELOPE_TIMEOUT)
            for _ in commands:
                replies.append(wire.reply(timeout=ENVELOPE_TIMEOUT))  # noqa: PERF401  # kept if the next fails
            return
        for command in commands:
            wire.send(f"{command}\r\n".encode(), timeout=ENVELOPE_TIMEOUT)
            replies.append(wire.reply(timeout=ENVELOPE_TIMEOUT))
            if replies[-1][0] >= 400:
                return

    def _commands(self, sender: str, recipient: str, key: str) -> list[tuple[str, str]]:
        mail, rcpt = f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>"
        if not recipient.isascii():
            mail += " SMTPUTF8"
        elif key and self.offers("dsn"):
            mail += f" RET=HDRS ENVID={xtext(key)}"
            rcpt += f" NOTIFY=FAILURE ORCPT=rfc822;{xtext(recipient)}"
        reset = [("mail", "RSET")] if self._must_reset else []
        return [*reset, ("mail", mail), ("rcpt", rcpt), ("data", "DATA")]

    def _leave_transaction(
        self, wire: _Wire, replies: list[tuple[int, bytes]], commands: int
    ) -> None:
        """After a refusal, be ready for the next MAIL.

        RFC 2920 section 3.1: a pipelining server may answer DATA with 354 although it refused the
        recipient. An empty message ends that; whatever it answers, nothing was delivered.
        """
        if self.is_open and len(replies) == commands and replies[-1][0] == 354:
            wire.send(b".\r\n", timeout=ENVELOPE_TIMEOUT)
            wire.reply(timeout=ENVELOPE_TIMEOUT)
        self._must_reset = True

    def _body(self, wire: _Wire, message: bytes) -> Result:
        try:
            # One write with the dot in it: from here on nobody can know what the server has read.
            end = b".\r\n" if message.endswith(b"\r\n") else b"\r\n.\r\n"
            wire.send(message + end, timeout=WRITE_TIMEOUT)
            code, text = wire.reply(timeout=FINAL_REPLY_TIMEOUT)
        except OSError as error:
            self._abandon()
            return Result(Kind.IN_DOUBT, "dot", 0, "", str(error))
        self.submitted += 1
        if code == 421:
            self._abandon()
        return _result("dot", code, text)


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
