"""Step 2e, a look ahead: when each newsletter comes next, and what it would contain so far."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from mailer import composing, schedule
from mailer.models import AT_REST, Edition, EditionState
from subscribers.holidays import Holidays
from subscribers.models import Cadence, Newsletter


@dataclass(frozen=True)
class Coming:
    """The next edition of a newsletter, as far as one can tell now."""

    newsletter: Newsletter
    slot: datetime | None  # on the clocks of its zone; None: no slot within three months, or ever
    zone: str  # whose clocks these are
    titles: list[str]  # in their order, at most as many as an edition takes
    is_enough: bool  # of news, so that the slot is not skipped
    edition: Edition | None = None  # if its draft is made, or approved already

    @property
    def when(self) -> str:
        """The wall time with its zone, or why there is none."""
        if not self.newsletter.is_active:
            return "switched off"
        if self.newsletter.cadence == Cadence.AT_ONCE:
            return "with the next article"
        if self.slot is None:
            return f"none within {schedule.LOOKS_AHEAD.days} days"
        return f"{self.slot:%A} {self.slot.day} {self.slot:%B}, {self.slot:%H:%M} {self.zone}"

    @property
    def contains(self) -> str:
        """How much it will contain, as a sentence that begins with what is there."""
        if self.newsletter.cadence == Cadence.AT_ONCE:
            return "The next article that is published."
        number = len(self.titles)
        articles = f"{number:,} article{'' if number == 1 else 's'}"
        if self.is_enough:
            return f"The next edition will contain {articles}{'' if self.edition else ' so far'}."
        least = self.newsletter.min_articles
        if least == 1:
            return "Nothing new so far. Without a new article its slot is skipped."
        return (
            f"The next edition would contain {articles} so far; "
            f"with fewer than {least} new ones its slot is skipped."
        )


def of_each(newsletters: Iterable[Newsletter], *, now: datetime) -> list[Coming]:
    """The next edition of each. A constant number of statements for each newsletter."""
    days_off = schedule.holidays_between(now, now + schedule.LOOKS_AHEAD)
    return [_of(newsletter, now, days_off) for newsletter in newsletters]


def of(newsletter: Newsletter, *, now: datetime) -> Coming:
    return of_each([newsletter], now=now)[0]


def _of(newsletter: Newsletter, now: datetime, days_off: Holidays) -> Coming:
    zone = schedule.zone_of(newsletter.zone)
    known = {
        edition.slot: edition for edition in newsletter.editions.regular().filter(slot__gt=now)
    }
    if newsletter.cadence == Cadence.AT_ONCE:  # what is published already has gone out
        return Coming(newsletter, None, zone.key, [], is_enough=True)
    slot = _next_slot(newsletter, known, now, days_off)
    fresh = [each.title for each in composing.fresh_articles(newsletter, slot=slot or now)]
    wall = slot.astimezone(zone) if slot else None
    is_enough = len(fresh) >= newsletter.min_articles
    if slot is not None and (edition := known.get(slot)):
        titles = list(edition.items.order_by("bit").values_list("article__title", flat=True))
        is_enough = is_enough or edition.version > 0 or edition.state != EditionState.DRAFT
        return Coming(newsletter, wall, zone.key, titles, is_enough, edition)
    return Coming(newsletter, wall, zone.key, fresh[: newsletter.max_articles], is_enough)


def _next_slot(
    newsletter: Newsletter, known: dict[datetime, Edition], now: datetime, days_off: Holidays
) -> datetime | None:
    """The first slot that is no holiday, and whose edition nobody has cancelled beforehand."""
    upto = now + schedule.LOOKS_AHEAD
    for slot in schedule.slots(newsletter, after=now, upto=upto, days_off=days_off):
        edition = known.get(slot.at)
        if not slot.holiday and (edition is None or edition.state not in AT_REST):
            return slot.at
    return None
