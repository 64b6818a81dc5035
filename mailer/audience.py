"""Step 3a, one page of the audience: who gets which articles, in which form, at which moment.

A page is a range of subscribers and becomes two temporary tables, `freeze_page` and
`freeze_place`, in a fixed number of statements. `cohorts` puts them into transactions.
"""

from collections.abc import Sequence
from datetime import datetime, time

from mailer import dialect, schedule
from mailer.models import COUNTS_AS_RECEIVED, Edition, EditionKind, Wave
from subscribers.models import Cadence

CATCH_UP_ARTICLES = 5  # what a reader back from a pause gets at most

# Why a candidate gets no delivery.
SUPPRESSED = "suppressed"
PAUSED = "paused"  # until after the edition is due
NO_ARTICLES = "no_articles"  # nothing of the edition is in their topics since they follow them
NOTHING_NEW = "nothing_new"  # they have had it all, through this newsletter or another

TEMPORARY = ("freeze_item", "freeze_earlier", "freeze_hour", "freeze_page", "freeze_place")
WRITTEN = ("freeze_batch", "freeze_cohort")
NO_HOUR = ("", -1)  # zone and hour of readers who left the moment to the newsletter


def prepare(edition: Edition) -> None:
    """Small tables for the whole freeze: this edition's items, and what earlier ones held."""
    drop()
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
    dialect.execute(
        "CREATE TEMPORARY TABLE freeze_hour (zone varchar(40), hour integer, wave_id bigint)"
    )
    analyze("freeze_item", "freeze_earlier")


def drop() -> None:
    for table in (*TEMPORARY, *WRITTEN):
        dialect.execute(f"DROP TABLE IF EXISTS {table}")


def analyze(*tables: str) -> None:
    """Without statistics PostgreSQL joins the page in nested loops: minutes instead of seconds."""
    if dialect.is_postgresql():
        for table in tables:
            dialect.execute(f"ANALYZE {table}")


def end_of_page(edition: Edition, *, size: int) -> int | None:
    """The last subscriber of the next page; None when there is nobody left."""
    readers, of = "mailer_catchup WHERE edition_id = %s", edition.pk
    if edition.kind == EditionKind.REGULAR:
        readers = "subscribers_subscription WHERE newsletter_id = %s AND ended_at IS NULL"
        of = edition.newsletter_id
    sql = f"""
        SELECT MAX(subscriber_id) FROM (
            SELECT subscriber_id FROM {readers} AND subscriber_id > %s
            ORDER BY subscriber_id LIMIT %s
        ) AS page
    """  # noqa: S608  # fragments of ours
    [(upto,)] = dialect.fetch(sql, [of, edition.cursor, size])
    return None if upto is None else int(upto)


def choose(edition: Edition, upto: int) -> None:
    """Each candidate of the range with the list of articles they get, or the reason for none.

    What a reader wants is asked for each of them: as a join, PostgreSQL would rather read the
    topics of all readers there are, once for each page. What is news to a reader is decided inside
    the sum, or it would build its table of items anew for each.
    """
    catches_up = edition.kind == EditionKind.CATCH_UP
    is_news = _BEFORE_THE_RETURN if catches_up else _SINCE_THE_RETURN
    received = ", ".join(f"'{state.value}'" for state in COUNTS_AS_RECEIVED)
    sql = f"""
        CREATE TEMPORARY TABLE freeze_page AS
        WITH reader AS (
            {_CATCHING_UP if catches_up else _REGULAR}
        ), has AS (
            SELECT d.subscriber_id, bit_or(CAST(e.list AS bigint)) AS list
            FROM mailer_delivery d
            JOIN freeze_earlier e ON e.cohort_id = d.cohort_id
            WHERE d.subscriber_id > %s AND d.subscriber_id <= %s AND d.state IN ({received})
            GROUP BY d.subscriber_id
        ), choice AS MATERIALIZED (
            SELECT reader.*, COALESCE(has.list, 0) AS had, (
                SELECT bit_or(CASE WHEN {is_news} THEN i.bit END)
                FROM subscribers_subscriptiontopic f
                JOIN freeze_item i ON i.topic_id = f.topic_id AND i.published_at >= f.since
                WHERE f.subscription_id = reader.subscription_id
            ) AS wanted
            FROM reader LEFT JOIN has ON has.subscriber_id = reader.subscriber_id
        ), remaining AS (
            SELECT choice.*, COALESCE(wanted, 0) & ~had AS list FROM choice
        )
        SELECT subscriber_id, wants_text AS is_text, zone, hour,
            {_first(CATCH_UP_ARTICLES) if catches_up else "list"} AS list,
            CASE
                WHEN EXISTS (
                    SELECT 1 FROM subscribers_suppression x
                    WHERE x.address_hash = remaining.address_hash
                ) THEN '{SUPPRESSED}'
                WHEN is_away THEN '{PAUSED}'
                WHEN COALESCE(wanted, 0) = 0 THEN '{NO_ARTICLES}'
                WHEN list = 0 THEN '{NOTHING_NEW}'
                ELSE ''
            END AS reason
        FROM remaining
    """  # noqa: S608  # constants of ours
    span = [edition.cursor, upto]
    dialect.execute("DROP TABLE IF EXISTS freeze_page")
    dialect.execute(sql, [edition.pk, *span, *span, *span])
    analyze("freeze_page")


# Who may get the edition. `bound`: when they last came back from a pause. Articles of before are
# no news to them (`_SINCE_THE_RETURN`); the best of those is what a catch-up is for.
_READER = """
    SELECT s.id AS subscription_id, s.subscriber_id, r.address_hash, r.wants_text,
        CASE WHEN r.hour IS NULL THEN '' ELSE r.zone END AS zone, COALESCE(r.hour, -1) AS hour,
        COALESCE(r.paused_from <= e.due_at AND r.paused_until > e.due_at, false) AS is_away,
        {bound} AS bound
    FROM mailer_edition e {readers}
    JOIN subscribers_subscriber r ON r.id = s.subscriber_id AND r.state = 'active'
    WHERE e.id = %s AND s.subscriber_id > %s AND s.subscriber_id <= %s
        AND r.id > %s AND r.id <= %s  -- or PostgreSQL reads all readers for each page
        AND s.newsletter_id = e.newsletter_id
        AND s.ended_at IS NULL AND s.confirmed_at IS NOT NULL
"""
_REGULAR = _READER.format(
    bound="CASE WHEN r.paused_until <= e.due_at THEN r.paused_until END",
    readers="JOIN subscribers_subscription s ON s.newsletter_id = e.newsletter_id",
)
_CATCHING_UP = _READER.format(
    bound="c.paused_until",
    readers="JOIN mailer_catchup c ON c.edition_id = e.id "
    "JOIN subscribers_subscription s ON s.subscriber_id = c.subscriber_id",
)
_SINCE_THE_RETURN = "(reader.bound IS NULL OR i.published_at >= reader.bound)"
_BEFORE_THE_RETURN = "i.published_at < reader.bound"


def _first(number: int) -> str:
    """SQL for the `number` lowest bits of `list`: the articles of the best ranks."""
    rest = "list"
    for _ in range(number):
        rest = f"({rest} & ({rest} - 1))"  # the same without its lowest bit
    return f"list & ~{rest}"


class Waves:
    """The moments at which an edition is released, found as its pages name hours and zones.

    Readers choose among 24 hours in some hundred zones, whose clocks differ by quarters of an
    hour: an edition has at most about a hundred waves, whatever the number of readers.
    """

    def __init__(self, edition: Edition) -> None:
        self._edition = edition
        self._known: set[tuple[str, int]] = set()

    def release_page(self) -> None:
        """Give each zone and hour of the page a wave; equal instants are one."""
        pairs = dialect.fetch("SELECT DISTINCT zone, hour FROM freeze_page WHERE reason = ''")
        new = [(zone, hour) for zone, hour in pairs if (zone, hour) not in self._known]
        if not new:
            return
        instants = [self._release_at(zone, hour) for zone, hour in new]
        Wave.objects.bulk_create(
            [Wave(edition=self._edition, release_at=at) for at in sorted(set(instants))],
            ignore_conflicts=True,
        )
        numbers = dict(self._edition.waves.values_list("release_at", "pk"))
        rows = [(*pair, numbers[at]) for pair, at in zip(new, instants, strict=True)]
        _insert_hours(rows)
        self._known.update(new)

    def _release_at(self, zone: str, hour: int) -> datetime:
        """When a reader who chose this hour gets it: on the first clock that shows it once due.

        What goes out at once waits for no hour.
        """
        edition, newsletter = self._edition, self._edition.newsletter
        if (zone, hour) == NO_HOUR or newsletter.cadence == Cadence.AT_ONCE:
            return edition.due_at
        clock = schedule.zone_of(zone, newsletter.zone)
        return schedule.at_wall_time(time(hour), clock, after=edition.due_at)


def _insert_hours(rows: Sequence[tuple[str, int, int]]) -> None:
    columns = dialect.table(zone="text", hour="int", wave_id="bigint")
    dialect.execute(
        f"INSERT INTO freeze_hour SELECT zone, hour, wave_id FROM {columns}",  # noqa: S608
        dialect.table_params(rows),
    )


def divide_page(size: int) -> None:
    """Put the page's readers into batches of at most `size`, each of one wave.

    A batch is named by its first reader, so that the same page always gives the same batches.
    """
    dialect.execute("DROP TABLE IF EXISTS freeze_place")
    dialect.execute(
        f"""
        CREATE TEMPORARY TABLE freeze_place AS
        SELECT subscriber_id, list, is_text, wave_id,
            MIN(subscriber_id) OVER (PARTITION BY wave_id, number) AS first
        FROM (
            SELECT p.subscriber_id, p.list, p.is_text, h.wave_id,
                (ROW_NUMBER() OVER (PARTITION BY h.wave_id ORDER BY p.subscriber_id) - 1) / {size}
                    AS number
            FROM freeze_page p JOIN freeze_hour h ON h.zone = p.zone AND h.hour = p.hour
            WHERE p.reason = ''
        ) AS numbered
        """  # noqa: S608  # a number of ours
    )
    analyze("freeze_place")


def note_written(edition: Edition) -> None:
    """The batches of the page and the edition's cohorts, in small tables with statistics.

    Of an edition that is being written PostgreSQL knows nothing yet: it takes its ten thousand
    cohorts for one, and compares each reader with all of them (minutes for a page).
    """
    for table in WRITTEN:
        dialect.execute(f"DROP TABLE IF EXISTS {table}")
    dialect.execute(
        """
        CREATE TEMPORARY TABLE freeze_batch AS
        SELECT id, first FROM mailer_batch
        WHERE edition_id = %s AND first IN (SELECT first FROM freeze_place)
        """,
        [edition.pk],
    )
    dialect.execute(
        """
        CREATE TEMPORARY TABLE freeze_cohort AS
        SELECT id, list, is_text FROM mailer_cohort WHERE edition_id = %s AND language = %s
        """,
        [edition.pk, edition.newsletter.language],
    )
    analyze(*WRITTEN)
