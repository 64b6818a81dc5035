"""Corrections as mails show them, read in one query."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from django.conf import settings

from iria_news.articles.models import Correction
from iria_news.mail import headers
from mailer import wording
from mailer.models import EditionCorrection


@dataclass(frozen=True)
class Notice:
    """A correction behind the title of its article."""

    title: str
    url: str
    language: str
    direction: str
    published_on: date | None  # in the zone of the newsletter
    text: str
    is_withdrawal: bool

    @property
    def when(self) -> str:
        """Day and month of the article; nothing for one that never had a day."""
        return wording.day(self.published_on, self.language) if self.published_on else ""


def load(edition_id: int, bits: Sequence[int], zone: ZoneInfo) -> tuple[Notice, ...]:
    """Those of an edition with these bits, in their order."""
    rows = EditionCorrection.objects.filter(edition=edition_id, bit__in=bits).order_by("bit")
    found = rows.select_related("correction__article").defer("correction__article__body")
    return tuple(_notice(row.correction, zone) for row in found) if bits else ()


def _notice(correction: Correction, zone: ZoneInfo) -> Notice:
    article = correction.article
    at = article.published_at
    return Notice(
        title=headers.one_line(article.title),
        url=settings.SITE_URL + article.get_absolute_url(),
        language=article.language,
        direction=article.direction,
        published_on=at.astimezone(zone).date() if at else None,
        text=headers.one_line(correction.note),
        is_withdrawal=correction.is_withdrawal,
    )
