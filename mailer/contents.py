"""What a mail shows, as plain values: read from the rows in three queries, whatever the number."""

import re
from dataclasses import dataclass, replace
from datetime import date, datetime
from html import unescape
from urllib.parse import urljoin, urlsplit
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Prefetch
from django.urls import reverse

from iria_news.articles.models import Article, Topic
from iria_news.mail import headers
from mailer import wording
from mailer.models import Edition, EditionArticle, EditionKind
from subscribers import links
from subscribers.models import Look

MOST_ARTICLES = 62  # bits of a list
PARAGRAPH = re.compile(r"<p[^>]*>(.*?)</p>", re.DOTALL)
TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class Facts:
    """What a mail says besides its articles."""

    newsletter_name: str
    newsletter_slug: str
    look: str
    is_private: bool
    edition_slug: str
    subject: str  # empty: made from the articles of the cohort
    preheader: str  # likewise
    on: date  # day of the slot, in the zone of the newsletter
    browser_url: str  # signed for a private newsletter; empty for a catch-up, which has no page
    away: str = ""  # of a catch-up: the days it is about, in words

    @property
    def title(self) -> str:
        return f"{self.newsletter_name}{':' if self.away else ','} {self.day}"

    @property
    def day(self) -> str:
        """What stands beside the name of the newsletter."""
        return self.away or wording.long_date(self.on)


@dataclass(frozen=True)
class Picture:
    url: str
    width: int
    height: int
    alt: str
    caption: str
    credit: str

    def at_width(self, width: int) -> "Picture":
        """The same picture as wide as its column; the file may be larger."""
        return replace(self, width=width, height=round(self.height * width / self.width))


@dataclass(frozen=True)
class Item:
    """An article as mails show it."""

    title: str
    url: str
    language: str
    direction: str
    kind: str
    standfirst: str
    byline: str
    published_at: datetime
    minutes: int
    topics: tuple[str, ...]  # in the order of the navigation
    position: int = 0  # of its first topic in the navigation
    published_on: date | None = None  # in the zone of the newsletter
    opening: str = ""  # first paragraph of the body, for an alert
    picture: Picture | None = None

    @property
    def script(self) -> str:
        """Which set of type it needs: Japanese, Arabic or Latin."""
        return {"ja": "-ja", "ar": "-ar"}.get(self.language, "")

    @property
    def align(self) -> str:
        return "right" if self.direction == "rtl" else "left"

    @property
    def section(self) -> str:
        return self.topics[0] if self.topics else ""

    @property
    def kickers(self) -> str:
        """Topics and kind, for an item that stands in no section."""
        return " · ".join(filter(None, [", ".join(self.topics[:2]), self.kind]))

    @property
    def meta(self) -> str:
        return " · ".join(filter(None, [self.byline, self._day, self._length]))

    @property
    def meta_with_hour(self) -> str:
        """For news of the hour: the instant in UTC, which is the same for every reader."""
        day = wording.full_date(self.published_at.date(), self.language)
        return f"{self.byline} · {day}, {self.published_at:%H:%M} UTC · {self._length}"

    @property
    def read(self) -> str:
        return wording.words(self.language).read

    @property
    def _day(self) -> str:
        return wording.day(self.published_on or self.published_at.date(), self.language)

    @property
    def _length(self) -> str:
        return wording.words(self.language).minutes(self.minutes)


def load(edition_id: int, articles: int) -> tuple[Facts, list[Item]]:
    """Read what a mail with these articles (a sum of bits) says, in the order of their rank."""
    edition = Edition.objects.select_related("newsletter").get(pk=edition_id)
    newsletter = edition.newsletter
    zone = ZoneInfo(newsletter.zone)
    bits = [1 << rank for rank in range(MOST_ARTICLES) if articles >> rank & 1]
    rows = (
        EditionArticle.objects.filter(edition=edition, bit__in=bits)
        .select_related("article")
        .prefetch_related(Prefetch("article__topics", Topic.objects.order_by("position", "name")))
        .order_by("bit")
    )
    with_opening = newsletter.look == Look.ALERT and len(bits) == 1
    if not with_opening:
        rows = rows.defer("article__body")  # by far the largest column
    items = [_item(row.article, zone, with_opening=with_opening) for row in rows]
    facts = Facts(
        newsletter_name=newsletter.name,
        newsletter_slug=newsletter.slug,
        look=newsletter.look,
        is_private=newsletter.is_private,
        edition_slug=edition.slug,
        subject=edition.subject,
        preheader=edition.preheader,
        on=edition.slot.astimezone(zone).date(),
        browser_url=page_url(edition),
        away=_away(edition),
    )
    return facts, items


def page_url(edition: Edition) -> str:
    """Where an edition is read in a browser: signed if it is private; empty for a catch-up."""
    if edition.kind == EditionKind.CATCH_UP:
        return ""
    if edition.newsletter.is_private:
        return links.edition_url(edition.pk)
    return settings.SITE_URL + reverse("edition", args=[edition.slug])


def _away(edition: Edition) -> str:
    if edition.away_from is None or edition.away_to is None:
        return ""
    return wording.while_away(edition.away_from, edition.away_to)


def _item(article: Article, zone: ZoneInfo, *, with_opening: bool) -> Item:
    topics = list(article.topics.all())
    published_at = article.published_at or article.modified_at
    return Item(
        title=headers.one_line(article.title),
        url=settings.SITE_URL + article.get_absolute_url(),
        language=article.language,
        direction=article.direction,
        kind=article.kind,
        standfirst=headers.one_line(article.standfirst),
        byline=headers.one_line(article.byline),
        published_at=published_at,
        minutes=article.reading_minutes,
        topics=tuple(topic.name for topic in topics),
        position=topics[0].position if topics else 0,
        published_on=published_at.astimezone(zone).date(),
        opening=_opening(article.body, article.standfirst) if with_opening else "",
        picture=_picture(article),
    )


def _opening(body: str, standfirst: str) -> str:
    """The first paragraph of a body as plain text, unless the standfirst already says it."""
    for found in PARAGRAPH.finditer(body):
        text = headers.one_line(unescape(TAG.sub("", found[1])))
        if text and text != headers.one_line(standfirst):
            return text
    return ""


def _picture(article: Article) -> Picture | None:
    """The lead picture, if it has a size and lies on a host whose pictures we show (M20)."""
    if not (article.lead_image and article.lead_width and article.lead_height):
        return None
    url = urljoin(f"{settings.SITE_URL}/", article.lead_image.url)
    is_ours = url.startswith(f"{settings.SITE_URL}/")
    parts = urlsplit(url)
    if not is_ours and not (parts.scheme == "https" and parts.hostname in settings.IMAGE_HOSTS):
        return None
    return Picture(
        url=url,
        width=article.lead_width,
        height=article.lead_height,
        alt=headers.one_line(article.lead_alt) or headers.one_line(article.title),
        caption=headers.one_line(article.lead_caption),
        credit=headers.one_line(article.lead_credit),
    )
