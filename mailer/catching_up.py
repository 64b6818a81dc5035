"""Step 2b, catching up: one mail with the best of a pause for readers who are back from it.

Each of them once, through the one digest of theirs that comes most often, at its time of day. It
is an edition of its own kind; everything after this step is what happens to any edition
(docs/decisions/0006).
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Min, Q
from django.utils import timezone

from iria_news.articles.models import Article
from mailer import approving, audience, composing, dialect, editions, schedule, wording
from mailer.models import Edition, EditionArticle, EditionKind, EditionState
from subscribers.models import Approval, Newsletter

log = logging.getLogger(__name__)

WITHIN = timedelta(days=7)  # later a catch-up would itself be old news
MOST_ARTICLES = 62  # bits of a list
# Days are counted on the clocks of readers, which may show another one than the newsletter's.
MARGIN = timedelta(days=1)
BEHIND = -1  # priority: what is new leaves first
A_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True)
class _Group:
    """Readers who are back, as far as the database tells them apart for us."""

    newsletter_id: int
    zone: str
    from_hour: str  # as stored: year to hour, in UTC
    until_minute: str  # year to minute
    until: datetime  # the latest of them


# Readers whose pause has ended and was not caught up with, each with their newsletter. The two
# texts are beginnings of instants, which both databases write alike.
_CHOSEN = """
    WITH back AS (
        SELECT r.id, r.zone, r.paused_until,
            substr(CAST(r.paused_from AS text), 1, 13) AS from_hour,
            substr(CAST(r.paused_until AS text), 1, 16) AS until_minute
        FROM subscribers_subscriber r
        WHERE r.paused_until > %s AND r.paused_until <= %s
            AND r.state = 'active' AND r.wants_catch_up AND NOT EXISTS (
                SELECT 1 FROM mailer_catchup c
                WHERE c.subscriber_id = r.id AND c.paused_until = r.paused_until
            )
    ), choice AS (
        SELECT back.*, n.id AS newsletter_id, ROW_NUMBER() OVER (
            PARTITION BY back.id ORDER BY
                CASE n.cadence WHEN 'daily' THEN 1 WHEN 'weekdays' THEN 2 WHEN 'days' THEN 3
                    WHEN 'weekly' THEN 4 ELSE 5 END, n.id
        ) AS place
        FROM back
        JOIN subscribers_subscription s ON s.subscriber_id = back.id
            AND s.ended_at IS NULL AND s.confirmed_at IS NOT NULL
        JOIN subscribers_newsletter n ON n.id = s.newsletter_id
            AND n.is_active AND n.look = 'digest' AND n.cadence <> 'at_once'
    ), chosen AS (
        SELECT * FROM choice WHERE place = 1
    )
"""


def open_due(*, now: datetime) -> list[Edition]:
    """Open the catch-ups that are due: for each newsletter once a day, at its wall time.

    Safe to call at any time by any number of ticks: a pause is caught up with once.
    """
    opened = []
    groups = _groups(now)
    for newsletter in Newsletter.objects.filter(pk__in=groups.keys()).order_by("pk"):
        try:
            opened += _open_due(newsletter, groups[newsletter.pk], now)
        except Exception:  # as for other editions: one newsletter must not stop the rest
            log.exception("no catch-up of newsletter %s can be opened", newsletter.pk)
    return opened


def _groups(now: datetime) -> dict[int, list[_Group]]:
    rows = dialect.fetch(
        f"""
        {_CHOSEN}
        SELECT newsletter_id, zone, from_hour, until_minute, MAX(paused_until) FROM chosen
        GROUP BY newsletter_id, zone, from_hour, until_minute
        """,  # noqa: S608  # constants of ours
        [dialect.stored(now - WITHIN), dialect.stored(now)],
    )
    found = defaultdict(list)
    for newsletter, zone, from_hour, until_minute, until in rows:
        group = _Group(newsletter, zone, from_hour, until_minute, dialect.instant(until))
        found[newsletter].append(group)
    return found


def _open_due(newsletter: Newsletter, groups: Sequence[_Group], now: datetime) -> list[Edition]:
    assert newsletter.wall_time is not None  # it has a cadence, says the query
    zone = schedule.zone_of(newsletter.zone)
    slot = schedule.latest_wall_time(newsletter.wall_time, zone, upto=now)
    by_days = defaultdict(list)
    for group in groups:
        if group.until <= slot:
            by_days[_days(group, newsletter)].append(group)
    found = [_open(newsletter, slot, days, by_days[days], now) for days in sorted(by_days)]
    return [edition for edition in found if edition is not None]


def _days(group: _Group, newsletter: Newsletter) -> tuple[date, date]:
    """The first and the last day of the pause, on the clock of these readers."""
    zone = schedule.zone_of(group.zone, newsletter.zone)
    began = datetime.fromisoformat(f"{group.from_hour}:00").replace(tzinfo=UTC).astimezone(zone)
    ended = (group.until - A_MOMENT).astimezone(zone)
    return min(began.date(), ended.date()), ended.date()


def _open(
    newsletter: Newsletter,
    slot: datetime,
    days: tuple[date, date],
    groups: Sequence[_Group],
    now: datetime,
) -> Edition | None:
    first, last = days
    subject = wording.while_away(first, last, newsletter.language)
    try:
        with transaction.atomic():
            edition = Edition.objects.create(
                kind=EditionKind.CATCH_UP,
                newsletter=newsletter,
                slot=slot,
                away_from=first,
                away_to=last,
                slug=f"{newsletter.slug}-away-{first:%Y%m%d}-{last:%Y%m%d}-{slot:%Y%m%d}",
                subject=subject,
                due_at=slot,
                expires_at=slot + editions.EXPIRES_AFTER,
                priority=BEHIND,
            )
            composing.write_items(edition, best_of(newsletter, first, last))
            _take_in(edition, groups, now)
            _release(edition)
    except IntegrityError:  # another tick was faster; who came back meanwhile has the next slot
        return None
    edition.refresh_from_db()
    return edition


def _take_in(edition: Edition, groups: Sequence[_Group], now: datetime) -> None:
    columns = dialect.table(zone="text", from_hour="text", until_minute="text")
    dialect.execute(
        f"""
        {_CHOSEN}
        INSERT INTO mailer_catchup (subscriber_id, paused_until, edition_id)
        SELECT chosen.id, chosen.paused_until, %s FROM chosen
        JOIN {columns} ON w.zone = chosen.zone AND w.from_hour = chosen.from_hour
            AND w.until_minute = chosen.until_minute
        WHERE chosen.newsletter_id = %s AND chosen.paused_until <= %s
        ON CONFLICT DO NOTHING
        """,  # noqa: S608  # constants of ours
        [
            *[dialect.stored(now - WITHIN), dialect.stored(now)],
            edition.pk,
            *dialect.table_params([(g.zone, g.from_hour, g.until_minute) for g in groups]),
            edition.newsletter_id,
            dialect.stored(edition.slot),
        ],
    )


def _release(edition: Edition) -> None:
    """No person needs to approve it: it carries what was published, or approved, before."""
    if edition.items.exists():
        approving.approve(edition, content_hash=edition.content_hash, by=None)
        return
    Edition.objects.filter(pk=edition.pk).update(
        state=EditionState.SKIPPED,
        reason="Nothing was published in these days.",
        finished_at=timezone.now(),
    )


def best_of(newsletter: Newsletter, first: date, last: date) -> list[Article]:
    """What the newsletter had to say in these days, the most important articles first.

    Important is what stood high in an edition; then what is new. Where a person approves, only
    what they approved. Of each topic its five best are in, as far as 62 places go.
    """
    zone = schedule.zone_of(newsletter.zone)
    since = schedule.wall_to_utc(first, time(), zone) - MARGIN
    until = schedule.wall_to_utc(last, time(), zone) + 2 * MARGIN  # the last day is in
    ranks = _ranks(newsletter, since, until)
    wanted = Q(pk__in=ranks.keys())
    if newsletter.approval == Approval.AUTOMATIC:
        wanted |= Q(published_at__gte=since, published_at__lt=until)
    articles = composing.carried(newsletter).filter(wanted).newest_first()
    ordered = sorted(  # stable: the newest stay before the others of their rank
        articles.prefetch_related("topics"),
        key=lambda article: ranks.get(article.pk, 1 << MOST_ARTICLES),
    )
    return _five_of_each_topic(ordered)


def _ranks(newsletter: Newsletter, since: datetime, until: datetime) -> dict[int, int]:
    """The best place that each article had in an edition that went out, as its bit there."""
    gone_out = EditionArticle.objects.filter(
        edition__in=newsletter.editions.regular().gone_out(),
        edition__slot__gte=since,
        edition__slot__lt=until,
    )
    return dict(gone_out.order_by().values_list("article").annotate(best=Min("bit")))


def _five_of_each_topic(ordered: Sequence[Article]) -> list[Article]:
    counts: Counter[int] = Counter()
    first: list[Article] = []
    others: list[Article] = []
    for article in ordered:
        topics = [topic.pk for topic in article.topics.all()]
        is_among_five = any(counts[pk] < audience.CATCH_UP_ARTICLES for pk in topics)
        (first if is_among_five else others).append(article)
        counts.update(topics)
    chosen = {article.pk for article in [*first, *others][:MOST_ARTICLES]}
    return [article for article in ordered if article.pk in chosen]
