"""The start page of the admin: what needs a person, what is going out, what comes next."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from mailer import composing, editions, monitoring, schedule
from mailer.models import Edition, EditionState
from subscribers.models import Newsletter

EDITIONS_SHOWN = 10
NEWSLETTERS_SHOWN = 10  # three statements each
LATE_SECONDS = monitoring.TICK_LATE_SECONDS


@dataclass(frozen=True)
class Need:
    """Something that waits for a person who may do it."""

    verb: str
    what: str
    why: str
    link: str


@dataclass(frozen=True)
class Coming:
    newsletter: Newsletter
    slot: datetime | None  # as a clock on the wall of its zone shows
    articles: int  # new ones, now


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
        needs += _waiting(EditionState.DRAFT, "Approve", "approve", "It waits for approval.")
    if request.user.has_perm("mailer.steer_edition"):
        needs += _waiting(EditionState.PAUSED, "Resume", "resume", "It is paused.")
    return needs


def _waiting(state: EditionState, verb: str, page: str, otherwise: str) -> list[Need]:
    found = Edition.objects.filter(state=state).select_related("newsletter")
    return [
        Need(
            verb,
            str(edition),
            edition.reason or otherwise,
            reverse(f"admin:mailer_edition_{page}", args=[edition.pk]),
        )
        for edition in found[:EDITIONS_SHOWN]
    ]


def _going_out() -> list[Edition]:
    under_way = Edition.objects.filter(state__in=editions.UNDER_WAY).with_progress()
    return list(under_way.select_related("newsletter").order_by("due_at")[:EDITIONS_SHOWN])


def _coming(now: datetime) -> list[Coming]:
    active = Newsletter.objects.filter(is_active=True)[:NEWSLETTERS_SHOWN]
    coming = []
    for newsletter in active:
        slot = schedule.next_slot(newsletter, after=now)
        wall = slot.astimezone(ZoneInfo(newsletter.zone)) if slot else None
        coming.append(Coming(newsletter, wall, len(composing.fresh_articles(newsletter, slot=now))))
    return sorted(coming, key=lambda entry: (entry.slot is None, entry.slot or now))
