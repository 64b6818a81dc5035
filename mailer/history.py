"""Step 3a, what readers have had, in the bits of the edition that is being frozen.

What earlier cohorts held becomes a small table once for each freeze; a page then reads the
deliveries of its readers in those editions and no others, however long the history is.
"""

from datetime import timedelta

from django.conf import settings

from mailer import dialect
from mailer.models import COUNTS_AS_RECEIVED, Edition, EditionKind

TEMPORARY = ("freeze_earlier", "freeze_edition", "freeze_recent")
# A day of the cap. An hour short: where clocks go forward, two editions of one wall time are 23
# hours apart, and one that was approved late is due a little later.
DAY = timedelta(hours=23)
RECEIVED = "state IN ({})".format(", ".join(f"'{state.value}'" for state in COUNTS_AS_RECEIVED))

# The corrections of an edition.
CARRIED = """
    SELECT k.id AS correction_id, k.article_id, k.at, this.bit
    FROM mailer_editioncorrection this
    JOIN articles_correction k ON k.id = this.correction_id
    WHERE this.edition_id = %s
"""

# Cohorts that got an article before it was corrected, and cohorts that were told, in the bits of
# `mended` (correction_id, article_id, at, bit).
MENDED = """
    SELECT c.id AS cohort_id, c.edition_id, m.bit AS outdated, CAST(0 AS bigint) AS told
    FROM mended m
    JOIN mailer_editionarticle i ON i.article_id = m.article_id
    JOIN mailer_edition e ON e.id = i.edition_id AND e.frozen_at < m.at
    JOIN mailer_cohort c ON c.edition_id = i.edition_id AND (c.list & i.bit) <> 0
    UNION ALL
    SELECT c.id, c.edition_id, CAST(0 AS bigint), m.bit
    FROM mended m
    JOIN mailer_editioncorrection i ON i.correction_id = m.correction_id
    JOIN mailer_cohort c ON c.edition_id = i.edition_id AND (c.corrections & i.bit) <> 0
"""


def prepare(edition: Edition) -> None:
    """Write down what each earlier cohort held of this edition: rows only where they overlap.

    `list`: articles. `outdated`: corrections of articles it got before. `told`: corrections it got.
    """
    dialect.execute(
        f"""
        CREATE TEMPORARY TABLE freeze_earlier AS
        WITH mended AS ({CARRIED})
        SELECT cohort_id, edition_id, CAST(SUM(list) AS bigint) AS list,
            CAST(SUM(outdated) AS bigint) AS outdated, CAST(SUM(told) AS bigint) AS told
        FROM (
            SELECT c.id AS cohort_id, c.edition_id, this.bit AS list,
                CAST(0 AS bigint) AS outdated, CAST(0 AS bigint) AS told
            FROM mailer_editionarticle this
            JOIN mailer_editionarticle old ON old.article_id = this.article_id
            JOIN mailer_cohort c ON c.edition_id = old.edition_id AND (c.list & old.bit) <> 0
            WHERE this.edition_id = %s
            UNION ALL
            SELECT cohort_id, edition_id, CAST(0 AS bigint), outdated, told
            FROM ({MENDED}) AS mending
        ) AS held
        WHERE edition_id <> %s
        GROUP BY cohort_id, edition_id
        """,  # noqa: S608  # constants of ours
        [edition.pk, edition.pk, edition.pk],
    )
    dialect.execute("CREATE INDEX freeze_earlier_cohort ON freeze_earlier (cohort_id)")
    dialect.execute(
        "CREATE TEMPORARY TABLE freeze_edition AS SELECT DISTINCT edition_id FROM freeze_earlier"
    )
    dialect.analyze("freeze_earlier", "freeze_edition")
    if has_cap(edition):
        _prepare_cap(edition)


def has_cap(edition: Edition) -> bool:
    """Whether readers who have had mails enough are left out.

    Urgent editions, corrections and catch-ups leave whatever a reader has had; and they count.
    """
    is_ordinary = edition.kind == EditionKind.REGULAR and not edition.is_urgent
    return is_ordinary and settings.MAILS_PER_READER_AND_DAY > 0


def _prepare_cap(edition: Edition) -> None:
    """Write down the editions that a day's mails are counted over."""
    dialect.execute(
        """
        CREATE TEMPORARY TABLE freeze_recent AS SELECT id AS edition_id FROM mailer_edition
        WHERE frozen_at IS NOT NULL AND id <> %s AND due_at > %s AND due_at <= %s
        """,
        [edition.pk, dialect.stored(edition.due_at - DAY), dialect.stored(edition.due_at)],
    )
    dialect.analyze("freeze_recent")


# What the readers of a page have had of the edition; its parameters are the span of the page.
# A cross join is SQLite's word for "in this order": one range of the key for each edition.
HAS = f"""
    SELECT d.subscriber_id, bit_or(h.list) AS list,
        bit_or(h.outdated) & ~bit_or(h.told) AS corrections
    FROM freeze_edition x
    CROSS JOIN mailer_delivery d
    JOIN freeze_earlier h ON h.cohort_id = d.cohort_id
    WHERE d.edition_id = x.edition_id AND d.subscriber_id > %s AND d.subscriber_id <= %s
        AND d.{RECEIVED}
    GROUP BY d.subscriber_id
"""  # noqa: S608  # constants of ours

# Readers who have had as many mails as a day may bring; the same parameters.
CAPPED = f"""
    SELECT d.subscriber_id
    FROM freeze_recent x
    CROSS JOIN mailer_delivery d
    WHERE d.edition_id = x.edition_id AND d.subscriber_id > %s AND d.subscriber_id <= %s
        AND d.{RECEIVED}
    GROUP BY d.subscriber_id HAVING COUNT(*) >= %s
"""  # noqa: S608  # constants of ours

# Readers of `mended` who had an article before it was corrected and do not know yet.
UNTOLD = f"""
    SELECT d.subscriber_id
    FROM (
        SELECT cohort_id, edition_id, SUM(outdated) AS outdated, SUM(told) AS told
        FROM ({MENDED}) AS mending GROUP BY cohort_id, edition_id
    ) AS h
    JOIN mailer_delivery d ON d.edition_id = h.edition_id AND d.cohort_id = h.cohort_id
    WHERE d.{RECEIVED}
    GROUP BY d.subscriber_id
    HAVING bit_or(CAST(h.outdated AS bigint)) & ~bit_or(CAST(h.told AS bigint)) <> 0
"""  # noqa: S608  # constants of ours


def count_untold(edition: Edition) -> int:
    """How many readers of an urgent correction's newsletter it has something to tell."""
    [(number,)] = dialect.fetch(
        f"""
        WITH mended AS ({CARRIED}), untold AS ({UNTOLD})
        SELECT COUNT(*) FROM untold
        JOIN subscribers_subscription s ON s.subscriber_id = untold.subscriber_id
            AND s.newsletter_id = %s AND s.ended_at IS NULL AND s.confirmed_at IS NOT NULL
        JOIN subscribers_subscriber r ON r.id = s.subscriber_id AND r.state = 'active'
        """,  # noqa: S608  # constants of ours
        [edition.pk, edition.newsletter_id],
    )
    return int(number)
