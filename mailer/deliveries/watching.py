"""Editions that would only do harm, or nothing, if they went on: paused, with the reason."""

from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from mailer import editions
from mailer.models import Edition
from mailer.throttle import guard
from subscribers.models import Suppression, SuppressionReason

TRIED_FOR = timedelta(minutes=30)  # before an edition gives up on a server that is away


def pause_what_cannot_go_on() -> int:
    """Pause the editions whose submission server cannot or must not be used; return how many.

    It is not configured, has not been reached for half an hour, or too many of its readers
    complain. After a person resumed, only what happened since counts. What one answer or one batch
    says is judged where it is seen (reacting, closing).
    """
    paused = 0
    for edition in Edition.objects.sending().select_related("newsletter"):
        reason = _reason(edition)
        if reason:
            paused += editions.pause(edition, reason=reason)
    return paused


def _reason(edition: Edition) -> str:
    server = edition.newsletter.server
    if server not in settings.SUBMISSION_SERVERS:
        return (
            f"Its newsletter names the submission server {server}, which the settings do not have. "
            "Choose another one, or add it to SUBMISSION_SERVERS, then resume."
        )
    since = edition.resumed_at or edition.started_at or timezone.now()
    if (reason := guard.breaker_open_too_long(server)) and _has_tried(edition, since):
        return reason
    return guard.complaint_rate_too_high(server) if _complained(since) else ""


def _has_tried(edition: Edition, since: datetime) -> bool:
    """Whether it has had mails to send for long enough: it may only wait for readers' hours."""
    long_ago = timezone.now() - TRIED_FOR
    waiting = edition.batches.unfinished().filter(wave__release_at__lt=long_ago)
    return since < long_ago and waiting.exists()


def _complained(since: datetime) -> bool:
    return Suppression.objects.filter(
        reason=SuppressionReason.COMPLAINT, created_at__gt=since
    ).exists()
