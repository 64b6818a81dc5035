"""Editions that would only do harm, or nothing, if they went on: paused, with the reason."""

from django.conf import settings

from mailer import editions
from mailer.models import Edition
from mailer.throttle import guard


def pause_what_cannot_go_on() -> int:
    """Pause the editions whose submission server cannot or must not be used; return how many.

    It is not configured, has not been reached for half an hour, or too many of its readers
    complain. What one answer or batch says is judged where it is seen (reacting, closing).
    """
    reasons: dict[str, str] = {}
    paused = 0
    for edition in Edition.objects.sending().select_related("newsletter"):
        server = edition.newsletter.server
        if server not in reasons:
            reasons[server] = _reason(server)
        if reasons[server]:
            paused += editions.pause(edition, reason=reasons[server])
    return paused


def _reason(server: str) -> str:
    if server not in settings.SUBMISSION_SERVERS:
        return (
            f"Its newsletter names the submission server {server}, which the settings do not have. "
            "Choose another one, or add it to SUBMISSION_SERVERS, then resume."
        )
    return guard.breaker_open_too_long(server) or guard.complaint_rate_too_high(server)
