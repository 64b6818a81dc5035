"""A test mail: what a cohort gets, to one address, marked as a test. Its links change nothing."""

from datetime import timedelta

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.utils import timezone

from iria_news.mail import headers
from mailer import previewing, staff_mails
from mailer.models import Cohort, Edition
from subscribers import addresses

PER_PERSON = 20  # an hour; a person who looks at each of a few programs needs no more
HOUR = timedelta(hours=1)
DONE = "Sent a test mail"  # how the history of an edition says it


class NotSent(Exception):
    """Nothing was sent. The message says why."""


def send(edition: Edition, cohort: Cohort, *, address: str, by: User) -> None:
    """Send what this cohort gets to an address, and record who did so; the address is not kept.

    Raises NotSent with a sentence, and what `rendering.render` raises.
    """
    if _sent_by(by) >= PER_PERSON:
        raise NotSent(f"You have sent {PER_PERSON} test mails within an hour. Try again later.")
    recipient = _parsed(address)
    # Before the mail leaves, so that two presses at once count both.
    LogEntry.objects.log_actions(by.pk, [edition], CHANGE, f"{DONE}.", single_object=True)
    try:
        message, key = previewing.test_message(cohort, address=recipient, at=timezone.now())
        server = edition.newsletter.server
        result = staff_mails.submit(message, recipient=recipient, key=key, server=server)
    except (headers.BadHeader, LookupError) as error:
        raise NotSent(f"It cannot be sent: {error}.") from error
    if not staff_mails.was_taken(result):
        code = f" ({result.code} {result.enhanced})" if result.code else ""
        raise NotSent(f"The submission server did not take it{code}. Try again in a minute.")


def _sent_by(person: User) -> int:
    entries = LogEntry.objects.filter(user=person, action_time__gt=timezone.now() - HOUR)
    return entries.filter(change_message__contains=DONE).count()


def _parsed(address: str) -> str:
    try:
        return addresses.parse(address).address
    except addresses.BadAddress as error:
        raise NotSent(f"{error} Nothing was sent.") from error
