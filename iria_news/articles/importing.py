"""A feed becomes articles. Bytes in, a report out; where the bytes come from is not known here."""

import calendar
import hashlib
import io
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from itertools import count
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.sax import SAXParseException

import feedparser
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.html import linebreaks
from django.utils.text import slugify

from iria_news.articles import reading, sanitising, writing
from iria_news.articles.models import Article, ArticleState, Language, Topic

LIMIT_BYTES = 20_000_000
UNPLACED = 100  # position of an imported topic: after those the newsroom has put in order
CUT_OFF = re.compile(r"\s*(?:\[(?:…|\.\.\.)\]|…)\s*$")  # how WordPress ends an excerpt
# What a feed says about an article; an import never touches anything else of it.
FIELDS = ("title", "standfirst", "body", "byline", "language", "published_at", "reading_minutes")


class BrokenFeed(Exception):
    """Nothing was imported. The message is a sentence without its subject: "is not ..."."""


class Refused(Exception):
    """This item cannot become an article. The message is the reason."""


class Outcome(StrEnum):
    NEW = "new"  # stored and published
    CHANGED = "changed"  # known by its guid; text, topics or date now follow the feed
    UNCHANGED = "unchanged"  # known, and the same


@dataclass
class Report:
    """What became of each item of a feed."""

    counts: Counter[Outcome] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)  # one sentence each
    foreign_hosts: set[str] = field(default_factory=set)  # of pictures that pages will not show


def import_feed(content: bytes) -> Report:
    """Store the articles of an RSS or Atom feed and report each one.

    An item is known by its guid: a second import of the same feed changes nothing. New articles
    are published with the feed's date; of a known one text, topics and date follow the feed, its
    address and state stay (a withdrawn article stays withdrawn). Each item is stored whole or, with
    a reason in the report, not at all. Raises BrokenFeed, before anything is stored.
    """
    feed = _parsed(content)
    report = Report()
    guids = [_guid(entry) for entry in feed.entries]
    known = Article.objects.prefetch_related("topics").in_bulk(guids, field_name="source_guid")
    topics = _Topics()
    for number, (guid, entry) in enumerate(zip(guids, feed.entries, strict=True), start=1):
        try:
            if guid in guids[: number - 1]:
                raise Refused("its guid stands in the feed twice")
            article = known.get(guid) or Article(source_guid=guid)
            report.counts[_import_entry(entry, feed.feed, article, topics)] += 1
        except Refused as reason:
            title = sanitising.plain_text(entry.get("title", "")) or "without a title"
            report.refused.append(f"Item {number} ({title[:80]}) was refused: {reason}.")
        else:
            report.foreign_hosts |= reading.foreign_picture_hosts(article.body)
    return report


class _Topics:
    """The topics there are, by address and by name, read once for a whole feed."""

    def __init__(self) -> None:
        self.known: dict[str, Topic] = {}
        for topic in Topic.objects.all():
            self._add(topic)

    def find(self, name: str) -> Topic | None:
        return self.known.get(_topic_slug(name)) or self.known.get(name.lower())

    def find_or_create(self, name: str) -> Topic:
        topic = self.find(name)
        if not topic:
            topic, _ = Topic.objects.get_or_create(
                name=name, defaults={"slug": _topic_slug(name), "position": UNPLACED}
            )
            self._add(topic)
        return topic

    def _add(self, topic: Topic) -> None:
        self.known[topic.slug] = self.known[topic.name.lower()] = topic


def _parsed(content: bytes) -> Any:  # feedparser has no types
    feed = feedparser.parse(
        io.BytesIO(content),
        sanitize_html=False,  # the sanitiser is ours, and figures must survive
        resolve_relative_uris=False,
    )
    if not feed.get("version"):
        raise BrokenFeed("is not an RSS or Atom feed")
    problem = feed.get("bozo_exception")
    if isinstance(problem, SAXParseException):
        # feedparser rescues what it can; half an article is worse than none.
        raise BrokenFeed(
            f"is broken: {problem.getMessage()} in line {problem.getLineNumber()} of its XML"
        )
    return feed


def _guid(entry: Any) -> str:
    return str(entry.get("id") or entry.get("link") or "")


def _import_entry(entry: Any, feed: Any, article: Article, topics: _Topics) -> Outcome:
    """Fill the article from the entry and store it where they differ. Raises Refused."""
    before = _content(article)
    known_topics = {topic.pk for topic in article.topics.all()} if article.pk else set()
    names = _topic_names(entry)
    _fill(article, entry, feed)
    if article.pk:
        found = [topics.find(name) for name in names]
        if before == _content(article) and known_topics == {topic and topic.pk for topic in found}:
            return Outcome.UNCHANGED
        outcome = Outcome.CHANGED
    else:
        article.state = ArticleState.PUBLISHED
        article.slug = _free_slug(entry, article)
        outcome = Outcome.NEW
    _store(article, [topics.find_or_create(name) for name in names])
    return outcome


def _store(article: Article, topics: list[Topic]) -> None:
    try:
        with transaction.atomic():
            article.save()
            article.topics.set(topics)
    except IntegrityError as error:
        raise Refused("another import stored it just now; import again to compare") from error


def _fill(article: Article, entry: Any, feed: Any) -> None:
    _within("guid", article.source_guid or "", 300, needed=True)
    article.title = _within(
        "title", sanitising.plain_text(entry.get("title", "")), 200, needed=True
    )
    article.standfirst = _shortened(_without_ending(entry.get("summary", "")))
    author = sanitising.plain_text(entry.get("author", "")) or settings.SITE_NAME
    article.byline = _within("author", author, 100)
    article.language = _language(feed)
    article.published_at = _published_at(entry)
    article.body = _body(entry)
    writing.prepare(article, base=entry.get("link") or feed.get("link") or "")
    if not sanitising.plain_text(article.body):
        raise Refused("it has no text")


def _body(entry: Any) -> str:
    for content in entry.get("content", []):
        if value := content.get("value"):
            plain = content.get("type") == "text/plain"
            return linebreaks(value, autoescape=True) if plain else str(value)
    return str(entry.get("summary", ""))


def _content(article: Article) -> list[object]:
    return [getattr(article, name) for name in FIELDS]


def _within(name: str, value: str, limit: int, *, needed: bool = False) -> str:
    if needed and not value:
        raise Refused(f"it has no {name}")
    if len(value) > limit:
        raise Refused(f"its {name} has {len(value)} characters, and at most {limit} fit")
    return value


def _without_ending(summary: str) -> str:
    return CUT_OFF.sub("", sanitising.plain_text(summary))


def _shortened(text: str) -> str:
    """A standfirst holds 600 characters; a longer description ends at its last whole word."""
    return text if len(text) <= 600 else text[:599].rpartition(" ")[0] + "…"


def _language(feed: Any) -> str:
    named = str(feed.get("language") or Language.ENGLISH)
    short = named.lower().replace("_", "-").partition("-")[0]
    if short not in Language.values:
        raise Refused(f'its language, "{named}", is none of {", ".join(Language.values)}')
    return short


def _published_at(entry: Any) -> datetime:
    moment = entry.get("published_parsed")
    if not moment and "updated_parsed" in entry:  # asking for it when absent is deprecated
        moment = entry["updated_parsed"]
    if not moment:
        raise Refused("it has no date that can be read")
    try:
        return datetime.fromtimestamp(calendar.timegm(moment), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise Refused("its date is out of range") from error


def _topic_names(entry: Any) -> list[str]:
    names = [sanitising.plain_text(tag.get("term") or "") for tag in entry.get("tags", [])]
    by_slug = {_topic_slug(name): name for name in reversed(names) if name}  # the first spelling
    return [_within("category", name, 60) for name in by_slug.values()]


def _topic_slug(name: str) -> str:
    """A name without a Latin letter gets a stable number instead."""
    return slugify(name)[:60] or f"topic-{_number(name)}"


def _free_slug(entry: Any, article: Article) -> str:
    path = unquote(urlsplit(entry.get("link", "")).path).rstrip("/")
    wanted = slugify(path.rpartition("/")[2]) or slugify(article.title)
    wanted = wanted[:110] or f"article-{_number(article.source_guid or '')}"
    taken = set(Article.objects.filter(slug__startswith=wanted).values_list("slug", flat=True))
    names = (wanted if number == 1 else f"{wanted}-{number}" for number in count(1))
    return next(name for name in names if name not in taken)


def _number(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]
