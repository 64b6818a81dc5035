"""How many mails a choice brings, told from the last four weeks: "about 5 mails a week"."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property

from django.utils import timezone
from django.utils.translation import gettext, ngettext

from iria_news.articles.models import Article, Topic
from subscribers import cadences, zones
from subscribers.models import Cadence, Newsletter

WEEKS = 4
LOOKS_BACK = timedelta(weeks=WEEKS)
ENOUGH = timedelta(weeks=1)  # of articles; less tells nothing about a week
A_WEEK = timedelta(weeks=1)


@dataclass(frozen=True)
class Published:
    at: datetime
    topics: frozenset[int]


class History:
    """What was published in the last four weeks: read once, by one query, when first asked for."""

    def __init__(self, now: datetime | None = None) -> None:
        self.now = now or timezone.now()

    @cached_property
    def articles(self) -> list[Published]:
        """Oldest first."""
        rows = (
            Article.objects.published()
            .filter(published_at__gt=self.now - LOOKS_BACK, published_at__lte=self.now)
            .order_by("published_at", "pk")
            .values_list("pk", "published_at", "topics")
        )
        times: dict[int, datetime] = {}
        topics: dict[int, set[int]] = {}
        for pk, at, topic in rows:
            if at is not None:  # none of them, says a constraint
                times[pk] = at
                topics.setdefault(pk, set()).add(topic)
        return [Published(at, frozenset(topics[pk])) for pk, at in times.items()]

    @property
    def weeks(self) -> float:
        """How many weeks the articles tell about; less than 4 where the newsroom is young."""
        if not self.articles:
            return 0
        age = self.now - self.articles[0].at
        return WEEKS if age > LOOKS_BACK - A_WEEK else age / A_WEEK

    @property
    def is_enough(self) -> bool:
        return self.weeks >= ENOUGH / A_WEEK


def rate(
    newsletter: Newsletter, topics: Iterable[Topic], carried: Iterable[Topic], history: History
) -> str:
    """How often these topics of this newsletter fill a mail, in words.

    `carried` is all that the newsletter has. Without history the words say what it may be at most.
    """
    a_week = per_week(newsletter, topics, carried, history)
    return at_most(newsletter) if a_week is None else words(a_week)


def at_most(newsletter: Newsletter) -> str:
    """How often it comes when each slot has news: "up to 5 mails a week"."""
    slots = cadences.slots_a_week(newsletter)
    if slots is None:
        return gettext("as it happens")
    if slots < 1:
        return gettext("1 mail a month")
    if slots == 1:
        return gettext("1 mail a week")
    return gettext("up to {number} mails a week").format(number=round(slots))


def per_week(
    newsletter: Newsletter, topics: Iterable[Topic], carried: Iterable[Topic], history: History
) -> float | None:
    """Mails a week; None when nobody can tell: no article on anything it carries, or too few weeks.

    An edition leaves when there is enough on all the newsletter carries; a reader gets it if there
    is anything on what they follow. What was too little for one slot waits for the next.
    """
    its_own = {topic.pk for topic in carried}
    followed = {topic.pk for topic in topics}
    articles = [each for each in history.articles if each.topics & its_own]
    if not articles or not history.is_enough:
        return None
    mails = waiting = wanted = 0
    last: date | None = None
    for article in [*articles, None]:
        slot = _slot(newsletter, article.at) if article else None
        if slot != last or newsletter.cadence == Cadence.AT_ONCE:
            if waiting >= newsletter.min_articles:
                mails += wanted > 0
                waiting = wanted = 0
            last = slot
        if article:
            waiting += 1
            wanted += bool(article.topics & followed)
    # The last weeks may begin and end with a slot; there is no more than one for each of its days.
    slots = cadences.slots_a_week(newsletter)
    return mails / history.weeks if slots is None else min(mails / history.weeks, slots)


def words(a_week: float) -> str:
    """ "about 5 mails a week"; below one a week, by the month."""
    if a_week > 0.8:
        number = round(a_week)
        each = ngettext("about {number} mail a week", "about {number} mails a week", number)
        return each.format(number=number)
    number = round(a_week * WEEKS)
    if not number:
        return gettext("hardly a mail a month")
    each = ngettext("about {number} mail a month", "about {number} mails a month", number)
    return each.format(number=number)


def _slot(newsletter: Newsletter, at: datetime) -> date:
    """The day, in the newsletter's zone, on which an article published then is sent."""
    here = at.astimezone(zones.of(newsletter.zone))
    day = here.date()
    if newsletter.wall_time is not None and here.time() > newsletter.wall_time:
        day += timedelta(days=1)
    while not cadences.is_day_of(newsletter, day):
        day += timedelta(days=1)
    return day
