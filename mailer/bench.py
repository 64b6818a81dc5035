"""Made-up recipients and articles for measuring. Refuses a database that holds real people."""

import contextlib
import itertools
import math
from collections.abc import Iterator, Sequence
from datetime import timedelta

from django.db import connection, transaction
from django.utils import timezone

from iria_news.articles import writing
from iria_news.articles.models import Article, ArticleState, Topic
from mailer import approving, composing, contents, dialect, messages, opening, rendering
from mailer.models import Cohort, Delivery, Edition
from subscribers.models import Cadence, Newsletter, Subscriber, Subscription

DOMAIN = "bench.invalid"  # RFC 2606: no mail can ever reach it
SENTENCE = "A sentence of ordinary length that stands for what an editor would have written. "
STANDFIRST = 600  # characters: the longest that the admin takes
LARGE_STANDFIRST_FROM = 10_000  # bytes of a message; below it, articles are short
GROWING = ("mailer_delivery", "mailer_deliveryevent", "mailer_batch", "mailer_cohort")
MOST_FOLLOWED = 4  # topics of one reader, which is enough for half a million different lists


class NotEmpty(Exception):
    """The database holds people who did not come from here."""


def prepare(recipients: int, size: int, *, cohorts: int = 1) -> Edition:
    """Make readers and articles and open an edition whose messages have about `size` bytes.

    The readers are spread evenly over `cohorts` choices of topics, so that as many different
    messages come out. Called again on its own database it takes up the readers that are there.
    Raises NotEmpty for a database with other subscribers, ValueError for more cohorts than
    an edition of 62 articles can have with a few topics each.
    """
    refuse_people()
    number, followed = choices(cohorts)
    topics = [
        Topic.objects.get_or_create(
            slug=f"bench-{place}", defaults={"name": f"Bench {place}", "position": place}
        )[0]
        for place in range(number)
    ]
    newsletter = _newsletter()
    with unchecked_references():
        make_readers(recipients)
        subscribe(newsletter)
        _follow(newsletter, topics, followed, cohorts)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return _open_edition(newsletter, topics, followed, size)


def refuse_people() -> None:
    """Raise NotEmpty if the database holds subscribers who are not made up."""
    if Subscriber.objects.exclude(address__endswith=f"@{DOMAIN}").exists():
        raise NotEmpty(
            "This database holds subscribers who are not made up. Give a DATABASE_URL or DATA_DIR "
            "of its own."
        )


def choices(cohorts: int) -> tuple[int, int]:
    """How many topics to have, and how many of them each reader follows, for so many lists."""
    for followed in range(1, MOST_FOLLOWED + 1):
        for number in range(followed, contents.MOST_ARTICLES + 1):
            if math.comb(number, followed) >= cohorts:
                return number, followed
    most = math.comb(contents.MOST_ARTICLES, MOST_FOLLOWED)
    raise ValueError(f"{cohorts} cohorts, and {most} are the most.")


def sample_message(edition: Edition) -> bytes:
    """The message of one recipient of the edition's largest cohort, byte for byte."""
    cohort = edition.cohorts.filter(message__isnull=False).order_by("-size", "pk").first()
    assert cohort is not None, "render the edition first"
    assert cohort.message is not None
    delivery = Delivery.objects.filter(edition=edition, cohort=cohort).first()
    assert delivery is not None
    place = Subscription.objects.select_related("subscriber").get(
        newsletter_id=edition.newsletter_id, subscriber_id=delivery.subscriber_id
    )
    name = edition.newsletter.name
    recipient = messages.Recipient(
        subscriber_id=place.subscriber_id,
        subscription_id=place.pk,
        address=place.subscriber.address,
        why=messages.why_sentence(name, place.created_at.date(), [], all_topics=True),
    )
    values = messages.values(recipient, edition_id=edition.pk, at=timezone.now())
    return messages.join(messages.Compiled.from_bytes(cohort.message), values)


def stored_bytes() -> dict[str, int]:
    """Bytes on disk, indexes included: of the whole database, and of what grows by delivery.

    An SQLite without the dbstat table knows the size of its file only.
    """
    if dialect.is_postgresql():
        [(whole,)] = dialect.fetch("SELECT pg_database_size(current_database())")
        of_table = "SELECT pg_total_relation_size(%s)"
    else:
        [(whole,)] = dialect.fetch(
            "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        )
        of_table = """
            SELECT COALESCE(SUM(pgsize), 0) FROM dbstat
            WHERE name IN (SELECT name FROM sqlite_master WHERE tbl_name = %s)
        """
        if ("ENABLE_DBSTAT_VTAB",) not in dialect.fetch("PRAGMA compile_options"):
            return {"database": int(whole)}
    sizes = {table: int(dialect.fetch(of_table, [table])[0][0]) for table in GROWING}
    return {"database": int(whole), **sizes}


def _newsletter() -> Newsletter:
    # Its next slot is half a day away: beat must not open an edition beside the measured one.
    away = (timezone.now() + timedelta(hours=12)).time().replace(microsecond=0)
    newsletter, _ = Newsletter.objects.get_or_create(
        slug="bench",
        defaults={
            "name": "Bench Daily",
            "description": "For measuring.",
            "cadence": Cadence.DAILY,
            "wall_time": away,
            "max_articles": contents.MOST_ARTICLES,
        },
    )
    return newsletter


def _open_edition(
    newsletter: Newsletter, topics: Sequence[Topic], followed: int, size: int
) -> Edition:
    """Give each topic an article, and another one, until a message is as large as asked for."""
    _make_articles(topics, size)
    edition = opening.open_edition(newsletter, slot=timezone.now(), hold=True)
    assert edition is not None
    one_choice = topics[:followed]
    while (
        _rendered_bytes(edition, one_choice) < size
        and edition.items.count() + len(topics) <= newsletter.max_articles
    ):
        _make_articles(topics, size)
        composing.compose(edition)
    edition.refresh_from_db()
    approving.approve(edition, content_hash=edition.content_hash, by=None)
    edition.refresh_from_db()
    return edition


def _rendered_bytes(edition: Edition, topics: Sequence[Topic]) -> int:
    items = edition.items.filter(article__topics__in=topics).distinct()
    cohort = Cohort(edition=edition, list=sum(items.values_list("bit", flat=True)), language="en")
    compiled, _ = rendering.render(cohort)
    return len(compiled.to_bytes())


def _make_articles(topics: Sequence[Topic], size: int) -> None:
    standfirst = (SENTENCE * 8)[:STANDFIRST] if size >= LARGE_STANDFIRST_FROM else SENTENCE
    for topic in topics:
        number = Article.objects.count() + 1
        article = Article(
            title=f"Article number {number} with a headline of ordinary length",
            slug=f"bench-{timezone.now():%Y%m%d%H%M%S%f}-{number}",
            standfirst=standfirst,
            body=f"<p>{SENTENCE * 40}</p>",
            byline="Bench desk",
            state=ArticleState.PUBLISHED,
            published_at=timezone.now() - timedelta(minutes=1),
        )
        writing.prepare(article)
        article.save()
        article.topics.set([topic])


@contextlib.contextmanager
def unchecked_references() -> Iterator[None]:
    """One transaction in which PostgreSQL looks up no foreign key, if it lets us say so.

    The rows are made from those they refer to. Checking five million of them, one by one, takes
    longer than writing them.
    """
    with transaction.atomic():
        if dialect.is_postgresql():
            may = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
            if dialect.fetch(may) == [(True,)]:
                dialect.execute("SET LOCAL session_replication_role = replica")
        yield


def make_readers(count: int) -> None:
    """Readers 1 to `count`, by SQL: a million rows of Python would measure Python."""
    month_ago = timezone.now() - timedelta(days=30)
    dialect.execute(
        f"""
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s)
        INSERT INTO subscribers_subscriber (address, address_key, address_hash, name, language,
            state, created_at, confirmed_at)
        SELECT 'reader' || i || '@{DOMAIN}', 'reader' || i || '@{DOMAIN}', 'bench' || i, '',
            'en', 'active', %s, %s
        FROM n WHERE true ON CONFLICT DO NOTHING
        """,  # noqa: S608  # constants of ours
        [count, month_ago, month_ago],
    )


def subscribe(newsletter: Newsletter) -> None:
    month_ago = timezone.now() - timedelta(days=30)
    dialect.execute(
        """
        INSERT INTO subscribers_subscription (subscriber_id, newsletter_id, created_at,
            confirmed_at, ended_by)
        SELECT id, %s, %s, %s, '' FROM subscribers_subscriber WHERE true
        ON CONFLICT DO NOTHING
        """,
        [newsletter.pk, month_ago, month_ago],
    )


def _follow(newsletter: Newsletter, topics: Sequence[Topic], followed: int, cohorts: int) -> None:
    """Deal the choices of topics out, one reader after the other."""
    combinations = itertools.islice(itertools.combinations(topics, followed), cohorts)
    dealt = [(number, topic.pk) for number, chosen in enumerate(combinations) for topic in chosen]
    # An earlier run may have dealt otherwise.
    dialect.execute(
        """
        DELETE FROM subscribers_subscriptiontopic WHERE subscription_id IN (
            SELECT id FROM subscribers_subscription WHERE newsletter_id = %s)
        """,
        [newsletter.pk],
    )
    dialect.execute("CREATE TEMPORARY TABLE bench_choice (number integer, topic_id bigint)")
    columns = dialect.table(number="integer", topic_id="bigint")
    dialect.execute(
        f"INSERT INTO bench_choice SELECT number, topic_id FROM {columns}",  # noqa: S608
        dialect.table_params(dealt),
    )
    dialect.execute("CREATE INDEX bench_choice_number ON bench_choice (number)")
    dialect.execute(
        """
        INSERT INTO subscribers_subscriptiontopic (subscription_id, topic_id, since)
        SELECT s.id, c.topic_id, %s FROM subscribers_subscription s
        JOIN bench_choice c ON c.number = s.subscriber_id %% %s
        WHERE s.newsletter_id = %s
        """,
        [timezone.now() - timedelta(days=30), cohorts, newsletter.pk],
    )
    dialect.execute("DROP TABLE bench_choice")
