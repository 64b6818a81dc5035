"""What a leased batch needs besides addresses: messages of cohorts, reasons, policies.

Loaded once for each batch, so that a recipient costs a join and no query.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from iria_news.articles.models import Topic
from mailer import messages
from mailer.deliveries.leases import Intent, Lease, Waiting, times_resent
from mailer.models import Cohort, Edition
from subscribers.models import Subscription, SubscriptionTopic

CACHE_BYTES = 64 * 2**20  # of compiled messages; a big edition has more than a worker may keep


@dataclass(frozen=True)
class _Place:
    """A reader's place on the newsletter."""

    subscription_id: int
    why: str


class Recipients:
    def __init__(self) -> None:
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
        newsletter = edition.newsletter
        carried = list(newsletter.topics.all()) or list(Topic.objects.all())
        names = {topic.pk: topic.name for topic in carried}
        places = Subscription.objects.active().filter(
            newsletter=newsletter, subscriber_id__in=subscribers
        )
        followed: dict[int, set[int]] = defaultdict(set)
        pairs = SubscriptionTopic.objects.filter(subscription__in=places)
        for subscription, topic in pairs.values_list("subscription_id", "topic_id"):
            followed[subscription].add(topic)
        sentences: dict[tuple[date, frozenset[int]], str] = {}  # most readers share theirs
        for pk, subscriber, confirmed_at in places.values_list(
            "pk", "subscriber_id", "confirmed_at"
        ):
            assert confirmed_at is not None  # what active() means
            choice = (confirmed_at.date(), frozenset(followed[pk] & names.keys()))
            if choice not in sentences:
                sentences[choice] = messages.why_sentence(
                    newsletter.name,
                    choice[0],
                    [name for topic, name in names.items() if topic in choice[1]],
                    all_topics=choice[1] >= names.keys(),
                )
            self._places[batch_id, subscriber] = _Place(pk, sentences[choice])

    def forget(self, lease: Lease) -> None:
        """Drop what was loaded for a batch."""
        self._places = {key: p for key, p in self._places.items() if key[0] != lease.batch_id}

    def policy(self, row: Waiting) -> str:
        """What the newsletter wants done with a mail in doubt."""
        return self.edition(row.edition_id).newsletter.in_doubt

    def times_resent(self, row: Waiting) -> int:
        return self._resent.get((row.edition_id, row.subscriber_id), 0)

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

    @staticmethod
    def without_addresses(text: str) -> str:
        """A server's words without the addresses they may quote: events hold none."""
        return re.sub(r"\S+@\S+", "(address)", text)
