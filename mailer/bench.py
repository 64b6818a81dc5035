"""Made-up recipients and articles for measuring. Refuses a database that holds real people."""

from datetime import timedelta

from django.db import connection, transaction
from django.utils import timezone

from iria_news.articles import writing
from iria_news.articles.models import Article, ArticleState, Topic
from mailer import dialect, editions, rendering
from mailer.models import Cohort, Edition
from subscribers.models import Cadence, Newsletter, Subscriber

DOMAIN = "bench.invalid"  # RFC 2606: no mail can ever reach it
SENTENCE = "A sentence of ordinary length that stands for what an editor would have written. "
STANDFIRST = 600  # characters: the longest that the admin takes


class NotEmpty(Exception):
    """The database holds people who did not come from here."""


def prepare(recipients: int, size: int) -> Edition:
    """Make readers and articles and open an edition whose message has about `size` bytes.

    Raises NotEmpty for a database with other subscribers.
    """
    if Subscriber.objects.exclude(address__endswith=f"@{DOMAIN}").exists():
        raise NotEmpty(
            "This database holds subscribers who are not made up. Give a DATABASE_URL or DATA_DIR "
            "of its own."
        )
    topic, _ = Topic.objects.get_or_create(slug="bench", defaults={"name": "Bench"})
    newsletter, _ = Newsletter.objects.get_or_create(
        slug="bench",
        defaults={
            "name": "Bench Daily",
            "description": "For measuring.",
            "cadence": Cadence.DAILY,
            "wall_time": "06:00",
            "max_articles": 62,
        },
    )
    _make_readers(newsletter, topic, recipients)
    _make_article(topic)
    edition = editions.open_edition(newsletter, slot=timezone.now(), hold=True)
    assert edition is not None
    while _rendered_bytes(edition) < size and edition.items.count() < newsletter.max_articles:
        _make_article(topic)
        editions.compose(edition)
    edition.refresh_from_db()
    editions.approve(edition, content_hash=edition.content_hash, by=None)
    return edition


def message_bytes(edition: Edition) -> int:
    """Length of the compiled message of the edition's largest cohort, without the slots' values."""
    messages_of = edition.cohorts.filter(message__isnull=False).values_list("message", flat=True)
    return max(len(message) for message in messages_of if message is not None)


def _rendered_bytes(edition: Edition) -> int:
    every_article = sum(edition.items.values_list("bit", flat=True))
    compiled, _ = rendering.render(Cohort(edition=edition, list=every_article, language="en"))
    return len(compiled.to_bytes())


def _make_article(topic: Topic) -> None:
    number = Article.objects.count() + 1
    article = Article(
        title=f"Article number {number} with a headline of ordinary length",
        slug=f"bench-{timezone.now():%Y%m%d%H%M%S%f}-{number}",
        standfirst=(SENTENCE * 8)[:STANDFIRST],
        body=f"<p>{SENTENCE * 40}</p>",
        byline="Bench desk",
        state=ArticleState.PUBLISHED,
        published_at=timezone.now() - timedelta(minutes=1),
    )
    writing.prepare(article)
    article.save()
    article.topics.set([topic])


def _make_readers(newsletter: Newsletter, topic: Topic, count: int) -> None:
    """Readers 1 to `count`, by SQL: a million rows of Python would measure Python."""
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s)"
    month_ago = timezone.now() - timedelta(days=30)
    with transaction.atomic():
        dialect.execute(
            f"""{numbers}
            INSERT INTO subscribers_subscriber (address, address_key, address_hash, name, language,
                state, created_at, confirmed_at)
            SELECT 'reader' || i || '@{DOMAIN}', 'reader' || i || '@{DOMAIN}', 'bench' || i, '',
                'en', 'active', %s, %s
            FROM n WHERE true ON CONFLICT DO NOTHING
            """,  # noqa: S608  # constants of ours
            [count, month_ago, month_ago],
        )
        dialect.execute(
            """
            INSERT INTO subscribers_subscription (subscriber_id, newsletter_id, created_at,
                confirmed_at, ended_by)
            SELECT id, %s, %s, %s, '' FROM subscribers_subscriber WHERE true
            ON CONFLICT DO NOTHING
            """,
            [newsletter.pk, month_ago, month_ago],
        )
        dialect.execute(
            """
            INSERT INTO subscribers_subscriptiontopic (subscription_id, topic_id, since)
            SELECT id, %s, %s FROM subscribers_subscription WHERE newsletter_id = %s
            ON CONFLICT DO NOTHING
            """,
            [topic.pk, month_ago, newsletter.pk],
        )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
