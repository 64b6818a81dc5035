"""Step 2, what: which articles an edition carries, and who may let it go. Knows no recipients."""

import hashlib
import json
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from iria_news.articles.models import Article, ArticleQuerySet
from mailer import schedule
from mailer.models import (
    AT_REST,
    TO_BE_CLEARED,
    BatchState,
    Edition,
    EditionArticle,
    EditionKind,
    EditionQuerySet,
    EditionState,
)
from subscribers.models import Approval, Cadence, Newsletter, Subscription

log = logging.getLogger(__name__)

EXPIRES_AFTER = timedelta(hours=36)  # news that cannot be delivered by then is none
UNDER_WAY = [
    EditionState.APPROVED,
    EditionState.FREEZING,
    EditionState.RENDERING,
    EditionState.READY,
    EditionState.SENDING,
]


class ContentChanged(Exception):
    """The edition is not the one that was read: show it again and ask again."""


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
        articles = carried(newsletter).filter(published_at__gt=since)
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
            write_items(edition, [article] if article else candidates(newsletter, slot=slot))
    except IntegrityError:  # the slot, or the slug of its day, was taken meanwhile
        return None
    fresh = edition.items.count() if article else len(fresh_articles(newsletter, slot=slot))
    if fresh < newsletter.min_articles and not article:
        _skip(edition, f"{fresh} new articles, minimum {newsletter.min_articles}")
    elif newsletter.approval == Approval.AUTOMATIC and not hold:
        approve(edition, content_hash=edition.content_hash, by=by)
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
    approve(edition, content_hash=edition.content_hash, by=by)
    edition.refresh_from_db()
    return edition


def why_not_now(newsletter: Newsletter) -> str:
    """The sentence with which `send_now` would refuse; empty if it would not."""
    if not newsletter.is_active:
        return f"{newsletter} is switched off. Switch it on first."
    if _under_way(newsletter).exists():
        return f"An edition of {newsletter} is under way. Wait until it is done, or cancel it."
    fresh = len(fresh_articles(newsletter, slot=timezone.now()))
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


def carried(newsletter: Newsletter) -> ArticleQuerySet:
    """Published articles of the newsletter's topics; of all topics if it names none."""
    articles = Article.objects.published().without_body()
    topics = list(newsletter.topics.values_list("pk", flat=True))
    return articles.filter(topics__in=topics).distinct() if topics else articles


def candidates(newsletter: Newsletter, *, slot: datetime) -> list[Article]:
    """The articles of the look-back window, those that no edition carried yet first.

    Older ones stay in: a reader whose delivery failed has not had them, and the freeze takes out,
    for each reader, what they have. The list is cut to the newsletter's maximum.
    """
    since = slot - timedelta(days=newsletter.look_back_days)
    window = carried(newsletter).filter(published_at__gt=since).newest_first()
    fresh = {article.pk for article in fresh_articles(newsletter, slot=slot)}
    articles = sorted(window, key=lambda article: article.pk not in fresh)  # stable
    return articles[: newsletter.max_articles]


def fresh_articles(newsletter: Newsletter, *, slot: datetime) -> list[Article]:
    """The articles of the window that no earlier edition of this newsletter has carried out."""
    since = slot - timedelta(days=newsletter.look_back_days)
    gone_out = EditionArticle.objects.filter(
        edition__newsletter=newsletter,
        edition__kind=EditionKind.REGULAR,
        edition__slot__lt=slot,
    ).exclude(edition__state__in=[EditionState.CANCELLED, EditionState.SKIPPED])
    return list(
        carried(newsletter)
        .filter(published_at__gt=since)
        .exclude(pk__in=gone_out.values("article"))
        .newest_first()
    )


def compose(edition: Edition) -> int:
    """Choose the articles of a draft anew; return how many it carries now.

    Changes nothing once the edition has left DRAFT, and then returns what it carries.
    """
    with transaction.atomic():
        # Touching the row takes its lock: an approval waits, and then meets another hash.
        if Edition.objects.filter(pk=edition.pk, state=EditionState.DRAFT).update(
            cursor=F("cursor")
        ):
            edition.items.all().delete()
            write_items(edition, candidates(edition.newsletter, slot=edition.slot))
    return edition.items.count()


def write_items(edition: Edition, articles: Sequence[Article]) -> None:
    """Make these, at most 62, what the edition carries; the first is the lead."""
    EditionArticle.objects.bulk_create(
        EditionArticle(edition=edition, article=article, bit=1 << rank)
        for rank, article in enumerate(articles)
    )
    edition.content_hash = content_hash(edition)
    edition.save(update_fields=["content_hash"])


def content_hash(edition: Edition) -> str:
    """SHA-256 over what readers will see, so that an approval is bound to what was read."""
    items = edition.items.select_related("article").order_by("bit")
    seen = [
        [
            item.article_id,
            item.article.title,
            item.article.slug,
            item.article.standfirst,
            item.article.kind,
            item.article.byline,
            item.article.language,
            item.article.lead_image.name or "",
            item.article.lead_alt,
            item.article.lead_caption,
            item.article.lead_credit,
        ]
        for item in items
    ]
    text = json.dumps([edition.newsletter_id, edition.subject, edition.preheader, seen])
    return hashlib.sha256(text.encode()).hexdigest()


def approve(edition: Edition, *, content_hash: str, by: User | None) -> bool:
    """Release exactly the content that `by` has read; say whether we did.

    `by` is None for a newsletter that needs no person. False means the edition had already left
    DRAFT: approved by a colleague, cancelled or skipped. Raises ContentChanged if it was composed
    anew since it was read.
    """
    as_read = Edition.objects.filter(
        pk=edition.pk, state=EditionState.DRAFT, content_hash=content_hash
    )
    if as_read.update(state=EditionState.APPROVED, approved_at=Now(), approved_by=by):
        return True
    edition.refresh_from_db()
    if edition.content_hash != content_hash:
        raise ContentChanged(edition)
    return False


def begin_freezing(edition: Edition) -> bool:
    """Take an approved edition whose time has come into FREEZING, if no other is freezing.

    Items withdrawn since are dropped. If a person approved something else than what would go out
    now, the approval is void and the edition is a draft again. Returns whether it freezes.
    """
    try:
        with transaction.atomic():
            approved = Edition.objects.filter(pk=edition.pk, state=EditionState.APPROVED)
            if not approved.update(state=EditionState.FREEZING, cursor=TO_BE_CLEARED):
                return False
            edition.items.exclude(article__in=Article.objects.published()).delete()
            current = content_hash(edition)
            if current == edition.content_hash:
                return True
            if _needs_nobody(edition):
                Edition.objects.filter(pk=edition.pk).update(content_hash=current)
                return True
            Edition.objects.filter(pk=edition.pk).update(
                state=EditionState.DRAFT,
                content_hash=current,
                reason="An article changed after the approval. Read it again and approve it.",
            )
    except IntegrityError:  # one_edition_freezes_at_a_time
        pass
    return False


def pause(edition: Edition, *, reason: str) -> bool:
    """Stop new intents from this commit on (G5); False when it was not under way."""
    return bool(
        Edition.objects.filter(pk=edition.pk, state__in=UNDER_WAY).update(
            state=EditionState.PAUSED, reason=reason[:200]
        )
    )


def resume(edition: Edition) -> bool:
    """Go on where it stopped; False when it was not paused.

    Not frozen: approved again, and the audience is written down from the start. Otherwise it is
    sending again, once every cohort is rendered.
    """
    paused = Edition.objects.filter(pk=edition.pk, state=EditionState.PAUSED)
    if paused.filter(frozen_at__isnull=True).update(state=EditionState.APPROVED, reason=""):
        return True
    if not paused.exists():
        return False
    edition.cohorts.unrendered().update(error="", claimed_until=None)
    edition.batches.filter(state=BatchState.STUCK).update(state=BatchState.READY, losses=0)
    return bool(
        paused.filter(frozen_at__isnull=False).update(
            state=EditionState.RENDERING, reason="", resumed_at=Now()
        )
    )


def cancel(edition: Edition, *, reason: str) -> bool:
    """Send nothing more of this edition; False when it had already come to rest.

    What has left stays sent. The tick marks the open deliveries as cancelled, batch by batch.
    """
    return bool(
        Edition.objects.filter(pk=edition.pk)
        .exclude(state__in=AT_REST)
        .update(state=EditionState.CANCELLED, reason=reason[:200], finished_at=Now())
    )


def expected_readers(newsletter: Newsletter) -> int:
    """How many readers follow the newsletter now. The freeze leaves out those with nothing new."""
    return Subscription.objects.active().filter(newsletter=newsletter).count()


def expected_readers_of(edition: Edition) -> int:
    """How many an edition may reach that is not frozen yet."""
    if edition.kind == EditionKind.CATCH_UP:
        return edition.catch_ups.count()
    return expected_readers(edition.newsletter)


def _needs_nobody(edition: Edition) -> bool:
    """Whether it leaves without a person who approves it."""
    return edition.kind == EditionKind.CATCH_UP or edition.newsletter.approval == Approval.AUTOMATIC


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
