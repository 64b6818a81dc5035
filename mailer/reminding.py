"""Step 2d, editions that wait for approval shortly before they are due: people are told, once."""

import logging
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from iria_news import keys, mail
from iria_news.mail import headers
from mailer import approvers, staff_mails
from mailer.models import Edition, EditionQuerySet, EditionState
from subscribers.models import Approval

log = logging.getLogger(__name__)

AHEAD = timedelta(hours=2)  # of the time at which it is due
REMINDER = 3  # the tag of message keys that number an edition and a member of staff


def due() -> EditionQuerySet:
    """Drafts that wait for a person, are due soon or were, and of which nobody was told yet.

    One that was sent back waits for its author, who knows.
    """
    waiting = Q(asked_at__isnull=False) | Q(newsletter__approval=Approval.PERSON)
    now = timezone.now()
    return Edition.objects.filter(
        waiting,
        state=EditionState.DRAFT,
        sent_back="",
        reminded_at__isnull=True,
        due_at__lte=now + AHEAD,
        expires_at__gt=now,
    )


def remind_due() -> int:
    """Tell those who can approve of each edition that waits; return how many editions that were.

    Two workers at once do no harm: one of them claims an edition. Killed half-way, some are not
    told. When the submission server is away, the edition is given back for the next tick.
    """
    reminded = 0
    for edition in due().select_related("newsletter"):
        people = [person for person in approvers.people(without=_author(edition)) if person.email]
        if not people:
            continue  # the start page of the admin is all there is
        if not due().filter(pk=edition.pk).update(reminded_at=Now()):
            continue
        taken = [_remind(edition, person) for person in people]
        if any(taken):
            reminded += 1
        else:
            Edition.objects.filter(pk=edition.pk).update(reminded_at=None)
    return reminded


def _author(edition: Edition) -> int | None:
    """Who must not approve it."""
    return edition.written_by_id if edition.newsletter.approval == Approval.PERSON else None


def _remind(edition: Edition, person: User) -> bool:
    key = keys.message_key(REMINDER, edition.pk, person.pk)
    body = mail.render_body("approval", _context(edition, person))
    try:
        message = mail.service_message(
            body=body, recipient=person.email, key=key, at=timezone.now()
        )
    except headers.BadHeader:
        log.warning("user %d has an address that no mail can go to", person.pk)
        return False
    result = staff_mails.submit(message, recipient=person.email, key=key)
    if not staff_mails.was_taken(result):
        log.warning("no reminder of edition %d: %s %s", edition.pk, result.kind.value, result.code)
    return staff_mails.was_taken(result)


def _context(edition: Edition, person: User) -> dict[str, object]:
    page = reverse("admin:mailer_edition_approve", args=[edition.pk])
    author = edition.written_by
    return {
        "edition": edition,
        "is_late": edition.due_at <= timezone.now(),
        "name": approvers.name(person),
        "author": approvers.name(author) if author else "",
        "titles": list(edition.items.order_by("bit").values_list("article__title", flat=True)),
        "button_url": settings.SITE_URL + page,
    }
