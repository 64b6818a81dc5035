"""Step 3b, who reads the same: the audience becomes cohorts, waves, batches and deliveries.

All in sets: a page is a range of subscribers, one transaction and a fixed number of statements,
however many readers and cohorts are in it. Interrupted at any point, the freeze goes on from
`edition.cursor`; done twice, the second finds the cursor moved and stops.
"""

from datetime import datetime

from django.db import connection, transaction
from django.db.models import Max, Sum
from django.db.models.functions import Now

from mailer import audience, dialect, editions
from mailer.models import (
    TO_BE_CLEARED,
    Batch,
    Cohort,
    Delivery,
    Edition,
    EditionKind,
    EditionState,
    Wave,
)

PAGE = 20_000  # subscribers; 10,000 to 50,000 cost the same for each of them
BATCH = 200  # deliveries; what a dead worker leaves behind
NOBODY_TO_SEND_TO = "Nobody to send to: each reader has had these articles or follows other topics."
NOBODY_TO_TELL = "Nobody to send to: all who were mailed the earlier text have been told."
DELETE_BLOCK = 10_000  # deliveries; keeps a rebuild's transactions short


class CountsDiffer(Exception):
    """The rows of a freeze do not add up. The edition is paused; resuming writes them anew."""


def freeze(edition_id: int) -> bool:
    """Write down who gets what; return whether this call completed it.

    May be interrupted and called again at any time. Raises CountsDiffer, after pausing the
    edition, if the sums do not hold: then nothing leaves.
    """
    edition = Edition.objects.select_related("newsletter").get(pk=edition_id)
    if edition.state != EditionState.FREEZING or edition.frozen_at:
        return False
    _clear(edition)
    try:
        audience.prepare(edition)
        waves = audience.Waves(edition)
        while (upto := audience.end_of_page(edition, size=PAGE)) is not None:
            if not _freeze_page(edition, waves, upto):
                return False  # another worker has moved the cursor
    finally:
        if connection.is_usable():
            audience.drop()
    return _complete(edition)


def _freeze_page(edition: Edition, waves: audience.Waves, upto: int) -> bool:
    """One range of subscribers, all or nothing. False when the cursor was not where we left it."""
    with transaction.atomic():
        dialect.plan_for_once()
        audience.choose(edition, upto)
        waves.release_page()
        audience.divide_page(BATCH)
        _write_cohorts(edition)
        _write_batches(edition)
        _write_deliveries(edition)
        if not _move_cursor(edition, upto):
            transaction.set_rollback(True)
            return False
    return True


def _write_cohorts(edition: Edition) -> None:
    """Add the cohorts that the page is the first to need; keep the numbers of all at hand.

    Of an edition that is being written PostgreSQL knows nothing yet: it takes its ten thousand
    cohorts for one, and compares each reader with all of them (minutes for a page). Hence a small
    table with statistics.
    """
    of_edition = [edition.pk, edition.newsletter.language]
    dialect.execute(
        """
        INSERT INTO mailer_cohort
            (edition_id, language, list, corrections, is_text, size, inlinings, error)
        SELECT CAST(%s AS bigint), %s, p.list, p.corrections, p.is_text, 0, 0, ''
        FROM (SELECT DISTINCT list, corrections, is_text FROM freeze_place) AS p
        WHERE NOT EXISTS (
            SELECT 1 FROM freeze_cohort c
            WHERE c.list = p.list AND c.corrections = p.corrections AND c.is_text = p.is_text
        )
        ON CONFLICT DO NOTHING
        """,
        of_edition,
    )
    dialect.execute(
        f"""
        INSERT INTO freeze_cohort {audience.COHORTS}
            AND message IS NULL AND id > (SELECT COALESCE(MAX(id), 0) FROM freeze_cohort)
        """,  # noqa: S608  # a constant
        of_edition,
    )
    dialect.analyze("freeze_cohort")


def _write_batches(edition: Edition) -> None:
    """A reader is in one wave, so the first reader of a batch names it within the edition."""
    dialect.execute("DROP TABLE IF EXISTS freeze_group")
    dialect.execute(
        """
        CREATE TEMPORARY TABLE freeze_group AS
        SELECT wave_id, number, MIN(subscriber_id) AS first, COUNT(*) AS size
        FROM freeze_place GROUP BY wave_id, number
        """
    )
    dialect.analyze("freeze_group")
    dialect.execute(
        """
        INSERT INTO mailer_batch (edition_id, wave_id, first, state, not_before, lease, leased_by,
            losses, size, sent, failed, skipped, uncertain)
        SELECT w.edition_id, w.id, p.first, 'ready', w.release_at, 0, '', 0, p.size, 0, 0, 0, 0
        FROM freeze_group p JOIN mailer_wave w ON w.id = p.wave_id
        WHERE true ON CONFLICT DO NOTHING
        """
    )
    dialect.execute("DROP TABLE IF EXISTS freeze_batch")
    dialect.execute(
        """
        CREATE TEMPORARY TABLE freeze_batch AS
        SELECT b.id, g.wave_id, g.number FROM freeze_group g
        JOIN mailer_batch b ON b.first = g.first AND b.edition_id = %s
        """,
        [edition.pk],
    )
    dialect.analyze("freeze_batch")


def _write_deliveries(edition: Edition) -> None:
    dialect.execute(
        """
        INSERT INTO mailer_delivery
            (edition_id, subscriber_id, batch_id, cohort_id, state, attempts, reason, rule)
        SELECT CAST(%s AS bigint), p.subscriber_id, b.id, c.id, 'pending', 0, '', ''
        FROM freeze_place p
        JOIN freeze_batch b ON b.wave_id = p.wave_id AND b.number = p.number
        JOIN freeze_cohort c
            ON c.list = p.list AND c.corrections = p.corrections AND c.is_text = p.is_text
        WHERE true ON CONFLICT DO NOTHING
        """,
        [edition.pk],
    )


def _move_cursor(edition: Edition, upto: int) -> bool:
    """Count the page into the edition and move on, if nobody else has (compare-and-set)."""
    counts = dict(dialect.fetch("SELECT reason, COUNT(*) FROM freeze_page GROUP BY reason"))
    excluded = dict(edition.excluded)
    for reason, count in counts.items():
        if reason:
            excluded[reason] = excluded.get(reason, 0) + count
    candidates = edition.candidates + sum(counts.values())
    here = Edition.objects.filter(pk=edition.pk, cursor=edition.cursor, state=EditionState.FREEZING)
    if not here.update(cursor=upto, candidates=candidates, excluded=excluded):
        return False
    edition.cursor, edition.candidates, edition.excluded = upto, candidates, excluded
    return True


def _complete(edition: Edition) -> bool:
    """Prove both sums from rows, then let the edition go on to rendering."""
    with transaction.atomic():
        # Each page ends by changing this row: while we hold it, no page can be half in the sums.
        held = Edition.objects.select_for_update().get(pk=edition.pk)
        if held.state != EditionState.FREEZING or held.cursor != edition.cursor:
            return False
        deliveries = Delivery.objects.filter(edition=edition).count()
        batched = Batch.objects.filter(edition=edition).aggregate(n=Sum("size", default=0))["n"]
        # Or the first commits of the sending would be planned for an empty table.
        audience.analyze("mailer_delivery", "mailer_batch")
        balanced = held.candidates == deliveries + sum(held.excluded.values())
        if balanced and batched == deliveries:
            _count_cohorts(edition)
            _pass_on(edition, deliveries)
            return True
        sums = (
            f"{held.candidates} candidates, {deliveries} deliveries, {batched} in batches, "
            f"excluded {held.excluded}"
        )
        Edition.objects.filter(pk=edition.pk).update(
            state=EditionState.PAUSED,
            reason=f"The audience does not add up: {sums}. Resume to write it down anew."[:200],
        )
    raise CountsDiffer(f"edition {edition.pk}: {sums}")


def _count_cohorts(edition: Edition) -> None:
    dialect.execute(
        """
        UPDATE mailer_cohort SET size = counted.size
        FROM (SELECT cohort_id, COUNT(*) AS size FROM mailer_delivery WHERE edition_id = %s
              GROUP BY cohort_id) AS counted
        WHERE mailer_cohort.id = counted.cohort_id
        """,
        [edition.pk],
    )


def _pass_on(edition: Edition, deliveries: int) -> None:
    row = Edition.objects.filter(pk=edition.pk)
    if deliveries:
        row.update(state=EditionState.RENDERING, frozen_at=Now(), expires_at=_expires_at(edition))
        return
    row.update(
        state=EditionState.SKIPPED,
        reason=NOBODY_TO_TELL if edition.kind == EditionKind.CORRECTION else NOBODY_TO_SEND_TO,
        frozen_at=Now(),
        finished_at=Now(),
    )


def _expires_at(edition: Edition) -> datetime:
    """The readers of the last wave have as much time as those of an edition with one wave."""
    last: datetime = edition.waves.aggregate(at=Max("release_at"))["at"]
    return max(edition.expires_at, last + editions.EXPIRES_AFTER)


def _clear(edition: Edition) -> None:
    """Remove what an earlier, interrupted freeze left, in short transactions; then start at 0.

    Each of them holds the edition's row and looks at the cursor first, so a second worker that
    clears behind the first cannot remove what that one has begun to write.
    """
    while True:
        with transaction.atomic():
            held = Edition.objects.select_for_update().get(pk=edition.pk)
            if held.cursor != TO_BE_CLEARED or held.state != EditionState.FREEZING:
                edition.cursor, edition.candidates = held.cursor, held.candidates
                edition.excluded, edition.state = held.excluded, held.state
                return
            rows = Delivery.objects.filter(edition=edition)
            block = list(rows.values_list("subscriber_id", flat=True)[:DELETE_BLOCK])
            rows.filter(subscriber_id__in=block).delete()
            if not block:
                Batch.objects.filter(edition=edition).delete()
                Wave.objects.filter(edition=edition).delete()
                Cohort.objects.filter(edition=edition).delete()
                Edition.objects.filter(pk=edition.pk).update(cursor=0, candidates=0, excluded={})
