"""Step 2c, an edition begins: for a slot, for an article that goes out at once, or by hand."""

import contextlib
import itertools
import logging
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from iria_news.articles.models import Article, ArticleQuerySet
from mailer import approving, composing, drafting, schedule
from mailer.editions import EXPIRES_AFTER, UNDER_WAY
from mailer.models import Edition, EditionQuerySet, EditionState, Pulse
from mailer.schedule import Slot
from subscribers.holidays import Holidays
from subscribers.models import Approval, Cadence, Newsletter

log = logging.getLogger(__name__)

MISSED = "Missed:"  # how the reason of such an edition begins


class NothingToSend(Exception):
    """No edition was opened. The message says why, for the person who asked."""


def open_due(*, now: datetime) -> list[Edition]:
    """Open an edition for each slot that is due, and one for each article that goes out at once.

    Also makes drafts ahead, lets those go whose slot has come, and records the slots at which
    nothing leaves. Safe to call at any time by any number of ticks: a slot has one edition at most.
    """
    opened = []
    days_off = schedule.holidays_between(now - schedule.LOOKS_BACK, now + schedule.LONGEST_AHEAD)
    for newsletter in Newsletter.objects.filter(is_active=True).order_by("pk"):
        try:
            opened += _open_due(newsletter, now, days_off)
        except Exception:  # one newsletter with a value nobody thought of must not stop the rest
            log.exception("no edition of newsletter %s can be opened", newsletter.pk)
    drafting.expire(now=now)
    return opened


def _open_due(newsletter: Newsletter, now: datetime, days_off: Holidays) -> list[Edition]:
    if newsletter.cadence == Cadence.AT_ONCE:
        found = [
            open_edition(newsletter, slot=article.published_at or now, article=article, now=now)
            for article in _fresh_alerts(newsletter, now)
        ]
    else:
        known = _known(newsletter, now)
        found = _meet_slots(newsletter, known, now, days_off)
        found += _look_ahead(newsletter, known, now, days_off)
    return [edition for edition in found if edition is not None]


def _fresh_alerts(newsletter: Newsletter, now: datetime) -> ArticleQuerySet:
    since = max(now - schedule.lateness(newsletter), schedule.looks_back_to(newsletter, now=now))
    articles = composing.carried(newsletter).filter(published_at__gt=since)
    fresh = articles.exclude(editions__newsletter=newsletter)
    return fresh.order_by("published_at", "pk")


def _known(newsletter: Newsletter, now: datetime) -> dict[datetime, Edition]:
    """The editions of the slots that are still somebody's business, past and coming."""
    since = schedule.looks_back_to(newsletter, now=now)
    found = newsletter.editions.regular().filter(slot__gt=since).select_related("newsletter")
    return {edition.slot: edition for edition in found}


def _meet_slots(
    newsletter: Newsletter, known: dict[datetime, Edition], now: datetime, days_off: Holidays
) -> list[Edition | None]:
    """Open, let go or record each slot that has come and is not decided yet.

    Only the newest may leave: one edition catches up with what was missed, never a series.
    """
    since = schedule.looks_back_to(newsletter, now=now)
    due = list(schedule.slots(newsletter, after=since, upto=now, days_off=days_off))
    opened = []
    for slot in due:
        edition = known.get(slot.at)
        is_late = slot != due[-1] or now - slot.at >= schedule.lateness(newsletter)
        if edition is None and not (slot.holiday or is_late):
            opened.append(open_edition(newsletter, slot=slot.at, now=now))
        elif edition is None:
            _record(newsletter, slot, _why_not(slot))
        elif edition.state == EditionState.DRAFT and (slot.holiday or is_late):
            _pass_over(edition, slot)
        elif edition.state == EditionState.DRAFT:
            drafting.meet(edition)
    return opened


def _pass_over(edition: Edition, slot: Slot) -> None:
    """A draft that needs a person anyway is not missed: it waits until it expires."""
    if slot.holiday or not drafting.waits_for_a_person(edition):
        drafting.pass_over(edition, _why_not(slot))


def _why_not(slot: Slot) -> str:
    """The reason of a slot at which nothing leaves."""
    if slot.holiday:
        return f"Holiday: {slot.holiday}."
    seen = Pulse.objects.filter(name="tick", at__gte=slot.at).exists()
    if seen:
        return f"{MISSED} its edition could not be opened, the log says why."
    return f"{MISSED} the service was off at its time."


def _record(newsletter: Newsletter, slot: Slot, reason: str) -> None:
    """Write down that nothing left at a slot; unless another tick was faster."""
    with contextlib.suppress(IntegrityError), transaction.atomic():
        newsletter.editions.create(
            slot=slot.at,
            slug=_slug(newsletter, slot.at),
            due_at=slot.at,
            expires_at=slot.at + EXPIRES_AFTER,
            state=EditionState.SKIPPED,
            reason=reason,
            finished_at=Now(),
        )


def _look_ahead(
    newsletter: Newsletter, known: dict[datetime, Edition], now: datetime, days_off: Holidays
) -> list[Edition | None]:
    """Make the drafts of coming slots, and keep those that nobody has touched up to date."""
    upto = now + schedule.LONGEST_AHEAD
    coming = schedule.slots(newsletter, after=now, upto=upto, days_off=days_off)
    slots = [slot.at for slot in coming if not slot.holiday]
    for edition in known.values():
        if edition.slot > now and edition.state == EditionState.DRAFT:
            if edition.slot in slots:
                drafting.follow_the_news(edition)
            else:
                drafting.take_back(edition)
    ahead = now + timedelta(hours=newsletter.draft_hours)
    return [
        open_edition(newsletter, slot=slot, now=now)
        for slot in slots
        if slot <= ahead and slot not in known
    ]


def open_edition(
    newsletter: Newsletter,
    *,
    slot: datetime,
    article: Article | None = None,
    hold: bool = False,
    by: User | None = None,
    now: datetime | None = None,
) -> Edition | None:
    """Open and compose the edition of a slot; None when somebody else has just done so.

    With `article` it carries only that one. With too few new articles the edition is recorded as
    skipped, with its reason. Without approval by a person it is approved at once, by `by` if
    a person asked for it, unless `hold` asks to leave it a draft. `now` is given for a slot of the
    cadence: before it the edition stays a draft, and after it, it is late but still news.
    """
    is_ahead = now is not None and now < slot and article is None
    try:
        with transaction.atomic():
            if article is not None and _has_gone_out(newsletter, article):
                return None
            edition = Edition.objects.create(
                newsletter=newsletter,
                slot=_free_slot(newsletter, slot) if article else slot,
                slug=_slug(newsletter, slot),
                due_at=slot,
                expires_at=max(slot, now or slot) + EXPIRES_AFTER,
                priority=1 if newsletter.cadence == Cadence.AT_ONCE else 0,
                spread_minutes=newsletter.spread_minutes,
            )
            composing.write_items(
                edition, [article] if article else composing.candidates(newsletter, slot=slot)
            )
    except IntegrityError:  # the slot, or the slug of its day, was taken meanwhile
        return None
    if is_ahead:
        return edition
    reason = "" if article else drafting.too_little_news(newsletter, slot=slot)
    if reason:
        drafting.skip(edition, reason)
    elif newsletter.approval == Approval.AUTOMATIC and not hold:
        drafting.release(edition, by=by)
    edition.refresh_from_db()
    return edition


def send_now(newsletter: Newsletter, *, by: User | None, at: datetime | None = None) -> Edition:
    """Open an edition for this moment, outside the cadence, and approve it.

    `at` names the moment when the person was asked: the same request twice, as by a double
    click, gives the same edition. Raises NothingToSend with a sentence.
    """
    slot = at or timezone.now()
    existing = newsletter.editions.regular().filter(slot=slot).first()
    if existing is not None:
        return existing
    reason = why_not_now(newsletter)
    if reason:
        raise NothingToSend(reason)
    edition = open_edition(newsletter, slot=slot, by=by)
    if edition is None:
        return newsletter.editions.regular().get(slot=slot)
    try:
        approving.approve(edition, content_hash=edition.content_hash, by=by)
    except approving.Refused as refused:
        raise NothingToSend(str(refused)) from refused
    edition.refresh_from_db()
    return edition


def why_not_now(newsletter: Newsletter) -> str:
    """The sentence with which `send_now` would refuse; empty if it would not."""
    if not newsletter.is_active:
        return f"{newsletter} is switched off. Switch it on first."
    if _under_way(newsletter).exists():
        return f"An edition of {newsletter} is under way. Wait until it is done, or cancel it."
    fresh = len(composing.fresh_articles(newsletter, slot=timezone.now()))
    if fresh < newsletter.min_articles:
        return (
            f"{newsletter} has {fresh} new articles, and its minimum is {newsletter.min_articles}. "
            "Publish one, then try again."
        )
    return ""


def _under_way(newsletter: Newsletter) -> EditionQuerySet:
    """Editions with something to do now: not those that wait for their slot or readers' hours."""
    found = newsletter.editions.regular().filter(state__in=UNDER_WAY)
    ahead = found.filter(state=EditionState.APPROVED, slot__gt=timezone.now())
    waiting = Edition.objects.waiting_for_hours()
    return found.exclude(pk__in=waiting.values("pk")).exclude(pk__in=ahead.values("pk"))


def _has_gone_out(newsletter: Newsletter, article: Article) -> bool:
    """Whether another tick was faster; holds the newsletter's row, so that it stays true."""
    Newsletter.objects.select_for_update().get(pk=newsletter.pk)
    return newsletter.editions.regular().filter(articles=article).exists()


def _slug(newsletter: Newsletter, slot: datetime) -> str:
    """A readable public name: the newsletter and the day, numbered from the second one on."""
    base = f"{newsletter.slug}-{slot:%Y-%m-%d}"
    same_day = Edition.objects.filter(Q(slug=base) | Q(slug__startswith=f"{base}-"))
    taken = set(same_day.values_list("slug", flat=True))
    names = itertools.chain([base], (f"{base}-{number}" for number in itertools.count(2)))
    return next(name for name in names if name not in taken)


def _free_slot(newsletter: Newsletter, slot: datetime) -> datetime:
    """Two articles published in the same second get two slots, a microsecond apart."""
    while newsletter.editions.regular().filter(slot=slot).exists():
        slot += timedelta(microseconds=1)
    return slot
