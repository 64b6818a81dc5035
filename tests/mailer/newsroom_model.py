"""What a simulated newsroom must have done, in plain Python: who gets what, and nobody twice."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from iria_news.articles.models import Article, ArticleState, Correction
from mailer import corrections, ledger, proofs, proved, schedule
from mailer.models import Delivery, Edition, EditionKind, EditionState, LeftOut
from subscribers.models import Cadence, Newsletter, Subscriber, Subscription
from tests import factories

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BEGIN = factories.utc("2024-03-04 00:10")  # clocks change in this month, in most zones that do so
RECEIVED = {"pending", "sending", "sent", "uncertain"}
MOST_IN_CATCH_UP = 5


@dataclass
class Got:
    """A delivery, as the model keeps it."""

    edition: int
    frozen_at: datetime
    articles: frozenset[int]
    corrections: frozenset[int]
    state: str = "pending"

    @property
    def counts(self) -> bool:
        return self.state in RECEIVED


@dataclass
class Place:
    """A reader's place on a newsletter: topics, each followed since an instant."""

    row: Subscription
    since: dict[int, datetime]
    is_open: bool = True


@dataclass
class Reader:
    row: Subscriber
    places: dict[int, Place] = field(default_factory=dict)  # by newsletter
    pause: tuple[datetime, datetime] | None = None
    got: list[Got] = field(default_factory=list)

    def had(self) -> set[int]:
        return {article for got in self.got if got.counts for article in got.articles}

    def told(self) -> set[int]:
        return {correction for got in self.got if got.counts for correction in got.corrections}


class Model:
    """What is known of a newsroom besides its rows, and the comparison of both."""

    now: datetime
    newsletters: list[Newsletter]
    readers: list[Reader]
    articles: dict[int, Article]
    topics_of: dict[int, frozenset[int]]
    appeared: dict[int, datetime]
    corrections: dict[int, Correction]
    judged: set[int]
    counts: Counter[str]

    def judge(self, edition: Edition) -> None:
        """Compare a frozen audience with what each reader should get of it."""
        assert edition.pk not in self.judged, "an edition was frozen twice"
        self.judged.add(edition.pk)
        assert ledger.read(edition.pk).balanced
        self.counts[edition.kind] += 1
        items = {item.bit: item.article_id for item in edition.items.all()}
        told = {row.bit: row.correction_id for row in corrections.of_edition(edition)}
        rows = Delivery.objects.filter(edition=edition).select_related("cohort")
        found = {
            row.subscriber_id: (
                frozenset(items[bit] for bit in _bits(row.cohort.list)),
                frozenset(told[bit] for bit in _bits(row.cohort.corrections)),
            )
            for row in rows
        }
        assert all(articles for articles, _ in found.values()), "an empty mail"
        if edition.kind == EditionKind.CATCH_UP:
            assert all(len(articles) <= MOST_IN_CATCH_UP for articles, _ in found.values())
        if edition.kind == EditionKind.REGULAR:
            self._judge_composition(edition, items)
            assert set(told.values()) == self._to_be_told(edition)
            expected = {
                reader.row.pk: share
                for reader in self.readers
                if (share := self._share(reader, edition, items, told))[0]
            }
            assert found == expected, f"edition {edition.pk}"
        for reader in self.readers:
            if reader.row.pk in found:
                assert not found[reader.row.pk][0] & reader.had(), "an article came twice"
                assert not found[reader.row.pk][1] & reader.told(), "a correction came twice"
                reader.got.append(Got(edition.pk, self.now, *found[reader.row.pk]))

    def _share(
        self, reader: Reader, edition: Edition, items: dict[int, int], told: dict[int, int]
    ) -> tuple[frozenset[int], frozenset[int]]:
        place = reader.places.get(edition.newsletter_id)
        nothing: tuple[frozenset[int], frozenset[int]] = (frozenset(), frozenset())
        if place is None or not place.is_open:
            return nothing
        begins, ends = reader.pause or (None, None)
        if begins and ends and begins <= edition.due_at < ends:
            return nothing
        bound = ends if ends and ends <= edition.due_at else BEGIN - 100 * DAY
        wanted = {
            article
            for article in items.values()
            if self.articles[article].published_at >= bound
            and any(
                place.since[topic] <= self.articles[article].published_at
                for topic in self.topics_of[article] & place.since.keys()
            )
        }
        return frozenset(wanted - reader.had()), frozenset(
            pk for pk in told.values() if pk not in reader.told() and self._outdated(reader, pk)
        )

    def _outdated(self, reader: Reader, correction: int) -> bool:
        """Whether a reader was mailed the text from before a correction."""
        known = self.corrections[correction]
        return any(
            got.counts and known.article_id in got.articles and got.frozen_at < known.at
            for got in reader.got
        )

    def _to_be_told(self, edition: Edition) -> set[int]:
        """Corrections of what any edition had carried, of the last sixty days."""
        carried = dict[int, datetime]()
        earlier = Edition.objects.frozen().exclude(pk=edition.pk).order_by("-frozen_at")
        for at, article in earlier.values_list("frozen_at", "items__article"):
            carried[article] = at  # the first, as the newest come first
        return {
            pk
            for pk, correction in self.corrections.items()
            if correction.article_id in carried
            and carried[correction.article_id] < correction.at
            and correction.at > edition.due_at - corrections.WITHIN
        }

    def _judge_composition(self, edition: Edition, items: dict[int, int]) -> None:
        """Nothing that no edition has carried is left behind, if there was room for it."""
        newsletter = edition.newsletter
        if newsletter.cadence == Cadence.AT_ONCE:
            assert len(items) <= 1
            return
        dropped = LeftOut.objects.filter(edition__newsletter=newsletter, is_dropped=True)
        dropped = dropped.exclude(edition__state=EditionState.CANCELLED)
        assert not dropped.filter(article__in=items.values()), "a dropped article came back"
        # What was left out or withdrawn since it was composed has left its place empty.
        states = Counter(article.state for article in self.articles.values())
        empty = edition.left_out.count() + states[ArticleState.WITHDRAWN]
        if len(items) + empty < newsletter.max_articles:
            left = self._never_carried(edition) - set(items.values())
            left -= set(dropped.values_list("article", flat=True))
            assert not left, f"edition {edition.pk} left articles {left} behind"

    def _never_carried(self, edition: Edition) -> set[int]:
        """What was there when the edition was approved, and no edition has carried."""
        newsletter = edition.newsletter
        others = newsletter.editions.regular().exclude(state=EditionState.CANCELLED)
        others = others.exclude(state=EditionState.SKIPPED, frozen_at=None)
        carried = set(others.values_list("items__article", flat=True))
        moved = set(edition.left_out.values_list("article", flat=True))
        topics = {topic.pk for topic in newsletter.topics.all()}
        # Whoever approves, or works on a draft, has read the list as it was then.
        until = edition.slot
        if edition.approved_by_id or edition.version:
            until = min(edition.slot, edition.approved_at) - 3 * HOUR
        return {
            pk
            for pk, appeared in self.appeared.items()
            if appeared < until
            and self.articles[pk].state == ArticleState.PUBLISHED
            and self.articles[pk].published_at > newsletter.created_at
            and (not topics or topics & self.topics_of[pk])
            and pk not in carried | moved
        }

    def check(self) -> None:
        """What must hold at any time, over all that has happened."""
        for reader in self.readers:
            received = Counter(a for got in reader.got if got.counts for a in got.articles)
            assert all(times == 1 for times in received.values())
            heard = Counter(c for got in reader.got if got.counts for c in got.corrections)
            assert all(times == 1 for times in heard.values())
            self.counts["corrections"] = max(self.counts["corrections"], len(heard))
        for newsletter in self.newsletters:
            self._check_slots(newsletter)
        self._check_proofs()

    def _check_slots(self, newsletter: Newsletter) -> None:
        """Every slot since the beginning has exactly one edition."""
        regular = newsletter.editions.regular().filter(slot__lte=self.now)
        slots = list(regular.values_list("slot", flat=True))
        assert len(slots) == len(set(slots)), "an edition came twice"
        if newsletter.cadence == Cadence.AT_ONCE:
            carried = [article for found in regular for article in found.articles.all()]
            assert len(carried) == len(set(carried)), "an alert came twice"
            return
        due = [slot.at for slot in schedule.slots(newsletter, after=BEGIN, upto=self.now)]
        assert set(due) == {slot for slot in slots if slot > BEGIN}

    def _check_proofs(self) -> None:
        found = proofs.prove()
        assert found.hold, str(found)
        assert found.received == sum(
            len(got.articles) for reader in self.readers for got in reader.got if got.counts
        )
        touched = {correction.article_id for correction in self.corrections.values()}
        assert touched or not found.due[proved.CHANGED], str(found)
        assert not found.due[proved.CAPPED], str(found)


def _bits(number: int) -> list[int]:
    return [1 << rank for rank in range(62) if number >> rank & 1]
