"""What a backend's exception says about the message it was given.

| The backend says | Certain? | Result |
|---|---|---|
| AnymailRecipientsRefused | yes | REFUSED at "rcpt", code 550 |
| HTTP 401, 402, 403 | yes | NOT_SENT at "auth", code 535: a person must act |
| HTTP 404, 405 | yes | NOT_SENT at "connect": not the address of that interface |
| HTTP 408, 409, 425, 429 | yes | DEFERRED at "mail", code 450: the provider's state |
| other HTTP 4xx about our sender, account or quota | yes | REFUSED at "mail", code 550 |
| any other HTTP 4xx | yes | REFUSED at "dot", code 554 |
| smtplib: recipient, sender or message refused | yes | by the code, as our SMTP session |
| an address that it cannot parse or the server cannot take | yes | REFUSED at "address" |
| settings missing, a field of ours unknown to the provider | yes | NOT_SENT at "connect" |
| connection refused, name unknown, certificate bad | yes | NOT_SENT at "connect" |
| HTTP 3xx, 5xx, an unreadable 2xx; time-out, lost answer, all else | no | IN_DOUBT |

Codes are those an SMTP server would use, so that the rules for replies apply; the text begins with
the provider's own. Requests and urllib3 do not try a POST again; boto3 does unless told otherwise.
"""

import re
import smtplib
import socket
import ssl
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from anymail.exceptions import (
    AnymailAPIError,
    AnymailInvalidAddress,
    AnymailRecipientsRefused,
    AnymailSerializationError,
    AnymailUnsupportedFeature,
)
from django.core.exceptions import ImproperlyConfigured
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ReadTimeoutError

from iria_news.smtp import Kind, Result
from iria_news.smtp.results import of_reply, readable

CREDENTIALS = {HTTPStatus.UNAUTHORIZED, HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.FORBIDDEN}
WRONG_ADDRESS = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}
NOT_NOW = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.CONFLICT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
}
# Words of a 4xx that is about us: a paused edition loses nothing, failed deliveries do.
ABOUT_US = re.compile(
    r"verif|sender|signature|'?from'? address|suspend|paused|quota|credits|limit ?exceeded",
    re.IGNORECASE,
)
# Raised before the call: every message would end so, or this one alone.
UNUSABLE = (ImproperlyConfigured, AnymailUnsupportedFeature)
NOT_EXPRESSIBLE = (AnymailInvalidAddress, AnymailSerializationError, smtplib.SMTPNotSupportedError)
# Before any of these was raised no byte of a request had left.
NEVER_CONNECTED = (
    ConnectionRefusedError,
    socket.gaierror,
    ssl.SSLCertVerificationError,
    NewConnectionError,
    ConnectTimeoutError,
)
# After any of these a request may have arrived, whatever another try of the library met.
CUT_OFF = (ReadTimeoutError, ConnectionResetError, BrokenPipeError)


def of_error(error: Exception) -> Result:
    """What became of the message; see the table above."""
    if isinstance(error, AnymailRecipientsRefused):
        return Result(Kind.REFUSED, "rcpt", 550, "", _words(error))
    if isinstance(error, AnymailAPIError):
        return _of_api_error(error)
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return of_reply("rcpt", *next(iter(error.recipients.values())))
    if isinstance(error, smtplib.SMTPSenderRefused):
        return of_reply("mail", error.smtp_code, error.smtp_error)
    if isinstance(error, smtplib.SMTPDataError):
        return of_reply("dot", error.smtp_code, error.smtp_error)
    return _of_other(error)


def _of_api_error(error: AnymailAPIError) -> Result:
    status, text = _status(error), _words(error)
    if status in CREDENTIALS:
        return Result(Kind.NOT_SENT, "auth", 535, "", text)
    if status in WRONG_ADDRESS:
        return Result(Kind.NOT_SENT, "connect", 0, "", text)
    if status in NOT_NOW:
        return Result(Kind.DEFERRED, "mail", 450, "", text)
    if 400 <= status < 500:
        if ABOUT_US.search(text):
            return Result(Kind.REFUSED, "mail", 550, "", text)
        return Result(Kind.REFUSED, "dot", 554, "", text)
    return _of_other(error)


def _of_other(error: Exception) -> Result:
    text = readable(f"{type(error).__name__}: {_words(error)}")
    links = list(_all(error))
    # A library that tries again, or elsewhere, may have reached somebody at the second try.
    may_have_arrived = isinstance(error, TimeoutError) or any(
        isinstance(link, CUT_OFF) for link in links
    )
    never_connected = any(isinstance(link, NEVER_CONNECTED) for link in links)
    if isinstance(error, UNUSABLE) or (never_connected and not may_have_arrived):
        return Result(Kind.NOT_SENT, "connect", 0, "", text)
    if isinstance(error, NOT_EXPRESSIBLE):
        return Result(Kind.REFUSED, "address", 0, "", text)
    return Result(Kind.IN_DOUBT, "dot", 0, "", text)


def _status(error: AnymailAPIError) -> int:
    """The HTTP status of an answer, 0 without one. boto3 gives a dictionary for a response."""
    if isinstance(error.response, dict):
        return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return int(error.status_code or 0)


def _words(error: Exception) -> str:
    """The provider's words if it answered, else those of the exception."""
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict):
        said = response.get("Error", {})
        return readable(f"{said.get('Code', '')}: {said.get('Message', '')}")
    if response is not None:
        return readable(f"HTTP {response.status_code} {response.reason}: {response.text}")
    return readable(" ".join(str(part) for part in error.args))


def _all(error: BaseException) -> Iterator[BaseException]:
    """The exception, and all that it was raised from or while handling."""
    waiting: list[BaseException | None] = [error]
    while waiting:
        if (link := waiting.pop()) is not None:
            yield link
            waiting += [link.__cause__, link.__context__]
