"""Step 3, who reads the same: the audience becomes cohorts, waves, batches and deliveries.

All in sets: a page is a range of subscribers, one transaction and a fixed number of statements,
however many readers and cohorts are in it. Interrupted at any point, the freeze goes on from
`edition.cursor`; done twice, the second finds the cursor moved and stops.
"""

from django.db import connection, transaction
from django.db.models import Sum
from django.db.models.functions import Now

from mailer import dialect
from mailer.models import (
    COUNTS_AS_RECEIVED,
    TO_BE_CLEARED,
    Batch,
    Cohort,
    Delivery,
    Edition,
    EditionState,
    Wave,
)

PAGE = 20_000  # subscribers; 10,000 to 50,000 cost the same for each of them
BATCH = 200  # deliveries; what a dead worker leaves behind
DELETE_BLOCK = 10_000  # deliveries; keeps a rebuild's transactions short

# Why a candidate gets no delivery.
SUPPRESSED = "suppressed"
NO_ARTICLES = "no_articles"  # nothing of the edition is in their topics since they follow them
NOTHING_NEW = "nothing_new"  # they have had it all, through this newsletter or another


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
    wave, _ = Wave.objects.get_or_create(edition=edition, release_at=edition.due_at)
    try:
        _prepare(edition)
        while (upto := _end_of_page(edition)) is not None:
            if not _freeze_page(edition, wave, upto):
                return False  # another worker has moved the cursor
    finally:
        _drop_temporary_tables()
    return _complete(edition)


def _end_of_page(edition: Edition) -> int | None:
    sql = """
        SELECT MAX(subscriber_id) FROM (
            SELECT subscriber_id FROM subscribers_subscription
            WHERE newsletter_id = %s AND ended_at IS NULL AND subscriber_id > %s
            ORDER BY subscriber_id LIMIT %s
        ) AS page
    """
    [(upto,)] = dialect.fetch(sql, [edition.newsletter_id, edition.cursor, PAGE])
    return None if upto is None else int(upto)


TEMPORARY = ("freeze_item", "freeze_earlier", "freeze_page")


def _prepare(edition: Edition) -> None:
    """Two small tables for the whole freeze: this edition's items, and what earlier ones held."""
    _drop_temporary_tables()
    dialect.execute(
        """
        CREATE TEMPORARY TABLE freeze_item AS
        SELECT t.topic_id, i.bit, a.published_at
        FROM mailer_editionarticle i
        JOIN articles_article a ON a.id = i.article_id
        JOIN articles_article_topics t ON t.article_id = i.article_id
        WHERE i.edition_id = %s
        """,
        [edition.pk],
    )
    # An earlier cohort's list, in the bits of this edition: rows only where they overlap.
    dialect.execute(
        """
        CREATE TEMPORARY TABLE freeze_earlier AS
        SELECT c.id AS cohort_id, SUM(this.bit) AS list
        FROM mailer_editionarticle this
        JOIN mailer_editionarticle old
            ON old.article_id = this.article_id AND old.edition_id <> this.edition_id
        JOIN mailer_cohort c ON c.edition_id = old.edition_id AND (c.list & old.bit) <> 0
        WHERE this.edition_id = %s
        GROUP BY c.id
        """,
        [edition.pk],
    )
    _analyze("freeze_item", "freeze_earlier")


def _drop_temporary_tables() -> None:
    if connection.is_usable():
        for table in TEMPORARY:
            dialect.execute(f"DROP TABLE IF EXISTS {table}")


def _analyze(*tables: str) -> None:
    """Without statistics PostgreSQL joins the page in nested loops: minutes instead of seconds."""
    if dialect.is_postgresql():
        for table in tables:
            dialect.execute(f"ANALYZE {table}")


def _freeze_page(edition: Edition, wave: Wave, upto: int) -> bool:
    """One range of subscribers, all or nothing. False when the cursor was not where we left it."""
    with transaction.atomic():
        dialect.execute("DROP TABLE IF EXISTS freeze_page")
        _choose(edition, upto)
        _analyze("freeze_page")
        _write_cohorts_and_batches(edition, wave)
        _write_deliveries(edition)
        if not _move_cursor(edition, upto):
            transaction.set_rollback(True)
            return False
    return True


def _choose(edition: Edition, upto: int) -> None:
    """Each candidate of the range with the list of articles they get, or the reason for none."""
    received = ", ".join(f"'{state.value}'" for state in COUNTS_AS_RECEIVED)
    sql = f"""
        CREATE TEMPORARY TABLE freeze_page AS
        WITH reader AS (
            SELECT s.id AS subscription_id, s.subscriber_id, r.address_hash
            FROM subscribers_subscription s
            JOIN subscribers_subscriber r ON r.id = s.subscriber_id
            WHERE s.newsletter_id = %s AND s.ended_at IS NULL AND s.confirmed_at IS NOT NULL
                AND s.subscriber_id > %s AND s.subscriber_id <= %s
                AND r.state = 'active'
        ), wanted AS (
            SELECT f.subscription_id, bit_or(i.bit) AS list
            FROM subscribers_subscriptiontopic f
            JOIN reader ON reader.subscription_id = f.subscription_id
            JOIN freeze_item i ON i.topic_id = f.topic_id AND i.published_at >= f.since
            GROUP BY f.subscription_id
        ), has AS (
            SELECT d.subscriber_id, bit_or(CAST(e.list AS bigint)) AS list
            FROM mailer_delivery d
            JOIN freeze_earlier e ON e.cohort_id = d.cohort_id
            WHERE d.subscriber_id > %s AND d.subscriber_id <= %s AND d.state IN ({received})
            GROUP BY d.subscriber_id
        ), choice AS (
            SELECT reader.subscriber_id,
                COALESCE(wanted.list, 0) & ~COALESCE(has.list, 0) AS list,
                CASE
                    WHEN EXISTS (
                        SELECT 1 FROM subscribers_suppression x
                        WHERE x.address_hash = reader.address_hash
                    ) THEN '{SUPPRESSED}'
                    WHEN wanted.list IS NULL THEN '{NO_ARTICLES}'
                    WHEN wanted.list & ~COALESCE(has.list, 0) = 0 THEN '{NOTHING_NEW}'
                    ELSE ''
                END AS reason
            FROM reader
            LEFT JOIN wanted ON wanted.subscription_id = reader.subscription_id
            LEFT JOIN has ON has.subscriber_id = reader.subscriber_id
        ), numbered AS (
            SELECT choice.*,
                (ROW_NUMBER() OVER (PARTITION BY reason ORDER BY subscriber_id) - 1) / {BATCH}
                    AS number
            FROM choice
        )
        SELECT subscriber_id, list, reason,
            MIN(subscriber_id) OVER (PARTITION BY reason, number) AS first
        FROM numbered
    """  # noqa: S608  # constants of ours
    span = [edition.cursor, upto]
    dialect.execute(sql, [edition.newsletter_id, *span, *span])


def _write_cohorts_and_batches(edition: Edition, wave: Wave) -> None:
    dialect.execute(
        """
        INSERT INTO mailer_cohort (edition_id, language, list, size, inlinings, error)
        SELECT DISTINCT CAST(%s AS bigint), %s, list, 0, 0, '' FROM freeze_page WHERE reason = ''
        ON CONFLICT DO NOTHING
        """,
        [edition.pk, edition.newsletter.language],
    )
    dialect.execute(
        """
        INSERT INTO mailer_batch (edition_id, wave_id, first, state, not_before, lease, leased_by,
            losses, size, sent, failed, skipped, uncertain)
        SELECT w.edition_id, w.id, p.first, 'ready', w.release_at, 0, '', 0, COUNT(*), 0, 0, 0, 0
        FROM freeze_page p JOIN mailer_wave w ON w.id = %s
        WHERE p.reason = '' GROUP BY w.edition_id, w.id, p.first, w.release_at
        ON CONFLICT DO NOTHING
        """,
        [wave.pk],
    )


def _write_deliveries(edition: Edition) -> None:
    dialect.execute(
        """
        INSERT INTO mailer_delivery
            (edition_id, subscriber_id, batch_id, cohort_id, state, attempts, reason, rule)
        SELECT b.edition_id, p.subscriber_id, b.id, c.id, 'pending', 0, '', ''
        FROM freeze_page p
        JOIN mailer_batch b ON b.edition_id = %s AND b.first = p.first
        JOIN mailer_cohort c ON c.edition_id = b.edition_id AND c.language = %s AND c.list = p.list
        WHERE p.reason = ''
        ON CONFLICT DO NOTHING
        """,
        [edition.pk, edition.newsletter.language],
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
        _analyze("mailer_delivery", "mailer_batch")
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
        row.update(state=EditionState.RENDERING, frozen_at=Now())
        return
    row.update(
        state=EditionState.SKIPPED,
        reason="Nobody to send to: each reader has had these articles or follows other topics.",
        frozen_at=Now(),
        finished_at=Now(),
    )


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
                Cohort.objects.filter(edition=edition).delete()
                Edition.objects.filter(pk=edition.pk).update(cursor=0, candidates=0, excluded={})
