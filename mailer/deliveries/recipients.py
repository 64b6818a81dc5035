"""What a leased batch needs besides addresses: messages of cohorts, reasons, policies.

Loaded once for each batch, so that a recipient costs a join and no query.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.core.exceptions import ObjectDoesNotExist
from django.utils import timezone

from iria_news import mail
from iria_news.articles.models import Topic
from mailer import dialect, messages
from mailer.deliveries.connection import Submission
from mailer.deliveries.exchanging import Intent
from mailer.deliveries.leases import Lease, Waiting, times_resent
from mailer.models import Cohort, Edition

# What joining a message can raise: bad bytes in a row, or rows that are gone.
UNBUILDABLE = (ValueError, LookupError, ObjectDoesNotExist)
CACHE_BYTES = 64 * 2**20  # of compiled messages; a big edition has more than a worker may keep


@dataclass(frozen=True)
class _Place:
    """A reader's place on the newsletter."""

    subscription_id: int
    why: str
    address: str  # as it was when the batch was claimed; the commit of the intent reads it again
    name: str


def _active_places(
    newsletter_id: int, subscribers: Sequence[int]
) -> Iterator[tuple[int, int, datetime, str, str]]:
    """Number, subscriber, time of confirmation, address and name of each active subscription.

    CROSS JOIN keeps SQLite from walking all subscriptions of the newsletter for a few readers: it
    takes that for an order, and has no statistics to choose by. To PostgreSQL it is any join.
    """
    sql = f"""
        SELECT s.id, s.subscriber_id, s.confirmed_at, r.address, r.name
        FROM {dialect.table(subscriber_id="bigint")}
        CROSS JOIN subscribers_subscription s
        CROSS JOIN subscribers_subscriber r
        WHERE s.subscriber_id = w.subscriber_id AND r.id = w.subscriber_id AND s.newsletter_id = %s
            AND s.ended_at IS NULL AND s.confirmed_at IS NOT NULL
    """  # noqa: S608  # fragments of ours
    params = [*dialect.table_params([[pk] for pk in subscribers]), newsletter_id]
    for pk, subscriber, confirmed_at, *person in dialect.fetch(sql, params, often=True):
        yield pk, subscriber, dialect.instant(confirmed_at), *person


class Recipients:
    def __init__(self) -> None:
        self._names: dict[int, dict[int, str]] = {}
        self._editions: dict[int, Edition] = {}
        self._places: dict[tuple[int, int], _Place] = {}
        self._resent: dict[tuple[int, int], int] = {}
        self._compiled: dict[int, messages.Compiled] = {}
        self._compiled_bytes = 0

    def load(self, lease: Lease, rows: Sequence[Waiting]) -> None:
        """Read places, reasons and earlier re-sends of a batch: a fixed number of queries."""
        edition = self.edition(lease.edition_id)
        self._load_places(edition, lease.batch_id, [row.subscriber_id for row in rows])
        tried = [row.subscriber_id for row in rows if row.attempts]
        for subscriber, count in times_resent(edition.pk, tried).items():
            self._resent[edition.pk, subscriber] = count

    def edition(self, edition_id: int) -> Edition:
        """The edition with its newsletter, as it was when its first batch was claimed."""
        if edition_id not in self._editions:
            self._editions[edition_id] = Edition.objects.select_related("newsletter").get(
                pk=edition_id
            )
        return self._editions[edition_id]

    def _load_places(self, edition: Edition, batch_id: int, subscribers: Sequence[int]) -> None:
        if not subscribers:
            return
        newsletter = edition.newsletter
        names = self._topics(edition)
        followed = self._followed(newsletter.pk, subscribers)
        sentences: dict[tuple[date, frozenset[int]], str] = {}  # most readers share theirs
        for pk, subscriber, confirmed_at, *person in _active_places(newsletter.pk, subscribers):
            choice = (confirmed_at.date(), frozenset(followed[pk] & names.keys()))
            if choice not in sentences:
                sentences[choice] = messages.why_sentence(
                    newsletter.name,
                    choice[0],
                    [name for topic, name in names.items() if topic in choice[1]],
                    all_topics=choice[1] >= names.keys(),
                    language=newsletter.language,
                )
            self._places[batch_id, subscriber] = _Place(pk, sentences[choice], *person)

    def _topics(self, edition: Edition) -> dict[int, str]:
        """The topics that the edition's newsletter carries, by number."""
        if edition.pk not in self._names:
            carried = list(edition.newsletter.topics.all()) or list(Topic.objects.all())
            self._names[edition.pk] = {topic.pk: topic.name for topic in carried}
        return self._names[edition.pk]

    @staticmethod
    def _followed(newsletter_id: int, subscribers: Sequence[int]) -> dict[int, set[int]]:
        """The topics of each of these readers' subscriptions, by the subscription's number."""
        followed: dict[int, set[int]] = defaultdict(set)
        sql = f"""
            SELECT f.subscription_id, f.topic_id
            FROM {dialect.table(subscriber_id="bigint")}
            CROSS JOIN subscribers_subscription s
            CROSS JOIN subscribers_subscriptiontopic f
            WHERE s.subscriber_id = w.subscriber_id AND s.newsletter_id = %s
                AND s.ended_at IS NULL AND f.subscription_id = s.id
        """  # noqa: S608  # fragments of ours
        params = [*dialect.table_params([[pk] for pk in subscribers]), newsletter_id]
        for subscription, topic in dialect.fetch(sql, params, often=True):
            followed[subscription].add(topic)
        return followed

    def forget(self, lease: Lease) -> None:
        """Drop what was loaded for a batch."""
        self._places = {key: p for key, p in self._places.items() if key[0] != lease.batch_id}

    def policy(self, row: Waiting) -> str:
        """What the newsletter wants done with a mail in doubt."""
        return self.edition(row.edition_id).newsletter.in_doubt

    def times_resent(self, row: Waiting) -> int:
        return self._resent.get((row.edition_id, row.subscriber_id), 0)

    def foreseen(self, row: Waiting) -> Intent | None:
        """The intent that the commit will most likely give this row; None if nobody can say."""
        place = self._places.get((row.batch_id, row.subscriber_id))
        if place is None:
            return None
        return Intent(row.edition_id, row.subscriber_id, place.address, place.name)

    def submission(self, row: Waiting, intent: Intent, *, not_after: float) -> Submission:
        """One recipient's message, as a connection takes it. Raises one of UNBUILDABLE."""
        key = messages.key(intent.edition_id, intent.subscriber_id)
        return Submission(
            intent.edition_id,
            intent.subscriber_id,
            mail.return_path(key),
            intent.address,
            self.message(row, intent, at=timezone.now()),
            key,
            not_after,
        )

    def message(self, row: Waiting, intent: Intent, *, at: datetime) -> bytes:
        """The bytes for one recipient. Raises LookupError or ValueError if they cannot be built."""
        key = (row.batch_id, row.subscriber_id)
        if key not in self._places:  # left and came back since the batch was claimed
            self._load_places(self.edition(row.edition_id), row.batch_id, [row.subscriber_id])
        place = self._places[key]
        recipient = messages.Recipient(
            subscriber_id=row.subscriber_id,
            subscription_id=place.subscription_id,
            address=intent.address,
            why=place.why,
            name=intent.name,
        )
        values = messages.values(recipient, edition_id=row.edition_id, at=at)
        return messages.join(self._cohort(row.cohort_id), values)

    def _cohort(self, cohort_id: int) -> messages.Compiled:
        compiled = self._compiled.get(cohort_id)
        if compiled is None:
            stored = Cohort.objects.values_list("message", flat=True).get(pk=cohort_id)
            if stored is None:
                raise LookupError(f"cohort {cohort_id} is not rendered")
            compiled = messages.Compiled.from_bytes(stored)
            self._compiled_bytes += len(stored)
            if self._compiled_bytes > CACHE_BYTES:
                self._compiled.clear()
                self._compiled_bytes = len(stored)
            self._compiled[cohort_id] = compiled
        return compiled
