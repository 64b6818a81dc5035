"""Forms as a person sends them, and a submission server that keeps what it gets."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from iria_news.environment import SubmissionServer
from iria_news.frame import form_age
from subscribers import receiving
from subscribers.models import Mailbox, ServiceMail
from tests.sink import Sink


@pytest.fixture
def sink(tmp_path: Path, settings) -> Iterator[Sink]:
    path = tmp_path / "smtp"
    settings.SUBMISSION_SERVERS = {
        "default": SubmissionServer("localhost", 0, unix_socket=str(path))
    }
    with Sink(path) as sink:
        yield sink


@pytest.fixture
def sign_up(client: Client) -> Callable[..., HttpResponse]:
    """Send the sign-up form ten seconds after it was shown, and let the worker act on it."""

    def send(
        email: str = "mara@example.org", *, path: str = "/subscribe/", **fields: object
    ) -> HttpResponse:
        response = client.post(path, {"email": email, "form_age": aged(seconds=10), **fields})
        receiving.process()
        return response

    return send


def aged(**age: float) -> str:
    """The hidden field of a form that was shown so long ago."""
    with time_machine.travel(timezone.now() - timedelta(**age), tick=False):
        return form_age.issue()


def mails_are_older(**age: float) -> None:
    """As if all mails so far had been asked for so much earlier."""
    by = timedelta(**age)
    for mail in ServiceMail.objects.all():
        mail.asked_at -= by
        mail.save()
    for mailbox in Mailbox.objects.all():
        for name in ("last_at", "second_last_at", "third_last_at"):
            at = getattr(mailbox, name)
            setattr(mailbox, name, at and at - by)
        mailbox.save()


def link_in(text: str, path: str) -> str:
    """The path of the first link of ours that begins with it."""
    found = re.search(rf"https://news\.ir-ia\.example({path}[a-z2-7]+/?)", text)
    assert found, f"no link to {path} in {text}"
    return found.group(1)
