"""One mail to a colleague, now: reminders, and test mails. Readers' mail never goes this way."""

import contextlib
import functools

from django.conf import settings

from iria_news import backend, mail, smtp
from iria_news.environment import DEFAULT_SERVER


def submit(
    message: bytes, *, recipient: str, key: str, server: str = DEFAULT_SERVER
) -> smtp.Result:
    """Hand a finished message to a submission server and wait for its answer.

    Raises LookupError if the settings have no such server.
    """
    with contextlib.closing(backend.open_session(settings.SUBMISSION_SERVERS[server])) as session:
        submit = functools.partial(
            session.submit, sender=mail.return_path(key), recipient=recipient, message=message
        )
        try:
            session.open()
            return submit(key=key)
        except smtp.ServerUnavailable as error:
            return smtp.Result(smtp.Kind.NOT_SENT, error.stage, error.code, "", error.text)


def was_taken(result: smtp.Result) -> bool:
    """Whether the server has it, or may have it."""
    return result.kind in {smtp.Kind.ACCEPTED, smtp.Kind.IN_DOUBT}
