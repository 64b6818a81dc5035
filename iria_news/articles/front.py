"""What stands where on the front page: one reading of the newest articles, laid out."""

from dataclasses import dataclass

from iria_news.articles.models import Article, Topic

NEWEST = 60  # articles the page is made from
BESIDE = UNDER = 2  # stories around the lead
LATEST = 7  # headlines
BANDS = 6
BANDS_IN_ROW = 3
BAND_STORIES = 3
LEAD_CANDIDATES = 4  # the lead is among the newest, and has a picture if one of them has


@dataclass(frozen=True)
class Band:
    topic: Topic
    articles: list[Article]


@dataclass(frozen=True)
class Front:
    lead: Article | None
    beside: list[Article]
    under: list[Article]
    latest: list[Article]
    band_rows: list[list[Band]]


def compose() -> Front:
    """Lay out the front page; no article stands on it twice, but for the list of the latest."""
    newest = list(
        Article.objects.published()
        .newest_first()
        .without_body()
        .prefetch_related("topics")[:NEWEST]
    )
    lead = next((one for one in newest[:LEAD_CANDIDATES] if one.lead_image), None)
    lead = lead or next(iter(newest), None)
    rest = [article for article in newest if article != lead]
    around = BESIDE + UNDER
    return Front(
        lead=lead,
        beside=rest[:BESIDE],
        under=rest[BESIDE:around],
        latest=rest[around : around + LATEST],
        band_rows=_band_rows(rest[around:]),
    )


def _band_rows(articles: list[Article]) -> list[list[Band]]:
    """Bands in the newsroom's order of topics; only full ones, and only full rows of them."""
    topics = {topic for article in articles for topic in article.topics.all()}
    left = list(articles)
    bands: list[Band] = []
    for topic in sorted(topics, key=lambda topic: (topic.position, topic.name)):
        stories = [one for one in left if topic in one.topics.all()][:BAND_STORIES]
        if len(stories) == BAND_STORIES:
            bands.append(Band(topic, stories))
            left = [one for one in left if one not in stories]
    rows = [bands[start : start + BANDS_IN_ROW] for start in range(0, BANDS, BANDS_IN_ROW)]
    return [row for row in rows if len(row) == BANDS_IN_ROW]
