"""Step 2d, an urgent correction: told at once to those who were mailed the earlier text.

It is an edition of its own kind, one for each newsletter through which these readers can be
reached. The freeze finds who does not know yet; nobody is told twice, whichever is first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from iria_news.articles.models import Article, Correction
from mailer import approving, corrections, dialect, editions, history, urgency, wording
from mailer.models import Edition, EditionKind, EditionState
from subscribers.models import Newsletter

SUBJECT = 200  # characters; a column of the edition


class NothingToTell(Exception):
    """No edition was opened. The message says why, for the person who asked."""


@dataclass(frozen=True)
class Share:
    """The readers who are told through one newsletter."""

    newsletter: Newsletter
    readers: int


def shares(article: Article) -> list[Share]:
    """Who has the earlier text of an article and does not know yet, by newsletter.

    A reader of several is counted with one that carried the article, if there is one. Reads all
    deliveries of the editions with the article: a second or two for a million.
    """
    rows = dialect.fetch(
        f"""
        WITH mended AS (
            SELECT id AS correction_id, article_id, at, CAST(1 AS bigint)
                << CAST(ROW_NUMBER() OVER (ORDER BY at DESC, id DESC) - 1 AS integer) AS bit
            FROM articles_correction WHERE article_id = %s
            ORDER BY at DESC, id DESC LIMIT {corrections.MOST}
        ), untold AS ({history.UNTOLD}), choice AS (
            SELECT s.newsletter_id, ROW_NUMBER() OVER (
                PARTITION BY untold.subscriber_id ORDER BY CASE WHEN EXISTS (
                    SELECT 1 FROM mailer_edition e
                    JOIN mailer_editionarticle i ON i.edition_id = e.id AND i.article_id = %s
                    WHERE e.newsletter_id = s.newsletter_id AND e.frozen_at IS NOT NULL
                ) THEN 0 ELSE 1 END, s.newsletter_id
            ) AS place
            FROM untold
            JOIN subscribers_subscriber r ON r.id = untold.subscriber_id AND r.state = 'active'
            JOIN subscribers_subscription s ON s.subscriber_id = r.id
                AND s.ended_at IS NULL AND s.confirmed_at IS NOT NULL
            JOIN subscribers_newsletter n ON n.id = s.newsletter_id AND n.is_active
        )
        SELECT newsletter_id, COUNT(*) FROM choice WHERE place = 1
        GROUP BY newsletter_id ORDER BY newsletter_id
        """,  # noqa: S608  # constants of ours
        [article.pk, article.pk],
    )
    newsletters = Newsletter.objects.in_bulk([pk for pk, _ in rows])
    return [Share(newsletters[pk], readers) for pk, readers in rows]


def why_not(article: Article, found: Sequence[Share]) -> str:
    """The sentence with which `tell` would refuse; empty if it would not."""
    waiting = _under_way(article)
    if waiting is not None:
        return f"{waiting} tells them: it is {waiting.state}. Let it go, or cancel it first."
    if not corrections.mailed_before(article).exists():
        return "It was not corrected since an edition carried it. Record the correction first."
    if not found:
        return "Nobody is left to tell: all who were mailed the earlier text know."
    return ""


def tell(article: Article, *, by: User, at: datetime) -> list[Edition]:
    """Open an edition for each newsletter that has readers to be told, and approve it if it may.

    Where a person approves, it waits for somebody else than `by`. `at` names the moment of asking:
    the same request twice, as by a double click, gives the same editions. Raises NothingToTell.
    """
    if existing := _opened(article, at):
        return existing
    found = shares(article)
    if reason := why_not(article, found):
        raise NothingToTell(reason)
    told = list(corrections.mailed_before(article)[: corrections.MOST])
    try:
        with transaction.atomic():
            opened = [_open(share.newsletter, told, by=by, at=at) for share in found]
    except IntegrityError:  # the other click was faster: their slugs are taken
        return _opened(article, at)
    for edition in opened:
        edition.refresh_from_db()
        if approving.needs_nobody(edition):
            approving.approve(edition, content_hash=edition.content_hash, by=by)
        else:
            approving.ask(edition, by=by)
        edition.refresh_from_db()
    return opened


def _open(newsletter: Newsletter, told: Sequence[Correction], *, by: User, at: datetime) -> Edition:
    article = told[0].article
    edition = Edition.objects.create(
        kind=EditionKind.CORRECTION,
        newsletter=newsletter,
        slot=at,
        slug=f"{newsletter.slug}{_tail(article, at)}",
        subject=_subject(told, newsletter.language),
        due_at=at,
        expires_at=at + editions.EXPIRES_AFTER,
        priority=urgency.PRIORITY,
        written_by=by,
    )
    corrections.write(edition, [correction.pk for correction in told])
    edition.content_hash = approving.content_hash(edition)
    edition.save(update_fields=["content_hash"])
    return edition


def _subject(told: Sequence[Correction], language: str) -> str:
    title, is_withdrawal = told[0].article.title, any(one.is_withdrawal for one in told)
    said = wording.subject_to_tell(title, is_withdrawal=is_withdrawal, language=language)
    return said if len(said) <= SUBJECT else f"{said[: SUBJECT - 2].rstrip()} …"


def _tail(article: Article, at: datetime) -> str:
    """How the slugs of the editions of one request end."""
    return f"-correction-{article.pk}-{int(at.timestamp())}"


def _opened(article: Article, at: datetime) -> list[Edition]:
    found = Edition.objects.filter(kind=EditionKind.CORRECTION, slug__endswith=_tail(article, at))
    return list(found.order_by("pk"))


def _under_way(article: Article) -> Edition | None:
    """An edition that will tell of this article once it is frozen."""
    before_the_freeze = [EditionState.DRAFT, EditionState.APPROVED, EditionState.FREEZING]
    found = Edition.objects.filter(
        kind=EditionKind.CORRECTION, corrections__correction__article=article, frozen_at=None
    )
    return found.filter(state__in=[*before_the_freeze, EditionState.PAUSED]).first()
