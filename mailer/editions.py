"""Step 2d, an edition's way: frozen once it is due, paused, resumed, cancelled."""

from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from iria_news.articles.models import Article
from mailer import approving
from mailer.models import (
    AT_REST,
    TO_BE_CLEARED,
    BatchState,
    Edition,
    EditionKind,
    EditionState,
)
from subscribers.models import Newsletter, Subscription

EXPIRES_AFTER = timedelta(hours=36)  # news that cannot be delivered by then is none
UNDER_WAY = [
    EditionState.APPROVED,
    EditionState.FREEZING,
    EditionState.RENDERING,
    EditionState.READY,
    EditionState.SENDING,
]


def begin_freezing(edition: Edition) -> bool:
    """Take an approved edition whose time has come into FREEZING, if no other is freezing.

    Items withdrawn since are dropped. If a person approved something else than what would go out
    now, the approval is void and the edition is a draft again. Returns whether it freezes.
    """
    try:
        with transaction.atomic():
            approved = Edition.objects.filter(pk=edition.pk, state=EditionState.APPROVED)
            if not approved.update(state=EditionState.FREEZING, cursor=TO_BE_CLEARED):
                return False
            edition.items.exclude(article__in=Article.objects.published()).delete()
            current = approving.content_hash(edition)
            if current == edition.content_hash:
                return True
            if approving.needs_nobody(edition):
                Edition.objects.filter(pk=edition.pk).update(content_hash=current)
                return True
            Edition.objects.filter(pk=edition.pk).update(
                state=EditionState.DRAFT,
                content_hash=current,
                reason="An article changed after the approval. Read it again and approve it.",
            )
    except IntegrityError:  # one_edition_freezes_at_a_time
        pass
    return False


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


def expected_readers(newsletter: Newsletter) -> int:
    """How many readers follow the newsletter now. The freeze leaves out those with nothing new."""
    return Subscription.objects.active().filter(newsletter=newsletter).count()


def expected_readers_of(edition: Edition) -> int:
    """How many an edition may reach that is not frozen yet."""
    if edition.kind == EditionKind.CATCH_UP:
        return edition.catch_ups.count()
    return expected_readers(edition.newsletter)
