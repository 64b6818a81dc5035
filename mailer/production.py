"""Step 4b, which worker renders which cohort: each is claimed, rendered once and stored."""

import logging

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now

from mailer import dialect, editions, rendering
from mailer.models import Cohort, Edition, EditionState

log = logging.getLogger(__name__)

CLAIM_SECONDS = 60  # rendering one cohort takes well under a second


def render_waiting() -> int:
    """Render the cohorts of editions in RENDERING until none is left; return how many.

    Any number of workers may do so at once. A cohort that cannot be rendered pauses its edition
    before the first mail, with the reason.
    """
    rendered = 0
    while (cohort := _claim()) is not None:
        rendered += _render(cohort)
    return rendered


def _claim() -> Cohort | None:
    sql = f"""
        UPDATE mailer_cohort SET claimed_until = {dialect.now(plus_seconds=CLAIM_SECONDS)}
        WHERE id = (
            SELECT c.id FROM mailer_cohort c JOIN mailer_edition e ON e.id = c.edition_id
            WHERE e.state = 'rendering' AND c.message IS NULL AND c.error = ''
                AND (c.claimed_until IS NULL OR c.claimed_until < {dialect.now()})
            ORDER BY e.priority DESC, e.due_at, c.id LIMIT 1 {dialect.skip_locked("c")}
        )
        RETURNING id
    """  # noqa: S608  # fragments of ours
    claimed = dialect.fetch(sql)
    return Cohort.objects.get(pk=claimed[0][0]) if claimed else None


def _render(cohort: Cohort) -> bool:
    try:
        compiled, inlinings = rendering.render(cohort)
    except Exception as error:  # whatever a template or a picture can raise: nothing may leave
        log.exception("cohort %s cannot be rendered", cohort.pk)
        reason = f"{type(error).__name__}: {error}"[:300]
        Cohort.objects.filter(pk=cohort.pk).update(error=reason)
        editions.pause(
            Edition.objects.get(pk=cohort.edition_id),
            reason=f"A message cannot be built ({reason[:120]}). Mend it, then resume.",
        )
        return False
    with transaction.atomic():
        Cohort.objects.filter(pk=cohort.pk).update(inlinings=F("inlinings") + inlinings)
        unrendered = Cohort.objects.filter(pk=cohort.pk, message__isnull=True)
        return bool(unrendered.update(message=compiled.to_bytes(), claimed_until=None))


def release_rendered() -> int:
    """Let the editions go on whose cohorts are all rendered: to READY, or back to SENDING.

    One of which nothing has left is first compared with what was approved.
    """
    unrendered = Cohort.objects.unrendered().filter(edition=OuterRef("pk"))
    complete = Edition.objects.filter(~Exists(unrendered), state=EditionState.RENDERING)
    released = 0
    for edition in complete.select_related("newsletter"):
        if edition.started_at or editions.check_rendered(edition):
            # It names the state: a pause or cancel of this moment must not be undone.
            same = Edition.objects.filter(pk=edition.pk, state=EditionState.RENDERING)
            released += same.update(state=EditionState.READY)
    return released


def start_due() -> int:
    """Let the complete editions send whose time has come."""
    due = Edition.objects.filter(state=EditionState.READY, due_at__lte=Now())
    due.filter(started_at__isnull=False).update(state=EditionState.SENDING)
    return due.filter(Q(started_at__isnull=True)).update(
        state=EditionState.SENDING, started_at=Now()
    )
