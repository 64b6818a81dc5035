"""Loads the demo newsroom: the topics, and the articles that lie beside this file.

An article is one file: lines of `name: value`, a line `---`, then the body as HTML. The file's name
is the article's slug; `picture` names a file in `pictures`.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from django.db import transaction
from django.db.models import Q

from iria_news.articles import pictures, writing
from iria_news.articles.models import Article, ArticleState, Topic

ARTICLES = Path(__file__).parent / "articles"
PICTURES = Path(__file__).parent / "pictures"

TOPICS = [  # in the order of the navigation
    Topic(
        slug="asia-pacific",
        name="Asia-Pacific",
        description="Sea lanes, islands and alliances between the Indian Ocean and the Pacific.",
    ),
    Topic(
        slug="europe",
        name="Europe",
        description="Defence, infrastructure and trade from the Atlantic to the Black Sea.",
    ),
    Topic(
        slug="middle-east",
        name="Middle East",
        description="Energy, water and deterrence around the Gulf and the eastern Mediterranean.",
    ),
    Topic(
        slug="africa",
        name="Africa",
        description="States, ports and resources of a continent with very many neighbours.",
    ),
    Topic(
        slug="us",
        name="US",
        description="How the United States arms, trades and keeps its commitments abroad.",
    ),
    Topic(
        slug="security",
        name="Security",
        description="Arms control, technology and the rules that keep rivals from each other.",
    ),
]


def load(now: datetime) -> int:
    """Publish the demo articles as if written in the weeks before `now`; return how many are new.

    An article that is there already, even with another slug by now, stays as it is: loading twice
    changes nothing. All of it is stored, or nothing.
    """
    with transaction.atomic():
        topics = {topic.slug: _kept(topic, place) for place, topic in enumerate(TOPICS, start=1)}
        return sum(_publish(file, topics, now) for file in sorted(ARTICLES.glob("*.html")))


def read(file: Path) -> tuple[dict[str, str], str]:
    """Return the named values at the head of an article's file, and its body."""
    head, _, body = file.read_text("utf-8").partition("\n---\n")
    pairs = (line.partition(":") for line in head.splitlines())
    return {name: value.strip() for name, _, value in pairs}, body


def _kept(topic: Topic, place: int) -> Topic:
    """Editors may have given the topic another name or address; either one tells us."""
    there = Topic.objects.filter(Q(slug=topic.slug) | Q(name=topic.name)).first()
    return there or Topic.objects.create(
        slug=topic.slug, name=topic.name, description=topic.description, position=place
    )


def _publish(file: Path, topics: Mapping[str, Topic], now: datetime) -> bool:
    """False means that the article is there already."""
    slug, guid = file.stem, f"demo:{file.stem}"
    if Article.objects.filter(Q(slug=slug) | Q(source_guid=guid)).exists():
        return False
    head, body = read(file)
    article = Article(
        slug=slug,
        source_guid=guid,
        title=head["title"],
        kind=head["kind"],
        standfirst=head["standfirst"],
        body=body,
        byline=head["byline"],
        language=head["language"],
        state=ArticleState.PUBLISHED,
        published_at=now - timedelta(hours=float(head["age_hours"])),
    )
    if "picture" in head:
        _illustrate(article, head)
    writing.prepare(article)
    article.save()
    article.topics.set(topics[name] for name in head["topics"].split(", "))
    return True


def _illustrate(article: Article, head: Mapping[str, str]) -> None:
    content = (PICTURES / head["picture"]).read_bytes()
    picture = pictures.checked(content, head["picture"])
    article.lead_image.save(head["picture"], picture, save=False)
    article.lead_alt = head["alt"]
    article.lead_caption = head["caption"]
    article.lead_credit = head["credit"]
