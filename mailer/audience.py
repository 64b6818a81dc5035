"""Step 3a, one page of the audience: who gets which articles, in which form, at which moment.

A page is a range of subscribers and becomes two temporary tables, `freeze_page` and
`freeze_place`, in a fixed number of statements. `cohorts` puts them into transactions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time

from django.conf import settings

from mailer import dialect, history, schedule, spreading
from mailer.dialect import analyze
from mailer.models import Edition, EditionKind, Wave
from subscribers.models import Cadence

__all__ = ["analyze"]  # for whoever else counts over temporary tables

CATCH_UP_ARTICLES = 5  # what a reader back from a pause gets at most

# Why a candidate gets no delivery.
SUPPRESSED = "suppressed"
PAUSED = "paused"  # until after the edition is due
NO_ARTICLES = "no_articles"  # nothing of the edition is in their topics since they follow them
NOTHING_NEW = "nothing_new"  # they have had it all, through this newsletter or another
DAILY_CAP = "daily_cap"  # they have had as many mails as a day may bring

TEMPORARY = (
    *("freeze_item", "freeze_hour", "freeze_cohort"),  # of the freeze
    *("freeze_page", "freeze_place", "freeze_group", "freeze_batch"),  # of a page
)
COHORTS = """
    SELECT id, list, corrections, is_text FROM mailer_cohort
    WHERE edition_id = %s AND language = %s
"""
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
    history.prepare(edition)
    dialect.execute(
        "CREATE TEMPORARY TABLE freeze_hour "
        "(zone varchar(40), hour integer, slice integer, wave_id bigint)"
    )
    dialect.execute(
        f"CREATE TEMPORARY TABLE freeze_cohort AS {COHORTS}",  # of a freeze that was interrupted
        [edition.pk, edition.newsletter.language],
    )
    dialect.execute("CREATE INDEX freeze_cohort_body ON freeze_cohort (list, corrections, is_text)")
    analyze("freeze_item")


def drop() -> None:
    for table in (*TEMPORARY, *history.TEMPORARY):
        dialect.execute(f"DROP TABLE IF EXISTS {table}")


def end_of_page(edition: Edition, *, size: int) -> int | None:
    """The last subscriber of the next page; None when there is nobody left."""
    readers, of = "subscribers_subscription WHERE newsletter_id = %s", edition.newsletter_id
    if edition.kind == EditionKind.CATCH_UP:
        readers, of = "mailer_catchup WHERE edition_id = %s", edition.pk
    else:
        readers += " AND ended_at IS NULL"
    sql = f"""
        SELECT MAX(subscriber_id) FROM (
            SELECT subscriber_id FROM {readers} AND subscriber_id > %s
            ORDER BY subscriber_id LIMIT %s
        ) AS page
    """  # noqa: S608  # fragments of ours
    [(upto,)] = dialect.fetch(sql, [of, edition.cursor, size])
    return None if upto is None else int(upto)


def choose(edition: Edition, upto: int) -> None:
    """Each candidate of the range with what they get, or the reason for nothing.

    What a reader wants is asked for each of them: as a join, PostgreSQL would rather read the
    topics of all readers there are, once for each page.
    """
    kind = _KINDS[EditionKind(edition.kind)]
    wanted = kind.wanted.format(known=_known_at_once())
    capped = history.has_cap(edition)
    sql = f"""
        CREATE TEMPORARY TABLE freeze_page AS
        WITH reader AS (
            {kind.readers}
        ), has AS (
            {history.HAS}
        ), capped AS (
            {history.CAPPED if capped else _NOBODY}
        ), choice AS MATERIALIZED (
            SELECT reader.*, COALESCE(has.list, 0) AS had,
                COALESCE(has.corrections, 0) AS corrections, {wanted} AS wanted
            FROM reader LEFT JOIN has ON has.subscriber_id = reader.subscriber_id
            WHERE {kind.are_candidates}
        ), remaining AS (
            SELECT choice.*, COALESCE(wanted, 0) & ~had AS list FROM choice
        )
        SELECT subscriber_id, wants_text AS is_text, zone, hour,
            {spreading.slice_of("subscriber_id", edition)} AS slice,
            {kind.list} AS list, corrections,
            CASE
                WHEN EXISTS (
                    SELECT 1 FROM subscribers_suppression x
                    WHERE x.address_hash = remaining.address_hash
                ) THEN '{SUPPRESSED}'
                WHEN is_away THEN '{PAUSED}'
                {kind.no_list}
                WHEN subscriber_id IN (SELECT subscriber_id FROM capped) THEN '{DAILY_CAP}'
                ELSE ''
            END AS reason
        FROM remaining
    """  # noqa: S608  # constants of ours
    span = [edition.cursor, upto]
    cap = [*span, settings.MAILS_PER_READER_AND_DAY] if capped else []
    dialect.execute("DROP TABLE IF EXISTS freeze_page")
    dialect.execute(sql, [edition.pk, *span, *span, *span, *cap])


def _known_at_once() -> str:
    """SQL for what a follower of a topic wants who has followed it all the time: one number each.

    Written out, as it is asked for four times for each reader: a join costs ten times as much.
    """
    rows = dialect.fetch("SELECT topic_id, bit_or(bit) FROM freeze_item GROUP BY topic_id")
    cases = " ".join(f"WHEN {topic} THEN {bits}" for topic, bits in sorted(rows))
    return f"CASE f.topic_id {cases} END" if cases else "0"


_NOBODY = "SELECT 0 AS subscriber_id WHERE false"


@dataclass(frozen=True)
class _Kind:
    """What differs between the kinds of editions, in SQL."""

    readers: str  # who may get it
    wanted: str  # the articles that a reader asked for
    list: str  # the articles that they get
    no_list: str  # why they get none, if that keeps the mail away
    are_candidates: str = "true"


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
_FOLLOWING = _READER.format(
    bound="CASE WHEN r.paused_until <= e.due_at THEN r.paused_until END",
    readers="JOIN subscribers_subscription s ON s.newsletter_id = e.newsletter_id",
)
_CATCHING_UP = _READER.format(
    bound="c.paused_until",
    readers="JOIN mailer_catchup c ON c.edition_id = e.id "
    "JOIN subscribers_subscription s ON s.subscriber_id = c.subscriber_id",
)
_WANTED = """(
    SELECT bit_or(CASE WHEN {all} THEN {{known}} ELSE (
        SELECT bit_or(i.bit) FROM freeze_item i
        WHERE i.topic_id = f.topic_id AND i.published_at >= f.since AND {is_news}
    ) END)
    FROM subscribers_subscriptiontopic f
    WHERE f.subscription_id = reader.subscription_id
)"""
_SINCE_THE_RETURN = _WANTED.format(
    all="reader.bound IS NULL AND f.since <= (SELECT MIN(published_at) FROM freeze_item)",
    is_news="(reader.bound IS NULL OR i.published_at >= reader.bound)",
)
_BEFORE_THE_RETURN = _WANTED.format(all="false", is_news="i.published_at < reader.bound")
_NO_LIST = f"""
    WHEN COALESCE(wanted, 0) = 0 THEN '{NO_ARTICLES}'
    WHEN list = 0 THEN '{NOTHING_NEW}'
"""


def _first(number: int) -> str:
    """SQL for the `number` lowest bits of `list`: the articles of the best ranks."""
    rest = "list"
    for _ in range(number):
        rest = f"({rest} & ({rest} - 1))"  # the same without its lowest bit
    return f"list & ~{rest}"


_KINDS = {
    EditionKind.REGULAR: _Kind(_FOLLOWING, _SINCE_THE_RETURN, "list", _NO_LIST),
    EditionKind.CATCH_UP: _Kind(
        _CATCHING_UP, _BEFORE_THE_RETURN, _first(CATCH_UP_ARTICLES), _NO_LIST
    ),
    # Exactly those who do not know yet; it carries no article.
    EditionKind.CORRECTION: _Kind(_FOLLOWING, "0", "0", "", are_candidates="has.corrections <> 0"),
}


class Waves:
    """The moments at which an edition is released, found as its pages name hours and zones.

    Readers choose among 24 hours in some hundred zones, whose clocks differ by quarters of an
    hour: an edition has at most about a hundred moments, whatever the number of readers, and each
    may be spread over slices.
    """

    def __init__(self, edition: Edition) -> None:
        self._edition = edition
        self._known: set[tuple[str, int, int]] = set()

    def release_page(self) -> None:
        """Give each zone, hour and slice of the page a wave; equal instants are one."""
        found = dialect.fetch(
            "SELECT DISTINCT zone, hour, slice FROM freeze_page WHERE reason = ''"
        )
        new = [place for place in found if place not in self._known]
        if not new:
            return
        instants = [self.release_at(*place) for place in new]
        Wave.objects.bulk_create(
            [Wave(edition=self._edition, release_at=at) for at in sorted(set(instants))],
            ignore_conflicts=True,
        )
        numbers = dict(self._edition.waves.values_list("release_at", "pk"))
        rows = [(*place, numbers[at]) for place, at in zip(new, instants, strict=True)]
        _insert_hours(rows)
        self._known.update(new)

    def release_at(self, zone: str, hour: int, number: int) -> datetime:
        """When a reader who chose this hour gets it: on the first clock that shows it once due.

        What is urgent or goes out at once waits for no hour. A slice leaves its share of the span
        later.
        """
        edition, newsletter = self._edition, self._edition.newsletter
        delay = spreading.delay(edition, number)
        at_once = edition.is_urgent or newsletter.cadence == Cadence.AT_ONCE
        if at_once or (zone, hour) == NO_HOUR:
            return edition.due_at + delay
        clock = schedule.zone_of(zone, newsletter.zone)
        return schedule.at_wall_time(time(hour), clock, after=edition.due_at) + delay


def _insert_hours(rows: Sequence[tuple[str, int, int, int]]) -> None:
    columns = dialect.table(zone="text", hour="int", slice="int", wave_id="bigint")
    dialect.execute(
        f"INSERT INTO freeze_hour SELECT zone, hour, slice, wave_id FROM {columns}",  # noqa: S608
        dialect.table_params(rows),
    )


def divide_page(size: int) -> None:
    """Put the page's readers into batches of at most `size`, each of one wave, and number them.

    By the numbers of readers, so that the same page always gives the same batches.
    """
    dialect.execute("DROP TABLE IF EXISTS freeze_place")
    dialect.execute(
        f"""
        CREATE TEMPORARY TABLE freeze_place AS
        SELECT p.subscriber_id, p.list, p.corrections, p.is_text, h.wave_id,
            (ROW_NUMBER() OVER (PARTITION BY h.wave_id ORDER BY p.subscriber_id) - 1) / {size}
                AS number
        FROM freeze_page p
        JOIN freeze_hour h ON h.zone = p.zone AND h.hour = p.hour AND h.slice = p.slice
        WHERE p.reason = ''
        """  # noqa: S608  # a number of ours
    )
