"""What a mail shows, as plain values: read from the rows in three queries, whatever the number."""

import re
from dataclasses import dataclass, replace
from datetime import date, datetime
from html import unescape
from urllib.parse import urljoin, urlsplit
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Prefetch
from django.db.models.fields.files import FieldFile
from django.urls import reverse

from iria_news.articles.models import Article, Topic
from iria_news.mail import headers
from mailer import frame_words, notices, schedule, wording
from mailer.models import Edition, EditionArticle, EditionKind
from mailer.notices import Notice
from subscribers import links
from subscribers.models import Look

MOST_ARTICLES = 62  # bits of a list
PARAGRAPH = re.compile(r"<p[^>]*>(.*?)</p>", re.DOTALL)
TAG = re.compile(r"<[^>]*>")
EMPTY_LINES = re.compile(r"\n\s*\n")


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
    introduction: tuple[str, ...] = ()  # paragraphs of plain text, each on one line
    note: tuple[str, ...] = ()  # likewise
    picture: "Picture | None" = None  # above the introduction
    by_topic: bool = True  # a section for each topic; else one list in its order
    corrections: tuple[Notice, ...] = ()  # that these readers need, the newest first
    language: str = frame_words.ENGLISH  # of the newsletter

    @property
    def frame(self) -> frame_words.Frame:
        """What stands around the articles."""
        return frame_words.frame(self.language)

    @property
    def title(self) -> str:
        return f"{self.newsletter_name}{':' if self.away else ','} {self.day}"

    @property
    def day(self) -> str:
        """What stands beside the name of the newsletter."""
        return self.away or wording.long_date(self.on, self.language)


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


def load(edition_id: int, articles: int, corrections: int = 0) -> tuple[Facts, list[Item]]:
    """Read what a mail with these articles and corrections (sums of bits) says, in their order."""
    edition = Edition.objects.select_related("newsletter").get(pk=edition_id)
    newsletter = edition.newsletter
    zone = schedule.zone_of(newsletter.zone)
    bits = _bits(articles)
    rows = (
        EditionArticle.objects.filter(edition=edition, bit__in=bits)
        .select_related("article")
        .prefetch_related(Prefetch("article__topics", Topic.objects.order_by("position", "name")))
        .order_by("bit")
    )
    with_opening = newsletter.look == Look.ALERT and len(bits) == 1
    if not with_opening:
        rows = rows.defer("article__body")  # by far the largest column
    items = [_item(row, zone, with_opening=with_opening) for row in rows]
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
        introduction=paragraphs(edition.introduction),
        note=paragraphs(edition.note),
        picture=_edition_picture(edition),
        by_topic=edition.by_topic,
        language=newsletter.language,
        corrections=notices.load(edition.pk, _bits(corrections), zone),
    )
    return facts, items


def _bits(of: int) -> list[int]:
    return [1 << rank for rank in range(MOST_ARTICLES) if of >> rank & 1]


def page_url(edition: Edition) -> str:
    """Where an edition is read in a browser, signed if it is private; empty if it has no page."""
    if edition.kind != EditionKind.REGULAR:
        return ""
    if edition.newsletter.is_private:
        return links.edition_url(edition.pk)
    return settings.SITE_URL + reverse("edition", args=[edition.slug])


def _away(edition: Edition) -> str:
    if edition.away_from is None or edition.away_to is None:
        return ""
    return wording.while_away(edition.away_from, edition.away_to, edition.newsletter.language)


def paragraphs(text: str) -> tuple[str, ...]:
    """Parts of a plain text between empty lines, each on one line."""
    lines = map(headers.one_line, EMPTY_LINES.split(text))
    return tuple(line for line in lines if line)


def _item(row: EditionArticle, zone: ZoneInfo, *, with_opening: bool) -> Item:
    article = row.article
    standfirst = row.blurb or article.standfirst
    topics = list(article.topics.all())
    published_at = article.published_at or article.modified_at
    return Item(
        title=headers.one_line(article.title),
        url=settings.SITE_URL + article.get_absolute_url(),
        language=article.language,
        direction=article.direction,
        kind=article.kind,
        standfirst=headers.one_line(standfirst),
        byline=headers.one_line(article.byline),
        published_at=published_at,
        minutes=article.reading_minutes,
        topics=tuple(topic.name for topic in topics),
        position=topics[0].position if topics else 0,
        published_on=published_at.astimezone(zone).date(),
        opening=_opening(article.body, standfirst) if with_opening else "",
        picture=_lead_picture(article),
    )


def _opening(body: str, standfirst: str) -> str:
    """The first paragraph of a body as plain text, unless the standfirst already says it."""
    for found in PARAGRAPH.finditer(body):
        text = headers.one_line(unescape(TAG.sub("", found[1])))
        if text and text != headers.one_line(standfirst):
            return text
    return ""


def _lead_picture(article: Article) -> Picture | None:
    return _picture(
        article.lead_image,
        article.lead_width,
        article.lead_height,
        alt=headers.one_line(article.lead_alt) or headers.one_line(article.title),
        caption=article.lead_caption,
        credit=article.lead_credit,
    )


def _edition_picture(edition: Edition) -> Picture | None:
    return _picture(
        edition.picture,
        edition.picture_width,
        edition.picture_height,
        alt=headers.one_line(edition.picture_alt),
        caption=edition.picture_caption,
        credit=edition.picture_credit,
    )


def _picture(
    file: FieldFile, width: int | None, height: int | None, *, alt: str, caption: str, credit: str
) -> Picture | None:
    """A picture, if it has a size and lies on a host whose pictures we show (M20)."""
    if not (file and width and height):
        return None
    url = urljoin(f"{settings.SITE_URL}/", file.url)
    is_ours = url.startswith(f"{settings.SITE_URL}/")
    parts = urlsplit(url)
    if not is_ours and not (parts.scheme == "https" and parts.hostname in settings.IMAGE_HOSTS):
        return None
    return Picture(url, width, height, alt, headers.one_line(caption), headers.one_line(credit))
