"""The statements behind `proofs`: temporary tables for all pages, and those of one page of readers.

Sets of articles are sums of bits: in the order of their publication WIDTH articles make a shelf,
and a cohort's list is one row for each shelf it touches. Masks of one shelf add up to their union
only if no two of them overlap: an article that came twice shows in one comparison, without a row
for each reader and article.
"""

from collections.abc import Iterable, Sequence

from mailer import dialect, proved
from mailer.models import COUNTS_AS_RECEIVED, DeliveryState, EditionKind, EditionState

WIDTH = 40  # articles of a shelf: leaves room to add up 2^23 deliveries of one reader
# From the worst: of the editions that carried an article, one without an excuse is enough.
VERDICTS = (proved.MISSED, proved.LOST, proved.CAPPED, proved.CHANGED)
DAILY_CAP = '"daily_cap"'  # as a reason in `Edition.excluded`

_RECEIVED = ", ".join(f"'{state.value}'" for state in COUNTS_AS_RECEIVED)
_LOST = ", ".join(f"'{state.value}'" for state in DeliveryState if state not in COUNTS_AS_RECEIVED)


def make(name: str, select: str, params: Sequence[object] = ()) -> None:
    """Make a temporary table of what a statement finds, in place of the last page's."""
    dialect.execute(f"DROP TABLE IF EXISTS {name}")
    dialect.execute(f"CREATE TEMPORARY TABLE {name} AS {select}", params)
    if columns := _INDEXES.get(name):
        dialect.execute(f"CREATE INDEX {name}_index ON {name} ({columns})")
    dialect.analyze(name)


def drop(names: Iterable[str]) -> None:
    for name in names:
        dialect.execute(f"DROP TABLE IF EXISTS {name}")


# --- what all pages look up ---

# Articles that editions carried, on their shelves.
_ARTICLE = f"""
    SELECT article_id, published_at, modified_at, number / {WIDTH} AS shelf,
        CAST(1 AS bigint) << CAST(number %% {WIDTH} AS integer) AS bit
    FROM (
        SELECT a.id AS article_id, a.published_at, a.modified_at,
            ROW_NUMBER() OVER (ORDER BY a.published_at, a.id) - 1 AS number
        FROM articles_article a WHERE a.id IN (SELECT article_id FROM mailer_editionarticle)
    ) AS numbered
"""  # noqa: S608  # a number of ours
_LIST = """
    SELECT c.id AS cohort_id, a.shelf, CAST(SUM(a.bit) AS bigint) AS mask, COUNT(*) AS articles
    FROM mailer_cohort c
    JOIN mailer_editionarticle i ON i.edition_id = c.edition_id AND (c.list & i.bit) <> 0
    JOIN proof_article a ON a.article_id = i.article_id
    GROUP BY c.id, a.shelf
"""
# The editions that owed an article to whoever follows one of its topics.
_CARRIER = f"""
    SELECT i.article_id, e.id AS edition_id, e.newsletter_id, e.due_at, e.approved_at, e.frozen_at,
        CASE WHEN CAST(e.excluded AS text) LIKE '%%{DAILY_CAP}%%' THEN 1 ELSE 0 END AS has_capped
    FROM mailer_edition e JOIN mailer_editionarticle i ON i.edition_id = e.id
    WHERE e.kind = '{EditionKind.REGULAR.value}' AND e.frozen_at IS NOT NULL
        AND e.state <> '{EditionState.CANCELLED.value}'
"""  # noqa: S608  # constants of ours
_OWED = """
    SELECT c.newsletter_id, t.topic_id, a.shelf, a.bit, a.published_at,
        MAX(c.approved_at) AS approved_at
    FROM proof_carrier c
    JOIN proof_article a ON a.article_id = c.article_id
    JOIN articles_article_topics t ON t.article_id = c.article_id
    GROUP BY c.newsletter_id, t.topic_id, a.shelf, a.bit, a.published_at
"""
_TOLD = """
    SELECT c.id AS cohort_id, i.correction_id
    FROM mailer_cohort c
    JOIN mailer_editioncorrection i ON i.edition_id = c.edition_id AND (c.corrections & i.bit) <> 0
"""
# Cohorts that were sent an article before it was corrected.
_OUTDATED = """
    SELECT c.id AS cohort_id, k.id AS correction_id
    FROM articles_correction k
    JOIN mailer_editionarticle i ON i.article_id = k.article_id
    JOIN mailer_edition e ON e.id = i.edition_id AND e.frozen_at < k.at
    JOIN mailer_cohort c ON c.edition_id = i.edition_id AND (c.list & i.bit) <> 0
"""
FOR_ALL_PAGES = {
    "proof_article": _ARTICLE,
    "proof_list": _LIST,
    "proof_carrier": _CARRIER,
    "proof_owed": _OWED,
    "proof_told": _TOLD,
    "proof_outdated": _OUTDATED,
}

# --- a page of readers ---

HAS = f"""
    SELECT d.subscriber_id, k.shelf, CAST(SUM(k.mask) AS bigint) AS total,
        bit_or(k.mask) AS mask, SUM(k.articles) AS articles
    FROM mailer_delivery d JOIN proof_list k ON k.cohort_id = d.cohort_id
    WHERE d.subscriber_id > %s AND d.subscriber_id <= %s AND d.state IN ({_RECEIVED})
    GROUP BY d.subscriber_id, k.shelf
"""  # noqa: S608  # constants of ours
REPEATED = f"""
    SELECT d.subscriber_id, a.article_id, COUNT(*) AS times
    FROM proof_has h
    JOIN mailer_delivery d ON d.subscriber_id = h.subscriber_id AND d.state IN ({_RECEIVED})
    JOIN proof_list k ON k.cohort_id = d.cohort_id AND k.shelf = h.shelf
    JOIN proof_article a ON a.shelf = k.shelf AND (a.bit & k.mask) <> 0
    WHERE h.total <> h.mask AND d.subscriber_id > %s AND d.subscriber_id <= %s
    GROUP BY d.subscriber_id, a.article_id HAVING COUNT(*) > 1
"""  # noqa: S608  # constants of ours
PLACE = """
    SELECT s.id AS subscription_id, s.subscriber_id, s.newsletter_id, s.created_at, s.confirmed_at,
        r.paused_from, r.paused_until
    FROM subscribers_subscription s
    JOIN subscribers_subscriber r ON r.id = s.subscriber_id AND r.state = 'active'
    WHERE s.subscriber_id > %s AND s.subscriber_id <= %s AND r.id > %s AND r.id <= %s
        AND s.ended_at IS NULL AND s.confirmed_at IS NOT NULL
        AND NOT EXISTS (
            SELECT 1 FROM subscribers_suppression x WHERE x.address_hash = r.address_hash
        )
"""
# What readers may have been owed and do not have. More than they were: each edition's own
# conditions are looked at for these few only, by the next statement.
LACKS = """
    SELECT owed.subscription_id, owed.subscriber_id, owed.newsletter_id, owed.shelf,
        owed.mask & ~COALESCE(h.mask, 0) AS mask
    FROM (
        SELECT p.subscription_id, p.subscriber_id, p.newsletter_id, o.shelf, bit_or(o.bit) AS mask
        FROM proof_place p
        JOIN subscribers_subscriptiontopic f ON f.subscription_id = p.subscription_id
        JOIN proof_owed o ON o.newsletter_id = p.newsletter_id AND o.topic_id = f.topic_id
            AND o.published_at >= f.since AND o.approved_at >= p.confirmed_at
        WHERE p.paused_until IS NULL OR o.published_at >= p.paused_until
            OR o.published_at < p.paused_from
        GROUP BY p.subscription_id, p.subscriber_id, p.newsletter_id, o.shelf
    ) AS owed
    LEFT JOIN proof_has h ON h.subscriber_id = owed.subscriber_id AND h.shelf = owed.shelf
    WHERE (owed.mask & ~COALESCE(h.mask, 0)) <> 0
"""
# Whether an edition owed the article to this reader: their place had begun before the audience was
# written down, and they were neither away (a pause overwrites the one before it, so of the time
# before a pause we only know if there was no earlier one) nor gone, to come back later.
_WAS_OWED = """
    p.created_at <= c.approved_at AND p.confirmed_at <= c.approved_at
    AND (
        p.paused_until IS NULL
        OR (c.due_at >= p.paused_until AND a.published_at >= p.paused_until)
        OR (c.due_at < p.paused_from AND NOT EXISTS (
            SELECT 1 FROM subscribers_consentevent v
            WHERE v.subscriber_id = p.subscriber_id AND v.at < p.paused_from
                AND v.kind = 'changed' AND v.newsletter_id IS NULL
        ))
    )
    AND NOT EXISTS (
        SELECT 1 FROM subscribers_consentevent v
        WHERE v.subscriber_id = p.subscriber_id AND v.newsletter_id = p.newsletter_id
            AND v.kind = 'left' AND v.at > p.confirmed_at AND v.at <= c.frozen_at
            AND NOT EXISTS (
                SELECT 1 FROM subscribers_consentevent back
                WHERE back.subscriber_id = p.subscriber_id
                    AND back.newsletter_id = p.newsletter_id AND back.kind = 'changed'
                    AND back.at > v.at AND back.at <= c.approved_at
            )
    )
"""
# A delivery lost after the edition was approved counted as received when its audience was written.
VERDICT = f"""
    SELECT subscriber_id, newsletter_id, article_id, MIN(verdict) AS verdict
    FROM (
        SELECT p.subscriber_id, p.newsletter_id, a.article_id, CASE
            WHEN EXISTS (
                SELECT 1 FROM mailer_delivery d
                JOIN proof_list k ON k.cohort_id = d.cohort_id AND k.shelf = a.shelf
                WHERE d.subscriber_id = p.subscriber_id AND d.state IN ({_LOST})
                    AND (k.mask & a.bit) <> 0
                    AND (d.edition_id = c.edition_id OR d.settled_at IS NULL
                        OR d.settled_at >= c.approved_at)
            ) THEN {VERDICTS.index(proved.LOST)}
            WHEN c.has_capped = 1 AND EXISTS (
                SELECT 1 FROM mailer_delivery d JOIN mailer_edition e ON e.id = d.edition_id
                WHERE d.subscriber_id = p.subscriber_id AND d.state IN ({_RECEIVED})
                    AND e.due_at <= c.due_at AND d.edition_id <> c.edition_id
            ) THEN {VERDICTS.index(proved.CAPPED)}
            WHEN a.modified_at >= c.approved_at THEN {VERDICTS.index(proved.CHANGED)}
            ELSE {VERDICTS.index(proved.MISSED)}
        END AS verdict
        FROM proof_lacks l
        JOIN proof_place p ON p.subscription_id = l.subscription_id
        JOIN proof_article a ON a.shelf = l.shelf AND (a.bit & l.mask) <> 0
        JOIN proof_carrier c
            ON c.newsletter_id = l.newsletter_id AND c.article_id = a.article_id
        WHERE {_WAS_OWED}
    ) AS judged
    GROUP BY subscriber_id, newsletter_id, article_id
"""  # noqa: S608  # constants of ours
MISSED = f"""
    SELECT subscriber_id, newsletter_id, article_id FROM proof_verdict
    WHERE verdict = {VERDICTS.index(proved.MISSED)}
"""  # noqa: S608  # a number of ours
HEARD = f"""
    SELECT heard.subscriber_id, heard.correction_id, heard.times,
        CASE WHEN sent.subscriber_id IS NULL THEN 1 ELSE 0 END AS astray
    FROM (
        SELECT d.subscriber_id, t.correction_id, COUNT(*) AS times
        FROM mailer_delivery d JOIN proof_told t ON t.cohort_id = d.cohort_id
        WHERE d.subscriber_id > %s AND d.subscriber_id <= %s AND d.state IN ({_RECEIVED})
        GROUP BY d.subscriber_id, t.correction_id
    ) AS heard
    LEFT JOIN (
        SELECT DISTINCT d.subscriber_id, o.correction_id
        FROM mailer_delivery d JOIN proof_outdated o ON o.cohort_id = d.cohort_id
        WHERE d.subscriber_id > %s AND d.subscriber_id <= %s
    ) AS sent
        ON sent.subscriber_id = heard.subscriber_id AND sent.correction_id = heard.correction_id
"""  # noqa: S608  # constants of ours
OF_A_PAGE = (
    "proof_has",
    "proof_repeated",
    "proof_place",
    "proof_lacks",
    "proof_verdict",
    "proof_heard",
)
_INDEXES = {
    "proof_article": "shelf",
    "proof_list": "cohort_id",
    "proof_carrier": "newsletter_id, article_id",
    "proof_owed": "newsletter_id, topic_id",
    "proof_told": "cohort_id",
    "proof_outdated": "cohort_id",
    "proof_has": "subscriber_id",
    "proof_place": "subscription_id",
}
