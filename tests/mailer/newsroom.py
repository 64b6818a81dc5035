"""Months in the life of a newsroom, on a clock of its own, beside a model in plain Python.

Steps are those of the service itself, given the simulated time; what they stamp with the real time
is put back to the simulated one. No mail leaves: what became of deliveries is written as sending
would write it. After each freeze the rows are compared with what the model says.
"""

import random
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.contrib.auth.models import User

from iria_news.articles.models import Article, ArticleState, Correction
from mailer import (
    approving,
    catching_up,
    cohorts,
    composing_order,
    editions,
    opening,
    schedule,
)
from mailer.models import Delivery, Edition, EditionState, LeftOut
from subscribers import consent
from subscribers.models import (
    ConsentEvent,
    ConsentKind,
    Newsletter,
    Subscriber,
    Subscription,
)
from tests import factories
from tests.mailer.newsroom_model import BEGIN, DAY, HOUR, MINUTE, Got, Model, Place, Reader


class Newsroom(Model):
    """One run: acts of editors and readers, and the passing of time."""

    def __init__(self, newsletters: list[dict], topics: int = 4) -> None:
        self.now = BEGIN
        self.topics = [factories.make_topic() for _ in range(topics)]
        self.articles: dict[int, Article] = {}
        self.topics_of: dict[int, frozenset[int]] = {}
        self.appeared: dict[int, datetime] = {}
        self.corrections: dict[int, Correction] = {}
        self.readers: list[Reader] = []
        self.counts: Counter[str] = Counter()
        number = User.objects.count()
        self.author = User.objects.create(username=f"author{number}")
        self.approver = User.objects.create(username=f"approver{number}", is_superuser=True)
        self.newsletters = [self._newsletter(**fields) for fields in newsletters]
        self.judged: set[int] = set()

    def _newsletter(self, *, topics: list[int], **fields) -> Newsletter:
        chosen = [self.topics[index] for index in topics]
        newsletter = factories.make_newsletter(topics=chosen, created_at=BEGIN - MINUTE, **fields)
        newsletter.refresh_from_db()
        return newsletter

    # --- acts ---

    def publish(self, topics: Iterable[int], *, late: timedelta = timedelta(0)) -> None:
        """An article appears now, dated some time ago if it is late."""
        self.pass_time(MINUTE)
        chosen = [self.topics[index] for index in sorted(topics)]
        article = factories.make_article(topics=chosen, published_at=self.now - late)
        Article.objects.filter(pk=article.pk).update(modified_at=self.now)
        self.articles[article.pk] = article
        self.topics_of[article.pk] = frozenset(topic.pk for topic in chosen)
        self.appeared[article.pk] = self.now

    def correct(self, which: int, *, withdraw: bool) -> None:
        """Correct or withdraw an article; which one is counted from the newest."""
        known = [pk for pk, article in self.articles.items() if article.state == "published"]
        if not known:
            return
        self.pass_time(MINUTE)
        article = self.articles[known[-1 - which % len(known)]]
        if withdraw:
            article.state = ArticleState.WITHDRAWN
            article.save()
        Article.objects.filter(pk=article.pk).update(modified_at=self.now)
        correction = Correction.objects.create(
            article=article, note="It was Tuesday.", is_withdrawal=withdraw
        )
        Correction.objects.filter(pk=correction.pk).update(at=self.now)
        correction.at = self.now
        self.corrections[correction.pk] = correction

    def join(self, newsletter: int, topics: Iterable[int], *, who: int, text: bool = False) -> None:
        """A new reader, or one who is there already, takes a place."""
        self.pass_time(MINUTE)
        if who >= len(self.readers):
            row = factories.make_subscriber(
                created_at=self.now, confirmed_at=self.now, wants_text=text
            )
            self.readers.append(Reader(row))
        reader = self.readers[min(who, len(self.readers) - 1)]
        chosen = self.newsletters[newsletter % len(self.newsletters)]
        place = reader.places.get(chosen.pk)
        if place and place.is_open:
            return
        followed = [self.topics[index] for index in topics]
        row = factories.make_subscription(
            chosen, subscriber=reader.row, topics=followed, since=self.now
        )
        reader.places[chosen.pk] = Place(row, {topic.pk: self.now for topic in followed})

    def choose_topics(self, who: int, topics: Iterable[int]) -> None:
        """A reader changes the topics of all their places."""
        self.pass_time(MINUTE)
        wanted = {self.topics[index].pk for index in topics}
        for place in self._places(who):
            place.row.follows.exclude(topic_id__in=wanted).delete()
            for topic in wanted - place.since.keys():
                place.row.follows.create(topic_id=topic, since=self.now)
            place.since = {topic: place.since.get(topic, self.now) for topic in wanted}
            self._consent(place.row, ConsentKind.CHANGED)

    def leave(self, who: int) -> None:
        self.pass_time(MINUTE)
        for place in self._places(who):
            Subscription.objects.filter(pk=place.row.pk).update(ended_at=self.now, ended_by="page")
            place.is_open = False
            self._consent(place.row, ConsentKind.LEFT)

    def come_back(self, who: int) -> None:
        """Undo having left, as the button on the page does."""
        if not self.readers:
            return
        self.pass_time(MINUTE)
        for place in self.readers[who % len(self.readers)].places.values():
            if not place.is_open:
                Subscription.objects.filter(pk=place.row.pk).update(ended_at=None, ended_by="")
                place.is_open = True
                self._consent(place.row, ConsentKind.CHANGED)

    def pause(self, who: int, days: int) -> None:
        if not self.readers:
            return
        self.pass_time(MINUTE)
        reader = self.readers[who % len(self.readers)]
        under_way = reader.pause is not None and reader.pause[1] > self.now
        begins = reader.pause[0] if reader.pause and under_way else self.now
        self._set_pause(reader, begins, self.now + days * DAY)

    def end_pause(self, who: int) -> None:
        if not self.readers:
            return
        self.pass_time(MINUTE)
        reader = self.readers[who % len(self.readers)]
        if reader.pause and reader.pause[1] > self.now:
            self._set_pause(reader, reader.pause[0], self.now)

    def _set_pause(self, reader: Reader, begins: datetime, ends: datetime) -> None:
        reader.pause = (begins, ends)
        Subscriber.objects.filter(pk=reader.row.pk).update(paused_from=begins, paused_until=ends)
        event = ConsentEvent.objects.create(
            subscriber=reader.row, kind=ConsentKind.CHANGED, wording=consent.CHOOSE, source="pause"
        )
        ConsentEvent.objects.filter(pk=event.pk).update(at=self.now)

    def _consent(self, place: Subscription, kind: ConsentKind) -> None:
        ConsentEvent.objects.create(
            subscriber_id=place.subscriber_id,
            newsletter_id=place.newsletter_id,
            kind=kind,
            wording=consent.CHOOSE,
            source="page",
            at=self.now,
        )

    def _places(self, who: int) -> list[Place]:
        if not self.readers:
            return []
        reader = self.readers[who % len(self.readers)]
        return [place for place in reader.places.values() if place.is_open]

    # --- time ---

    def pass_time(self, span: timedelta) -> None:
        self.now += span

    def tick(self, luck: random.Random) -> None:
        """What the tick does up to the end of each freeze; now and then there are two beats."""
        opening.open_due(now=self.now)
        catching_up.open_due(now=self.now)
        if luck.random() < 0.2:
            assert opening.open_due(now=self.now) == []
            assert catching_up.open_due(now=self.now) == []
        self._put_back()
        self._edit(luck)
        due = Edition.objects.filter(state=EditionState.APPROVED, due_at__lte=self.now)
        for edition in due.order_by("-priority", "due_at"):
            if editions.begin_freezing(edition):
                assert cohorts.freeze(edition.pk)
                self._put_back()
                self.judge(Edition.objects.select_related("newsletter").get(pk=edition.pk))

    def _put_back(self) -> None:
        """Stamp with the simulated time what was stamped with the real one."""
        for name in ("approved_at", "frozen_at", "finished_at", "asked_at", "created_at"):
            ahead = Edition.objects.filter(**{f"{name}__gt": self.now})
            ahead.update(**{name: self.now})

    def _edit(self, luck: random.Random) -> None:
        """The editor drops and moves some items of what waits for a person, and mostly approves."""
        waiting = Edition.objects.filter(state=EditionState.DRAFT, slot__lte=self.now + 2 * HOUR)
        for edition in waiting.select_related("newsletter").order_by("pk"):
            if luck.random() < 0.3 and edition.items.count() > 1:
                item = luck.choice(list(edition.items.all()))
                self._leave_out(edition, item.article_id, for_good=luck.random() < 0.5)
            if luck.random() < 0.9:
                self._approve(edition)

    def _leave_out(self, edition: Edition, article: int, *, for_good: bool) -> None:
        version = edition.version
        composing_order.drop(
            edition, version=version, by=self.author, article=article, for_good=for_good
        )
        LeftOut.objects.filter(edition=edition, article=article).update(at=self.now)
        self.counts["left out"] += 1

    def _approve(self, edition: Edition) -> None:
        read = approving.content_hash(edition)
        try:
            approving.approve(edition, content_hash=read, by=self.approver)
        except approving.Refused:
            return
        Edition.objects.filter(pk=edition.pk, state=EditionState.APPROVED).update(
            due_at=max(edition.slot, self.now)  # the time to undo it is that of the real clock
        )
        self._put_back()

    def live(self, span: timedelta, luck: random.Random) -> None:
        """Let time pass: ticks before and at every slot, articles, mails that come to their end."""
        upto = self.now + span
        moments = {upto}
        for newsletter in self.newsletters:
            slots = schedule.slots(newsletter, after=self.now, upto=upto)
            for slot in slots:
                moments |= {slot.at, max(slot.at - HOUR, self.now)}
        for moment in sorted(moments):
            while luck.random() < 0.4:
                number = luck.choice([1, 1, 2])
                late = luck.choice([0, 0, 0, 1, 4, 40, 300]) * HOUR
                self.publish(luck.sample(range(len(self.topics)), number), late=late)
            self.now = max(moment, self.now)
            self.tick(luck)
            self.settle(luck)
        self.check()

    def settle(self, luck: random.Random) -> None:
        """Write what became of some of the deliveries that are on their way."""
        for reader in self.readers:
            for got in reader.got:
                if got.state == "pending" and luck.random() < 0.8:
                    end = luck.choices(
                        ["sent", "failed", "skipped", "cancelled", "uncertain"], [20, 3, 1, 1, 1]
                    )[0]
                    self._settle(reader, got, end)
                elif got.state == "uncertain" and luck.random() < 0.3:  # a person decides
                    self._settle(reader, got, luck.choice(["sent", "failed"]))

    def _settle(self, reader: Reader, got: Got, state: str) -> None:
        got.state = state
        self.counts[state] += 1
        Delivery.objects.filter(edition=got.edition, subscriber=reader.row).update(
            state=state, settled_at=self.now
        )

    def cancel(self) -> None:
        """Stop the newest edition that is on its way: what has not left is cancelled."""
        way = Edition.objects.filter(state=EditionState.RENDERING).order_by("-pk").first()
        if way is None:
            return
        self.pass_time(MINUTE)
        assert editions.cancel(way, reason="A mistake in the lead.")
        self._put_back()
        for reader in self.readers:
            for got in reader.got:
                if got.edition == way.pk and got.state == "pending":
                    self._settle(reader, got, "cancelled")
