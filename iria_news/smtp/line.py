"""Connecting, TLS and authentication: the standard library's, and on unix sockets too."""

import smtplib
import socket
import ssl

from iria_news.environment import SubmissionServer
from iria_news.smtp.dialogue import ENVELOPE_TIMEOUT
from iria_news.smtp.results import ServerUnavailable, readable


class Line(smtplib.SMTP):
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


def introduced(server: SubmissionServer) -> Line:
    """Connect, protect, introduce and authenticate. Raises ServerUnavailable.

    With security "starttls" a server that does not offer STARTTLS, or fails at it, gets neither
    mail nor password: an attacker on the line can strip the offer.
    """
    line = Line(server)
    try:
        _introduce(line, server)
    except ServerUnavailable:
        line.close()
        raise
    return line


def _introduce(line: Line, server: SubmissionServer) -> None:
    stage = "connect"
    try:
        code, text = line.connect(server.host, server.port)
        if code != 220:
            raise ServerUnavailable(stage, code, readable(text))
        stage = "ehlo"
        line.ehlo_or_helo_if_needed()
        stage = "tls"
        if server.security == "starttls":
            line.starttls(context=ssl.create_default_context())
            line.ehlo_or_helo_if_needed()
        stage = "auth"
        if server.user:
            line.login(server.user, server.password)
    except smtplib.SMTPResponseException as error:
        raise ServerUnavailable(stage, error.smtp_code, readable(error.smtp_error)) from error
    except (OSError, smtplib.SMTPException, ValueError) as error:
        # ValueError: a host name or password that smtplib cannot put into bytes
        raise ServerUnavailable(stage, 0, str(error)) from error
