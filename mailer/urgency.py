"""Step 2b, what goes ahead of everything else: two people approve it, and there are few a week."""

from datetime import timedelta

from django.db.models import F
from django.utils import timezone

from mailer.models import Edition, EditionKind, EditionState
from subscribers.models import Cadence, Newsletter

WEEK = timedelta(days=7)
PRIORITY = 2  # of an urgent edition
AT_ONCE, ORDINARY = 1, 0  # of alerts and of everything else


class TooMany(Exception):
    """It stays as it is. The message says why."""


def priority_of(newsletter: Newsletter) -> int:
    """The place in the queue of an edition that is not urgent; higher is ahead."""
    return AT_ONCE if newsletter.cadence == Cadence.AT_ONCE else ORDINARY


def make_urgent(edition: Edition) -> bool:
    """Put a draft ahead of everything; False if it is no draft, or is urgent already.

    Raises TooMany if its newsletter has used up its urgent editions of the week.
    """
    if reason := why_not(edition):
        raise TooMany(reason)
    drafts = Edition.objects.filter(pk=edition.pk, state=EditionState.DRAFT, is_urgent=False)
    return bool(drafts.update(is_urgent=True, priority=PRIORITY, version=F("version") + 1))


def make_ordinary(edition: Edition) -> bool:
    """Take the urgency away from a draft; False if it is no draft, or is not urgent."""
    drafts = Edition.objects.filter(pk=edition.pk, state=EditionState.DRAFT, is_urgent=True)
    changed = drafts.update(
        is_urgent=False, priority=priority_of(edition.newsletter), version=F("version") + 1
    )
    if changed:
        edition.approvals.all().delete()
    return bool(changed)


def used(newsletter: Newsletter) -> int:
    """How many urgent editions were approved in the last seven days; corrections are none."""
    of_the_week = newsletter.editions.regular().filter(
        is_urgent=True, approved_at__gt=timezone.now() - WEEK
    )
    nothing_left = [EditionState.DRAFT, EditionState.SKIPPED]
    return (
        of_the_week.exclude(state__in=nothing_left)
        .exclude(state=EditionState.CANCELLED, started_at__isnull=True)
        .count()
    )


def why_not(edition: Edition) -> str:
    """Why one more urgent edition is too much; empty if it is not."""
    if edition.kind == EditionKind.CORRECTION:
        return ""
    newsletter = edition.newsletter
    if not newsletter.urgent_per_week:
        return f"{newsletter} sends no urgent editions."
    if (already := used(newsletter)) < newsletter.urgent_per_week:
        return ""
    return (
        f"{newsletter} has sent {already} urgent editions in the last seven days, and "
        f"{newsletter.urgent_per_week} are the most. It can leave as an ordinary one."
    )


def hold(newsletter: Newsletter) -> None:
    """Hold the newsletter's row until the end of the transaction.

    Or two approvals of one moment could both be the last that is allowed.
    """
    Newsletter.objects.select_for_update().get(pk=newsletter.pk)
