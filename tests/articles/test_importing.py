"""A feed becomes articles: what is stored, what is said about it, and what is refused."""

from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from iria_news.articles import importing, reading
from iria_news.articles.importing import Outcome
from iria_news.articles.models import Article, ArticleState, Topic
from tests.factories import make_topic, utc

pytestmark = pytest.mark.django_db

FEEDS = Path(__file__).parent / "feeds"
WORDPRESS = (FEEDS / "wordpress.xml").read_bytes()
ITEM = """<item><title>Title</title><link>https://a.example/2025/10/{name}/</link>
<guid isPermaLink="false">{name}</guid><pubDate>Tue, 14 Oct 2025 05:30:00 +0000</pubDate>
<description>Words.</description>{more}</item>"""


def make_feed(*items: str, language="en-US"):
    return (
        '<?xml version="1.0"?><rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<channel><title>F</title><language>{language}</language>{''.join(items)}</channel></rss>"
    ).encode()


def make_item(name="a", *, more="", **changes):
    item = ITEM.format(name=name, more=more)
    for old, new in changes.values():
        item = item.replace(old, new)
    return item


def run(source):
    """The command's exit code, and everything it says."""
    said = StringIO()
    try:
        call_command("import_articles", str(source), stdout=said, stderr=said)
    except CommandError as error:
        return error.returncode, f"{said.getvalue()}{error}"
    return 0, said.getvalue()


def test_a_wordpress_item_becomes_a_published_article():
    importing.import_feed(WORDPRESS)

    article = Article.objects.get()
    assert article.title.startswith("Six coastal states open")
    assert article.slug == "common-tow-boat-station-veldt-narrows"
    assert article.byline == "IRIA Maritime desk"
    assert article.language == "en"
    assert article.state == ArticleState.PUBLISHED
    assert article.published_at == utc("2025-10-14 05:30")
    assert article.standfirst.endswith("before the paint was dry.")
    assert article.reading_minutes == 6
    assert [topic.name for topic in article.topics.all()] == [
        "Europe",
        "News",
        "Security & Defence",
    ]
    assert article.body.count("<figcaption>") == 2
    assert "onerror" not in article.body
    assert len(reading.prepare(article.body).sections) == 5


def test_the_same_feed_again_changes_nothing():
    importing.import_feed(WORDPRESS)
    before = list(Article.objects.values())

    report = importing.import_feed(WORDPRESS)

    assert report.counts == {Outcome.UNCHANGED: 1}
    assert list(Article.objects.values()) == before


def test_a_changed_item_changes_its_article_and_keeps_its_address():
    importing.import_feed(make_feed(make_item()))
    slug = Article.objects.get().slug

    report = importing.import_feed(
        make_feed(make_item(title=("Title", "New title"), link=("2025/10/a", "2026/b")))
    )

    assert report.counts == {Outcome.CHANGED: 1}
    article = Article.objects.get()
    assert (article.title, article.slug) == ("New title", slug)


def test_changed_topics_are_a_change():
    importing.import_feed(make_feed(make_item(more="<category>Europe</category>")))

    report = importing.import_feed(make_feed(make_item(more="<category>Africa</category>")))

    assert report.counts == {Outcome.CHANGED: 1}
    assert [topic.name for topic in Article.objects.get().topics.all()] == ["Africa"]


def test_a_withdrawn_article_stays_withdrawn():
    importing.import_feed(WORDPRESS)
    Article.objects.update(state=ArticleState.WITHDRAWN)

    importing.import_feed(WORDPRESS.replace(b"Six coastal", b"Seven coastal"))

    article = Article.objects.get()
    assert article.title.startswith("Seven")
    assert article.state == ArticleState.WITHDRAWN


def test_topics_that_are_there_are_used_whatever_their_address():
    make_topic("Asia-Pacific", slug="asia")
    categories = "<category>asia-pacific</category><category>ASIA</category>"

    importing.import_feed(make_feed(make_item(more=categories)))

    assert [topic.slug for topic in Topic.objects.all()] == ["asia"]


def test_two_items_with_one_last_segment_get_two_addresses():
    importing.import_feed(
        make_feed(make_item("a"), make_item("b", link=("2025/10/b", "2024/10/a")))
    )

    assert sorted(Article.objects.values_list("slug", flat=True)) == ["a", "a-2"]


def test_atom_is_read_too():
    importing.import_feed((FEEDS / "atom.xml").read_bytes())

    article = Article.objects.get()
    assert article.title == "Zwei Häfen, eine Schleuse"
    assert article.language == "de"
    assert article.published_at == utc("2025-06-01 08:00")
    assert 'href="https://blatt.example/karte"' in article.body


def test_script_in_every_field_ends_as_nothing_or_as_text():
    script = "&lt;script&gt;alert(1)&lt;/script&gt;"
    importing.import_feed(
        make_feed(
            make_item(
                title=("Title", f"{script}Title"),
                text=("Words.", f"{script}Words. [&amp;#8230;]"),
                more=f"<dc:creator>{script}Desk</dc:creator><category>{script}Europe</category>",
            )
        )
    )

    article = Article.objects.get()
    assert (article.title, article.byline, article.standfirst) == ("Title", "Desk", "Words.")
    assert article.topics.get().name == "Europe"
    assert "script" not in article.body


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (make_item(title=("<title>Title</title>", "")), "it has no title"),
        (make_item(title=("Title", "t" * 201)), "its title has 201 characters"),
        (make_item(date=("<pubDate>Tue, 14 Oct 2025 05:30:00 +0000</pubDate>", "")), "no date"),
        (make_item(date=("Tue, 14 Oct 2025 05:30:00 +0000", "the other day")), "no date"),
        (make_item(text=("Words.", "")), "it has no text"),
        (make_item(text=("Words.", "&lt;script&gt;x&lt;/script&gt;")), "it has no text"),
        (make_item(more=f"<category>{'c' * 61}</category>"), "its category has 61"),
        (make_item(more=f"<dc:creator>{'d' * 101}</dc:creator>"), "its author has 101"),
        (make_item(name="g" * 301, link=(f"2025/10/{'g' * 301}", "g")), "its guid has 301"),
        (make_item(name="good"), "its guid stands in the feed twice"),
    ],
)
def test_one_bad_item_is_refused_with_its_reason_and_stops_no_other(item, reason, tmp_path):
    feed = tmp_path / "feed.xml"
    feed.write_bytes(make_feed(make_item("good"), item, make_item("also-good")))

    code, said = run(feed)

    assert code == 1
    assert reason in said
    assert set(Article.objects.values_list("slug", flat=True)) == {"good", "also-good"}


def test_a_language_we_do_not_have_is_refused():
    report = importing.import_feed(make_feed(make_item(), language="eo"))

    assert 'its language, "eo", is none of en, ar' in report.refused[0]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (WORDPRESS[:6000], "is broken: unclosed CDATA section in line 38"),
        (make_feed(make_item(title=("Title", "A & B"))), "is broken: not well-formed"),
        (b"<html><body><p>Hello</p></body></html>", "is not an RSS or Atom feed"),
        (b"\x89PNG\r\n\x1a\n", "is not an RSS or Atom feed"),
        (b"", "is not an RSS or Atom feed"),
    ],
    ids=["cut off", "not escaped", "a page", "a picture", "empty"],
)
def test_a_broken_feed_changes_nothing_and_says_why(content, sentence, tmp_path):
    feed = tmp_path / "feed.xml"
    feed.write_bytes(content)

    code, said = run(feed)

    assert code == 1
    assert sentence in said
    assert "Nothing was imported." in said
    assert not Article.objects.exists()
    assert not Topic.objects.exists()


def test_the_command_closes_with_a_table():
    run(FEEDS / "wordpress.xml")

    code, said = run(FEEDS / "wordpress.xml")

    assert code == 0
    assert [line.split() for line in said.splitlines()[:4]] == [
        *(["new", "0"], ["changed", "0"], ["unchanged", "1"], ["refused", "0"])
    ]


def test_the_command_names_hosts_whose_pictures_will_not_be_seen(settings):
    assert "Pictures from ir-ia.example are shown as links" in run(FEEDS / "wordpress.xml")[1]

    settings.IMAGE_HOSTS = ["ir-ia.example"]
    assert "Pictures" not in run(FEEDS / "wordpress.xml")[1]


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("nowhere.xml", "nowhere.xml cannot be read: No such file or directory."),
        ("http://news.example/feed/", "does not start with https://"),
        ("ftp://news.example/feed/", "does not start with https://"),
        ("https://127.0.0.1/feed/", "is a private address"),
    ],
)
def test_a_source_that_cannot_be_read_is_said_in_a_sentence(source, sentence):
    code, said = run(source)

    assert code == 1
    assert sentence in said


def test_a_file_that_is_too_large_is_not_read_to_its_end(tmp_path):
    feed = tmp_path / "feed.xml"
    with feed.open("wb") as file:
        file.truncate(importing.LIMIT_BYTES + 1)

    assert run(feed) == (1, f"{feed} is larger than 20 MB. Nothing was imported.")


def test_an_unchanged_feed_costs_the_same_whatever_its_length(django_assert_max_num_queries):
    feed = make_feed(*(make_item(f"a{n}", more="<category>Europe</category>") for n in range(40)))
    importing.import_feed(feed)

    with django_assert_max_num_queries(3):  # articles, their topics, all topics
        report = importing.import_feed(feed)
    assert report.counts == {Outcome.UNCHANGED: 40}


def test_a_date_ahead_publishes_the_article_then():
    importing.import_feed(make_feed(make_item(date=("14 Oct 2025", "14 Oct 2125"))))

    article = Article.objects.get()
    assert not Article.objects.published().exists()
    assert article.published_at - utc("2025-10-14 05:30") > timedelta(days=36_000)
