"""Step 2a, one change of a draft by a person: never over a colleague's, and kept in its history."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from mailer import approving
from mailer.models import Edition, EditionState

MINUTE, HOUR = 60, 3600  # seconds


class NotADraft(Exception):
    """It has been approved, cancelled or skipped: nothing of it can be changed, nothing was."""


class ChangedMeanwhile(Exception):
    """A colleague changed the draft since this version was read. Nothing was overwritten."""

    def __init__(self, by: str, at: datetime | None, what: str) -> None:
        self.by, self.at, self.what = by, at, what
        super().__init__(f"{by}{f', {_ago(at)}' if at else ''}: {what}")


class NoSuchItem(LookupError):
    """The edition does not carry this article, or may not."""

    def __init__(self) -> None:
        super().__init__("That article is not there any more, or may not be carried.")


class Full(Exception):
    """The edition carries as many articles as it may. The message says what helps."""


@contextmanager
def changing(edition: Edition, *, version: int, by: User, what: str) -> Iterator[None]:
    """Change a draft that is still as `version` was read; in one transaction, with its record.

    `edition` is read anew, with the next version, and is what the block changes. Afterwards `by`
    is its author, its hash is that of the new content, and who had asked for an approval asks
    again. Raises ChangedMeanwhile or NotADraft before the block; if the block raises, nothing
    has happened.
    """
    with transaction.atomic():
        as_read = Edition.objects.filter(pk=edition.pk, state=EditionState.DRAFT, version=version)
        if not as_read.update(version=F("version") + 1, written_by=by, asked_at=None):
            raise _refusal(edition)
        edition.refresh_from_db()
        yield
        edition.content_hash = approving.content_hash(edition)
        edition.save(update_fields=["content_hash"])
        LogEntry.objects.log_actions(by.pk, [edition], CHANGE, what, single_object=True)


def last_change(edition: Edition) -> LogEntry | None:
    """Who did what to this edition last, and when."""
    kind = ContentType.objects.get_for_model(Edition)
    entries = LogEntry.objects.filter(content_type=kind, object_id=str(edition.pk))
    return entries.select_related("user").order_by("-action_time", "-pk").first()


def _refusal(edition: Edition) -> Exception:
    edition.refresh_from_db()
    if edition.state != EditionState.DRAFT:
        return NotADraft(f"Too late, nothing changed: the edition is {edition.state}.")
    last = last_change(edition)
    if last is None:
        return ChangedMeanwhile("Somebody", None, "Changed it.")
    name = last.user.get_full_name() or last.user.get_username()
    return ChangedMeanwhile(name, last.action_time, last.get_change_message())


def _ago(at: datetime) -> str:
    seconds = max(round((timezone.now() - at).total_seconds()), 0)
    if seconds < MINUTE:
        return f"{seconds} s ago"
    if seconds < HOUR:
        return f"{seconds // MINUTE} min ago"
    return f"at {at:%H:%M} UTC on {at.day} {at:%B}"
