"""Step 2c, drafts: made ahead of their slot for somebody to work on, let go when it is due."""

import contextlib
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from mailer import approving, composing
from mailer.models import Edition, EditionQuerySet, EditionState
from subscribers.models import Newsletter


def is_untouched(edition: Edition) -> bool:
    """Whether nobody has worked on a draft, or asked for its approval."""
    touched = edition.version or edition.written_by_id or edition.asked_at
    return not (touched or edition.is_urgent)


def _untouched(edition: Edition) -> EditionQuerySet:
    return Edition.objects.filter(
        pk=edition.pk,
        state=EditionState.DRAFT,
        version=0,
        is_urgent=False,
        written_by__isnull=True,
        asked_at__isnull=True,
    )


def skip(edition: Edition, reason: str) -> None:
    """Record that nothing of a draft is sent; one that has left DRAFT meanwhile stays."""
    Edition.objects.filter(pk=edition.pk, state=EditionState.DRAFT).update(
        state=EditionState.SKIPPED, reason=reason, finished_at=Now()
    )


def too_little_news(newsletter: Newsletter, *, slot: datetime) -> str:
    """Why an edition of this slot is skipped; empty when there is enough."""
    fresh = len(composing.fresh_articles(newsletter, slot=slot))
    if fresh >= newsletter.min_articles:
        return ""
    return f"{fresh} new article{'' if fresh == 1 else 's'}, minimum {newsletter.min_articles}"


def follow_the_news(edition: Edition) -> None:
    """Bring a draft up to date that nobody has touched; one that somebody works on is theirs."""
    wanted = [article.pk for article in composing.candidates(edition.newsletter, slot=edition.slot)]
    carried = list(edition.items.order_by("bit").values_list("article", flat=True))
    if wanted == carried:
        return
    with transaction.atomic():
        # Takes the row's lock: whoever saves a first change waits, and then meets this list.
        if _untouched(edition).update(cursor=F("cursor")):
            composing.compose(edition)


def take_back(edition: Edition) -> None:
    """Forget an untouched draft whose slot is none any more. A person's work stays."""
    with transaction.atomic():
        if _untouched(edition).update(cursor=F("cursor")):
            edition.delete()


def pass_over(edition: Edition, reason: str) -> None:
    """Skip an untouched draft; one that somebody worked on waits for a person and says why."""
    if not _untouched(edition).update(state=EditionState.SKIPPED, reason=reason, finished_at=Now()):
        Edition.objects.filter(pk=edition.pk, state=EditionState.DRAFT, reason="").update(
            reason=f"{reason} Approve it to send it all the same."
        )


def meet(edition: Edition) -> None:
    """Decide about a draft now that its slot has come; called by each tick until it is decided.

    Untouched, it is skipped when there is too little news. It leaves if its newsletter needs
    nobody, with what is new by now unless a person has chosen. Otherwise it waits.
    """
    if is_untouched(edition):
        reason = too_little_news(edition.newsletter, slot=edition.slot)
    else:
        reason = "" if edition.items.exists() else "It carries no article."
    if reason:
        skip(edition, reason)
    elif not waits_for_a_person(edition):
        follow_the_news(edition)
        release(edition)


def waits_for_a_person(edition: Edition) -> bool:
    """Whether a draft must not leave by itself: so it is meant, or it says why it stays."""
    return bool(edition.reason) or not approving.needs_nobody(edition)


def release(edition: Edition, *, by: User | None = None) -> None:
    """Approve what a draft carries now. Whoever changes it in this moment has the next tick."""
    with contextlib.suppress(approving.ContentChanged):
        approving.approve(edition, content_hash=approving.content_hash(edition), by=by)


def expire(*, now: datetime) -> int:
    """Skip the drafts that nobody approved while they were news; return how many."""
    return Edition.objects.filter(state=EditionState.DRAFT, expires_at__lte=now).update(
        state=EditionState.SKIPPED, reason="Nobody approved it in time.", finished_at=Now()
    )
