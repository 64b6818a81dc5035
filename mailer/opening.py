"""Step 2c, an edition begins: for a slot, for an article that goes out at once, or by hand."""

import logging
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from iria_news.articles.models import Article
from mailer import approving, composing, schedule
from mailer.editions import EXPIRES_AFTER, UNDER_WAY
from mailer.models import Edition, EditionQuerySet, EditionState
from subscribers.models import Approval, Cadence, Newsletter

log = logging.getLogger(__name__)


class NothingToSend(Exception):
    """No edition was opened. The message says why, for the person who asked."""


def open_due(*, now: datetime) -> list[Edition]:
    """Open an edition for each slot that is due, and one for each article that goes out at once.

    Safe to call at any time by any number of ticks: a slot has at most one edition.
    """
    opened = []
    for newsletter in Newsletter.objects.filter(is_active=True).order_by("pk"):
        try:
            opened += _open_due(newsletter, now)
        except Exception:  # one newsletter with a value nobody thought of must not stop the rest
            log.exception("no edition of newsletter %s can be opened", newsletter.pk)
    return opened


def _open_due(newsletter: Newsletter, now: datetime) -> list[Edition]:
    found = [
        open_edition(newsletter, slot=slot, article=article)
        for slot, article in _due(newsletter, now)
    ]
    return [edition for edition in found if edition is not None]


def _due(newsletter: Newsletter, now: datetime) -> list[tuple[datetime, Article | None]]:
    if newsletter.cadence == Cadence.AT_ONCE:
        since = max(now - schedule.LATEST, newsletter.created_at)
        articles = composing.carried(newsletter).filter(published_at__gt=since)
        fresh = articles.exclude(editions__newsletter=newsletter).order_by("published_at", "pk")
        return [(article.published_at or now, article) for article in fresh]
    slot = schedule.due_slot(newsletter, now=now)
    if slot is None or newsletter.editions.regular().filter(slot=slot).exists():
        return []
    return [(slot, None)]


def open_edition(
    newsletter: Newsletter,
    *,
    slot: datetime,
    article: Article | None = None,
    hold: bool = False,
    by: User | None = None,
) -> Edition | None:
    """Open and compose the edition of a slot; None when somebody else has just done so.

    With `article` it carries only that one. With too few new articles the edition is recorded as
    skipped, with its reason. Without approval by a person it is approved at once, by `by` if
    a person asked for it, unless `hold` asks to leave it a draft.
    """
    try:
        with transaction.atomic():
            if article is not None and _has_gone_out(newsletter, article):
                return None
            edition = Edition.objects.create(
                newsletter=newsletter,
                slot=_free_slot(newsletter, slot) if article else slot,
                slug=_slug(newsletter, slot),
                due_at=slot,
                expires_at=slot + EXPIRES_AFTER,
                priority=1 if newsletter.cadence == Cadence.AT_ONCE else 0,
            )
            composing.write_items(
                edition, [article] if article else composing.candidates(newsletter, slot=slot)
            )
    except IntegrityError:  # the slot, or the slug of its day, was taken meanwhile
        return None
    fresh = (
        edition.items.count() if article else len(composing.fresh_articles(newsletter, slot=slot))
    )
    if fresh < newsletter.min_articles and not article:
        _skip(edition, f"{fresh} new articles, minimum {newsletter.min_articles}")
    elif newsletter.approval == Approval.AUTOMATIC and not hold:
        approving.approve(edition, content_hash=edition.content_hash, by=by)
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
    approving.approve(edition, content_hash=edition.content_hash, by=by)
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
    """Editions with something to do now. One that only waits for the hours of readers is not."""
    found = newsletter.editions.regular().filter(state__in=UNDER_WAY)
    return found.exclude(pk__in=Edition.objects.waiting_for_hours().values("pk"))


def _skip(edition: Edition, reason: str) -> None:
    Edition.objects.filter(pk=edition.pk, state=EditionState.DRAFT).update(
        state=EditionState.SKIPPED, reason=reason, finished_at=Now()
    )


def _has_gone_out(newsletter: Newsletter, article: Article) -> bool:
    """Whether another tick was faster; holds the newsletter's row, so that it stays true."""
    Newsletter.objects.select_for_update().get(pk=newsletter.pk)
    return newsletter.editions.regular().filter(articles=article).exists()


def _slug(newsletter: Newsletter, slot: datetime) -> str:
    """A readable public name: the newsletter and the day, numbered from the second one on."""
    base = f"{newsletter.slug}-{slot:%Y-%m-%d}"
    same_day = Edition.objects.filter(Q(slug=base) | Q(slug__startswith=f"{base}-")).count()
    return f"{base}-{same_day + 1}" if same_day else base


def _free_slot(newsletter: Newsletter, slot: datetime) -> datetime:
    """Two articles published in the same second get two slots, a microsecond apart."""
    while newsletter.editions.regular().filter(slot=slot).exists():
        slot += timedelta(microseconds=1)
    return slot
