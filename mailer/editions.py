"""Step 2d, an edition's way: frozen once it is due, paused, resumed, cancelled."""

from datetime import timedelta

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from iria_news.articles.models import Article
from mailer import approving, composing, corrections, preflight
from mailer.models import (
    AT_REST,
    TO_BE_CLEARED,
    BatchState,
    Edition,
    EditionQuerySet,
    EditionState,
)
from subscribers.models import Approval

EXPIRES_AFTER = timedelta(hours=36)  # news that cannot be delivered by then is none
CHANGED = "An article changed after the approval, before the mails were built. Approve it again."
UNDER_WAY = [
    EditionState.APPROVED,
    EditionState.FREEZING,
    EditionState.RENDERING,
    EditionState.READY,
    EditionState.SENDING,
]


def begin_freezing(edition: Edition) -> bool:
    """Take an approved edition whose time has come into FREEZING, if no other is freezing.

    Items withdrawn or dropped for good since are left out. If a person approved something else
    than what would go out now, the approval is void and the edition is a draft again. Returns
    whether it freezes.
    """
    try:
        with transaction.atomic():
            approved = Edition.objects.filter(pk=edition.pk, state=EditionState.APPROVED)
            if not approved.update(state=EditionState.FREEZING, cursor=TO_BE_CLEARED):
                return False
            edition.refresh_from_db()
            _let_go_of_items(edition)
            corrections.take_up(edition)
            return _is_as_approved(edition)
    except IntegrityError:  # one_edition_freezes_at_a_time
        pass
    return False


def _let_go_of_items(edition: Edition) -> None:
    """Withdrawn since it was composed, or dropped for good while it lay here as a draft, too."""
    edition.items.exclude(article__in=Article.objects.published()).delete()
    dropped = composing.dropped(edition.newsletter).values("article")
    edition.items.filter(article__in=dropped).delete()


def _is_as_approved(edition: Edition) -> bool:
    """Whether readers will see what was approved; otherwise a person must look at it again."""
    current = approving.content_hash(edition)
    if current == edition.content_hash:
        return True
    row = Edition.objects.filter(pk=edition.pk)
    if approving.needs_nobody(edition):
        row.update(content_hash=current)
        return True
    again = "An article changed after the approval. Read it again and approve it."
    row.update(**approving.voided(again), content_hash=current)
    edition.approvals.all().delete()
    return False


def check_rendered(edition: Edition) -> bool:
    """Whether an edition that is rendered, and of which nothing has left, is what was approved.

    Messages are rendered from the articles as they are in that moment, after the freeze. If one
    was changed in between, an edition that a person approved is paused with the reason.
    """
    current = approving.content_hash(edition)
    if current == edition.content_hash:
        return True
    if approving.needs_nobody(edition):
        Edition.objects.filter(pk=edition.pk).update(content_hash=current)
        return True
    if pause(edition, reason=CHANGED):
        edition.cohorts.update(message=None)  # so that previews show what would be built now
    return False


def approve_again(edition: Edition, *, content_hash: str, by: User) -> bool:
    """Let a paused edition leave with what its articles say now; its messages are built anew.

    For one that is frozen and of which nothing has left; False if it is not (or not any more).
    Raises approving.ContentChanged and approving.Refused, as `approving.approve`.
    """
    if approving.content_hash(edition) != content_hash:
        raise approving.ContentChanged(edition)
    if edition.newsletter.approval == Approval.PERSON and edition.written_by_id == by.pk:
        raise approving.Refused(approving.wrote_it(by))
    if stops := preflight.stops(edition):
        raise approving.Refused(stops[0].sentence)
    with transaction.atomic():
        if not frozen_and_paused(edition).update(
            state=EditionState.RENDERING,
            content_hash=content_hash,
            approved_at=Now(),
            approved_by=by,
            resumed_at=Now(),
            reason="",
        ):
            return False
        edition.cohorts.update(message=None, error="", claimed_until=None)
    return True


def frozen_and_paused(edition: Edition) -> EditionQuerySet:
    """The edition, if its audience is written down and nothing of it has left."""
    return Edition.objects.frozen().filter(
        pk=edition.pk, state=EditionState.PAUSED, started_at__isnull=True
    )


def pause(edition: Edition, *, reason: str) -> bool:
    """Stop new intents from this commit on (G5); False when it was not under way."""
    return bool(
        Edition.objects.filter(pk=edition.pk, state__in=UNDER_WAY).update(
            state=EditionState.PAUSED, reason=reason[:200]
        )
    )


def resume(edition: Edition) -> bool:
    """Go on where it stopped; False when it was not paused.

    Not frozen: approved again, and the audience is written down from the start. Otherwise it is
    sending again, once every cohort is rendered.
    """
    paused = Edition.objects.filter(pk=edition.pk, state=EditionState.PAUSED)
    if paused.filter(frozen_at__isnull=True).update(state=EditionState.APPROVED, reason=""):
        return True
    if not paused.exists():
        return False
    edition.cohorts.unrendered().update(error="", claimed_until=None)
    edition.batches.filter(state=BatchState.STUCK).update(state=BatchState.READY, losses=0)
    return bool(
        paused.filter(frozen_at__isnull=False).update(
            state=EditionState.RENDERING, reason="", resumed_at=Now()
        )
    )


def cancel(edition: Edition, *, reason: str) -> bool:
    """Send nothing more of this edition; False when it had already come to rest.

    What has left stays sent. The tick marks the open deliveries as cancelled, batch by batch.
    """
    return bool(
        Edition.objects.filter(pk=edition.pk)
        .exclude(state__in=AT_REST)
        .update(state=EditionState.CANCELLED, reason=reason[:200], finished_at=Now())
    )
