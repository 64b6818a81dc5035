import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image

from iria_news.articles import sanitising
from iria_news.articles.demo import newsroom
from iria_news.articles.models import Article, Language, Topic

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
FILES = sorted(newsroom.ARTICLES.glob("*.html"))
PICTURES = sorted(newsroom.PICTURES.iterdir())
SHORTEST_STANDFIRST = {Language.JAPANESE: 80}  # a character says more

every_article = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
every_picture = pytest.mark.parametrize("file", PICTURES, ids=lambda file: file.stem)


@pytest.fixture(autouse=True)
def _scratch_media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


@every_article
def test_an_article_says_all_that_pages_and_mails_show(file: Path):
    head, body = newsroom.read(file)

    assert 0 < len(head["title"]) <= 200
    assert SHORTEST_STANDFIRST.get(head["language"], 150) <= len(head["standfirst"]) <= 300
    assert head["language"] in Language.values
    assert len(head["kind"]) <= 30
    assert len(head["topics"].split(", ")) in {1, 2, 3}
    assert 3 <= body.count("<h2>") <= 6


@every_article
def test_a_desk_signs_and_never_a_person(file: Path):
    head, _ = newsroom.read(file)

    assert head["byline"].startswith("IRIA")
    assert re.search("desk$|Redaktion$|班$|قسم", head["byline"])


@every_article
def test_a_picture_comes_with_its_description_meaning_and_owner(file: Path):
    head, _ = newsroom.read(file)

    if "picture" in head:
        assert (newsroom.PICTURES / head["picture"]).is_file()
        assert 0 < len(head["alt"]) <= 250
        assert 0 < len(head["caption"]) <= 300
        assert "IRIA Graphics" in head["credit"]


@every_article
def test_the_sanitiser_finds_nothing_to_take_out(file: Path):
    _, body = newsroom.read(file)

    assert sanitising.clean_body(body) == body


@every_picture
def test_a_picture_is_wide_light_and_shown_somewhere(file: Path):
    with Image.open(file) as image:
        assert image.size == (1200, 675)
    assert file.stat().st_size <= 150_000
    assert file.name in {newsroom.read(article)[0].get("picture") for article in FILES}


@pytest.mark.django_db
def test_the_demo_fills_six_topics_in_four_languages():
    assert newsroom.load(NOW) == len(FILES) == 20

    assert Topic.objects.count() == 6
    for topic in Topic.objects.all():
        assert topic.description.endswith(".")
        assert topic.articles.count() >= 4
    assert set(Article.objects.values_list("language", flat=True)) == {"en", "ar", "de", "ja"}


@pytest.mark.django_db
def test_every_topic_has_news_of_the_last_day_and_the_rest_reaches_back_weeks():
    newsroom.load(NOW)

    def since(**ago: int) -> int:
        return Article.objects.filter(published_at__gt=NOW - timedelta(**ago)).count()

    assert not Article.objects.filter(published_at__gte=NOW).exists()
    assert (since(days=1), since(days=7)) == (9, 15)
    fresh = Topic.objects.filter(articles__published_at__gt=NOW - timedelta(days=1))
    assert fresh.distinct().count() == 6


@pytest.mark.django_db
def test_loaded_pictures_are_ready_for_pages_and_mails():
    newsroom.load(NOW)

    pictured = Article.objects.exclude(lead_image="")
    assert pictured.count() == len(PICTURES)
    for article in pictured:
        assert (article.lead_width, article.lead_height) == (1200, 675)
        assert article.lead_image.size <= 150_000
    assert all(article.reading_minutes > 1 for article in Article.objects.all())


@pytest.mark.django_db
def test_loading_twice_changes_nothing():
    newsroom.load(NOW)
    edited = Article.objects.get(slug="white-hulls")
    edited.slug, edited.title = "politeness-at-sea", "Politeness at sea"
    edited.save()
    before = list(Article.objects.order_by("pk").values())

    assert newsroom.load(NOW + timedelta(days=3)) == 0

    assert list(Article.objects.order_by("pk").values()) == before
    assert Topic.objects.count() == 6
