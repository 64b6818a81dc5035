"""A made-up audience for measuring the freeze: choices as readers make them, and a history.

Three earlier editions went to them, one of another newsletter, some of it in vain; two articles
were corrected since. So a fourth edition has to look at all that a real one looks at.
"""

from collections.abc import Sequence
from datetime import timedelta

from django.utils import timezone

from iria_news.articles import correcting, writing
from iria_news.articles.models import Article, ArticleState, Topic
from mailer import approving, bench, cohorts, dialect, editions, opening
from mailer.models import Edition, EditionState
from subscribers.models import Cadence, Newsletter

# How many of a hundred readers follow each topic.
FOLLOWED = {
    "Asia-Pacific": 46, "Europe": 44, "Security": 41, "Middle East": 33, "US": 31, "Economy": 24,
    "Technology": 22, "Africa": 15, "Climate": 14, "Space": 9, "Law": 7, "Arctic": 5,
}  # fmt: skip
# Odd, far apart and without a common pattern: each topic throws dice of its own.
FACTORS = (
    2654435761, 2246822519, 3266489917, 668265263, 374761393, 1664525, 22695477, 1103515245,
    2891336453, 1597334677, 3812015801, 958689277,
)  # fmt: skip
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Tokyo", "Asia/Kolkata", "Australia/Sydney")
NEW_ARTICLES = 12  # in each edition
LOST_EACH = 200  # readers, of whom one did not get an earlier edition
TEXT_EACH = 33  # readers, of whom one wants text only
HOUR_EACH = 4  # readers, of whom one chose an hour


def prepare(readers: int) -> Edition:
    """Make readers with a history and an approved edition for them. Raises bench.NotEmpty."""
    bench.refuse_people()
    topics = [
        Topic.objects.create(name=name, slug=f"bench-{place}", position=place)
        for place, name in enumerate(FOLLOWED)
    ]
    daily, weekly = _newsletter("Bench Daily"), _newsletter("Bench Weekly")
    with bench.unchecked_references():
        bench.make_readers(readers)
        _choose_forms()
        for newsletter in (daily, weekly):
            bench.subscribe(newsletter)
        _leave(weekly)
        _follow(topics)
    dialect.execute("ANALYZE")
    for number, newsletter in enumerate((daily, weekly, daily)):
        edition = _approved(newsletter, topics, number)
        freeze(edition)
        _send(edition)
    for article in Article.objects.order_by("pk")[:2]:
        correcting.correct(article, "The pier is 600 metres long, not 900.")
    dialect.execute("ANALYZE")
    return _approved(daily, topics, 3)


def freeze(edition: Edition) -> None:
    """Freeze it now. Raises AssertionError if it is not free to."""
    assert editions.begin_freezing(edition), edition.state
    assert cohorts.freeze(edition.pk)


def _newsletter(name: str) -> Newsletter:
    away = (timezone.now() + timedelta(hours=12)).time().replace(microsecond=0)
    return Newsletter.objects.create(
        name=name,
        slug=name.lower().replace(" ", "-"),
        description="For measuring.",
        cadence=Cadence.DAILY,
        wall_time=away,
        max_articles=40,
    )


def _choose_forms() -> None:
    zones = " ".join(f"WHEN {place} THEN '{zone}'" for place, zone in enumerate(ZONES))
    dialect.execute(
        f"UPDATE subscribers_subscriber SET wants_text = true WHERE id %% {TEXT_EACH} = 0"  # noqa: S608
    )
    dialect.execute(
        f"""
        UPDATE subscribers_subscriber
        SET hour = 6 + id %% 3, zone = CASE id / 16 %% {len(ZONES)} {zones} END
        WHERE id %% {HOUR_EACH} = 0
        """  # noqa: S608  # constants of ours
    )


def _leave(newsletter: Newsletter) -> None:
    """Four of ten readers have the second newsletter, too."""
    dialect.execute(
        """
        DELETE FROM subscribers_subscription
        WHERE newsletter_id = %s AND subscriber_id / 7 %% 10 >= 4
        """,
        [newsletter.pk],
    )


def _follow(topics: Sequence[Topic]) -> None:
    """Each reader follows each topic with its chance, and at least one; 4096 choices in all."""
    dice = [
        (topic.pk, FACTORS[place], FOLLOWED[topic.name], place)
        for place, topic in enumerate(topics)
    ]
    columns = dialect.table(topic_id="bigint", factor="bigint", chance="int", place="int")
    dialect.execute(
        f"""
        INSERT INTO subscribers_subscriptiontopic (subscription_id, topic_id, since)
        SELECT s.id, w.topic_id, s.created_at
        FROM subscribers_subscription s
        JOIN {columns} ON (((s.subscriber_id * w.factor) & 4294967295) * 100) >> 32 < w.chance
            OR s.subscriber_id %% {len(topics)} = w.place
        ORDER BY s.id  -- a reader's topics stand together, as they were chosen
        """,  # noqa: S608  # constants of ours
        dialect.table_params(dice),
    )


def _approved(newsletter: Newsletter, topics: Sequence[Topic], number: int) -> Edition:
    _publish(topics, number)
    edition = opening.open_edition(newsletter, slot=timezone.now(), hold=True)
    assert edition is not None
    approving.approve(edition, content_hash=edition.content_hash, by=None)
    edition.refresh_from_db()
    assert edition.state == EditionState.APPROVED, edition.reason
    return edition


def _publish(topics: Sequence[Topic], number: int) -> None:
    """New articles, each on two topics of its own, so that choices lead to many lists."""
    for place in range(NEW_ARTICLES):
        article = Article(
            title=f"Article {place} of edition {number} with a headline of ordinary length",
            slug=f"bench-{number}-{place}",
            standfirst=bench.SENTENCE * 2,
            body=f"<p>{bench.SENTENCE * 40}</p>",
            byline="Bench desk",
            state=ArticleState.PUBLISHED,
            published_at=timezone.now() - timedelta(minutes=1),
        )
        writing.prepare(article)
        article.save()
        first = (NEW_ARTICLES * number + place) % len(topics)
        article.topics.set([topics[first], topics[(first + 3 + place) % len(topics)]])


def _send(edition: Edition) -> None:
    """What sending leaves behind: nearly all of it arrived."""
    dialect.execute(
        f"""
        UPDATE mailer_delivery SET state = 'failed'
        WHERE edition_id = %s AND subscriber_id %% {LOST_EACH} = %s
        """,  # noqa: S608  # a number of ours
        [edition.pk, edition.pk % LOST_EACH],
    )
    Edition.objects.filter(pk=edition.pk).update(state=EditionState.DONE)
