"""The start page of the admin: what needs a person, what is going out, what comes next."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from mailer import coming, editions, monitoring
from mailer.models import Edition, EditionQuerySet, EditionState
from subscribers.models import Approval, Newsletter

EDITIONS_SHOWN = 10
NEWSLETTERS_SHOWN = 10  # a few statements each
LATE_SECONDS = monitoring.TICK_LATE_SECONDS


@dataclass(frozen=True)
class Need:
    """Something that waits for a person who may do it."""

    verb: str
    what: str
    why: str
    link: str


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Called by unfold with the context of the start page; returns it with our parts."""
    now = timezone.now()
    may_look = request.user.has_perm("mailer.view_edition")
    status = monitoring.queue_status()
    age = status.tick_age_seconds
    return {
        **context,
        "title": "Today",
        "today": now,
        "may_look": may_look,
        "needs": _needs(request),
        "going_out": _going_out() if may_look else (),
        "coming": _coming(now) if may_look else (),
        "status": status,
        "flows": age is not None and age <= LATE_SECONDS,
    }


def _needs(request: HttpRequest) -> list[Need]:
    """Only what this person may do, so that an empty list means: nothing to do."""
    needs = []
    if request.user.has_perm("mailer.approve_edition"):
        drafts = Edition.objects.filter(state=EditionState.DRAFT).exclude(_leaves_by_itself())
        needs += _waiting(drafts, "Approve", "approve", "It waits for approval.")
    if request.user.has_perm("mailer.steer_edition"):
        paused = Edition.objects.filter(state=EditionState.PAUSED)
        needs += _waiting(paused, "Resume", "resume", "It is paused.")
    return needs


def _leaves_by_itself() -> Q:
    """Drafts made ahead of their slot that need nobody: one may work on them, nobody must."""
    automatic = Q(newsletter__approval=Approval.AUTOMATIC, slot__gt=timezone.now())
    return automatic & Q(asked_at__isnull=True, reason="", sent_back="", is_urgent=False)


def _waiting(found: EditionQuerySet, verb: str, page: str, otherwise: str) -> list[Need]:
    return [
        Need(
            verb,
            str(edition),
            edition.reason or otherwise,
            reverse(f"admin:mailer_edition_{page}", args=[edition.pk]),
        )
        for edition in found.select_related("newsletter")[:EDITIONS_SHOWN]
    ]


def _going_out() -> list[Edition]:
    under_way = Edition.objects.filter(state__in=editions.UNDER_WAY).with_progress()
    return list(under_way.select_related("newsletter").order_by("due_at")[:EDITIONS_SHOWN])


def _coming(now: datetime) -> list[coming.Coming]:
    active = Newsletter.objects.filter(is_active=True)[:NEWSLETTERS_SHOWN]
    found = coming.of_each(active, now=now)
    return sorted(found, key=lambda entry: (entry.slot is None, entry.slot or now))
