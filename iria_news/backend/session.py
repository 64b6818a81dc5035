"""One open backend, with the interface of our SMTP session."""

import logging
import smtplib
from types import TracebackType
from typing import Any, Self

from anymail.backends.base import AnymailBaseBackend
from anymail.exceptions import AnymailUnsupportedFeature
from django.core.mail import get_connection

from iria_news.backend.answers import of_error
from iria_news.backend.wrapping import JoinedEmail, as_email
from iria_news.environment import SubmissionServer
from iria_news.smtp import Kind, Result, ServerUnavailable, Session
from iria_news.smtp.results import readable
from iria_news.smtp.syntax import is_safe

log = logging.getLogger(__name__)

TIMEOUT = 60  # seconds, for backends of Django that would wait for ever by default
OPTIONS = ("envelope_sender", "metadata")  # of anymail; not every provider knows each


def open_session(server: SubmissionServer) -> "Session | BackendSession":
    """The session for a server's kind of URL. It connects when it is entered, or told to `open`."""
    return BackendSession(server) if server.backend else Session(server)


class BackendSession:
    """One Django email backend. Not for two threads at once.

    One message goes with each call, so at most one is in doubt. A backend does not say at which
    moment a call failed: what was perhaps taken is IN_DOUBT (the table in `answers`).
    """

    def __init__(self, server: SubmissionServer) -> None:
        self.server = server
        self.submitted = 0  # messages since it was opened
        self._backend: Any = None
        self._options: tuple[str, ...] = OPTIONS

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
        return self._backend is not None

    def open(self) -> None:
        """Find the backend and let it connect. Raises ServerUnavailable.

        Backends of HTTP interfaces connect with their first message; until then only missing
        settings can be found out.
        """
        self.close()
        backend: Any = None
        try:
            backend = get_connection(self.server.backend)
            if getattr(backend, "timeout", TIMEOUT) is None:
                backend.timeout = TIMEOUT
            backend.open()
        except Exception as error:  # whatever it is: no message was sent
            self._put_away(backend)
            raise _unavailable(error) from error
        self._backend, self.submitted = backend, 0

    def close(self, *, wait: bool = True) -> None:  # noqa: ARG002  # as our SMTP session's
        """Let the backend close its connection. Never raises. `wait` is for SMTP sessions."""
        backend, self._backend = self._backend, None
        self._put_away(backend)

    def _put_away(self, backend: Any) -> None:
        if backend is None:
            return
        try:
            backend.close()
        except Exception as error:  # noqa: BLE001  # it is of no use any more
            log.info("%s did not close in good order: %s", self.server.backend, error)

    def submit(
        self, *, sender: str, recipient: str, message: bytes, key: str = "", escaped: bool = False
    ) -> Result:
        """Hand over one complete message for one recipient, and wait.

        Parameters as those of `Session.submit`; `key` becomes metadata with anymail. The session
        must be open; it is closed when nobody knows what became of a message, or none was sent.
        """
        assert self._backend is not None
        result = self._submitted(sender, recipient, message, key, escaped=escaped)
        result = result._replace(messages_before=self.submitted)
        if result.kind is Kind.NOT_SENT or result.kind is Kind.IN_DOUBT:
            self.close()
        elif result.stage != "address":
            self.submitted += 1
        return result

    def _submitted(
        self, sender: str, recipient: str, message: bytes, key: str, *, escaped: bool
    ) -> Result:
        if not is_safe(sender) or not is_safe(recipient):
            return Result(Kind.REFUSED, "address", 0, "5.1.3", "not a usable address")
        try:
            email = as_email(message, recipient=recipient, escaped=escaped)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            return Result(Kind.REFUSED, "address", 0, "", f"not a message: {error}")
        if not self._is_awake():
            return Result(Kind.NOT_SENT, "mail", 0, "", "the server closed the connection")
        while True:
            self._address(email, sender, key)
            result, unknown = self._handed_over(email)
            if not unknown:
                return result
            self._do_without(unknown, email)

    def _address(self, email: JoinedEmail, sender: str, key: str) -> None:
        """Give the return path and our key, each by the means of this kind of backend."""
        if not isinstance(self._backend, AnymailBaseBackend):
            email.extra_headers["From"] = email.from_email
            email.from_email = sender
            return
        offered = {"envelope_sender": sender, "metadata": {"key": key}}
        for name in self._options:
            setattr(email, name, offered[name])

    def _handed_over(self, email: JoinedEmail) -> tuple[Result, str]:
        """The outcome of one call, and the name of the option that the provider does not know."""
        try:
            sent = self._backend.send_messages([email])
        except AnymailUnsupportedFeature as error:
            named = [name for name in self._options if name in str(error)]
            return of_error(error), named[0] if named else ""
        except Exception as error:  # noqa: BLE001  # any library may stand behind it
            return of_error(error), ""
        return _outcome(sent, email), ""

    def _do_without(self, option: str, email: JoinedEmail) -> None:
        """The Message-ID holds our key too, and providers report bounces by their own ways."""
        log.info("%s has no %s; going on without", self.server.backend, option)
        self._options = tuple(name for name in self._options if name != option)
        delattr(email, option)

    def _is_awake(self) -> bool:
        """Whether a used SMTP line is still there. smtplib could not say later what it had sent."""
        line = getattr(self._backend, "connection", None)
        if not self.submitted or not isinstance(line, smtplib.SMTP):
            return True
        try:
            return line.noop()[0] == 250
        except (OSError, smtplib.SMTPException):
            return False


def _outcome(sent: object, email: JoinedEmail) -> Result:
    """What a call that raised nothing says. `sent` counts messages (Django's send_messages)."""
    if sent == 0:
        return Result(Kind.NOT_SENT, "dot", 0, "", "the backend says that it sent nothing")
    if sent is None:
        return Result(Kind.IN_DOUBT, "dot", 0, "", "the backend does not say what it sent")
    status = getattr(email, "anymail_status", None)
    if status is None:
        return Result(Kind.ACCEPTED, "dot")
    if status.status == {"failed"}:
        return Result(Kind.DEFERRED, "dot", 450, "", "the provider failed to send it")
    return Result(Kind.ACCEPTED, "dot", 0, "", readable(f"id {status.message_id}"))


def _unavailable(error: Exception) -> ServerUnavailable:
    """Why a backend could not be opened."""
    if isinstance(error, smtplib.SMTPResponseException):
        stage = "auth" if isinstance(error, smtplib.SMTPAuthenticationError) else "connect"
        return ServerUnavailable(stage, error.smtp_code, readable(error.smtp_error))
    return ServerUnavailable("connect", 0, readable(f"{type(error).__name__}: {error}"))
