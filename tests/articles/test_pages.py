"""What a reader sees: front page, topics, articles, and what is not there."""

from datetime import timedelta

import pytest
from django.utils import timezone

from iria_news.articles import pictures
from iria_news.articles.models import ArticleState
from tests.articles.test_pictures import make_picture
from tests.factories import make_article, make_topic, utc

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


def text(response):
    return " ".join(response.content.decode().split())


def make_illustrated_article(**fields):
    article = make_article(**fields, lead_alt="A red tug", lead_caption="The tug.")
    file = pictures.checked(make_picture(size=(300, 200)), "tug.jpg")
    article.lead_image.save(file.name, file)
    return article


def test_an_article_page_shows_the_article(client):
    article = make_illustrated_article(
        title="Six states & one quay",
        slug="one-quay",
        standfirst="Two tugs wait.",
        body="<h2>Who pays</h2><p>Six.</p><h2>Who waits</h2><p>Forty.</p>",
        byline="IRIA Maritime desk",
        published_at=utc("2025-10-14 05:30"),
        topics=[make_topic("Europe")],
    )

    page = text(client.get("/articles/one-quay/"))

    assert "<h1>Six states &amp; one quay</h1>" in page
    assert '<p class="lede">Two tugs wait.</p>' in page
    assert "By <b>IRIA Maritime desk</b>" in page
    assert ">14 October 2025</time>" in page
    assert "1 minute read" in page
    assert '<a href="/topics/europe/">Europe</a>' in page
    assert '<a href="#who-pays">Who pays</a>' in page
    assert '<h2 id="who-pays">Who pays</h2><p>Six.</p>' in page
    assert f'<img src="{article.lead_image.url}" alt="A red tug" width="300" height="200"' in page
    assert (
        f'<meta property="og:image" content="https://news.ir-ia.example{article.lead_image.url}">'
        in page
    )
    assert '<link rel="canonical" href="https://news.ir-ia.example/articles/one-quay/">' in page


def test_a_body_that_came_past_the_sanitiser_is_still_shown_clean(client):
    make_article(slug="a", body="<p>Text</p><script>alert(1)</script>")

    page = text(client.get("/articles/a/"))

    assert "<p>Text</p>" in page
    assert "<script" not in page


def test_template_tags_in_an_article_come_out_as_they_were_typed(client):
    typed = "{{ settings.SECRET_KEY }} {% debug %} {{7*7}}"
    make_article(slug="a", title=typed, standfirst=typed, body=f"<p>{typed}</p>", byline=typed)

    assert text(client.get("/articles/a/")).count(typed) >= 4


def test_a_standfirst_that_only_repeats_the_first_words_is_left_out(client):
    make_article(slug="a", standfirst="Two tugs wait.", body="<p>Two tugs wait. And a crew.</p>")

    assert 'class="lede"' not in text(client.get("/articles/a/"))


def test_an_arabic_article_runs_from_right_to_left(client):
    make_article(slug="a", title="سفن", language="ar", kind="تحليل")

    assert '<article class="story" lang="ar" dir="rtl">' in text(client.get("/articles/a/"))


def test_a_withdrawn_article_keeps_its_headline_and_loses_its_text(client):
    make_article(title="A claim", slug="a", body="<p>It is so.</p>", state=ArticleState.WITHDRAWN)

    response = client.get("/articles/a/")

    assert response.status_code == 200
    page = text(response)
    assert "<h1>A claim</h1>" in page
    assert "Withdrawn." in page
    assert "It is so." not in page
    assert '<meta name="robots" content="noindex">' in page


@pytest.mark.parametrize(
    "fields",
    [
        {"state": ArticleState.DRAFT},
        {"published_at": timezone.now() + timedelta(days=1)},
        {"state": ArticleState.WITHDRAWN, "published_at": timezone.now() + timedelta(days=1)},
        {"state": ArticleState.WITHDRAWN, "published_at": None},
    ],
    ids=["draft", "ahead", "withdrawn before its time", "withdrawn draft"],
)
def test_what_was_never_public_has_no_page_and_stands_in_no_list(client, fields):
    make_article(title="Not yet", slug="a", topics=[make_topic("Europe")], **fields)

    assert client.get("/articles/a/").status_code == 404
    assert "Not yet" not in text(client.get("/"))
    assert "Not yet" not in text(client.get("/topics/europe/"))


def test_withdrawn_articles_stand_in_no_list(client):
    topic = make_topic("Europe")
    make_article(title="A claim", topics=[topic], state=ArticleState.WITHDRAWN)
    make_article(slug="b", topics=[topic])

    for address in ["/", "/topics/europe/", "/articles/b/"]:
        assert "A claim" not in text(client.get(address))


def test_related_articles_share_a_topic(client):
    europe, africa = make_topic("Europe"), make_topic("Africa")
    make_article(slug="a", topics=[europe])
    make_article(title="Also Europe", topics=[europe, africa])
    make_article(title="Only Africa", topics=[africa])

    page = text(client.get("/articles/a/"))

    assert "Also Europe" in page
    assert "Only Africa" not in page


def test_the_front_page_leads_with_the_newest_picture(client):
    make_article(title="Newest", published_at=timezone.now())
    make_illustrated_article(title="With a picture")

    page = text(client.get("/"))

    lead = page.partition('class="item lead"')[2].partition("</article>")[0]
    assert "With a picture" in lead
    assert page.count(">Newest</a>") == 1


def test_an_empty_front_page_says_what_will_stand_there(client):
    assert "No article is published yet." in text(client.get("/"))


def test_a_topic_with_three_more_articles_gets_a_band_when_its_row_is_full(client):
    topics = [make_topic(name, position=place) for place, name in enumerate("ABC")]
    for _ in range(5):
        make_article(topics=topics)  # around the lead
    for topic in topics:
        for _ in range(3):
            make_article(topics=[topic], published_at=timezone.now() - timedelta(hours=2))

    page = text(client.get("/"))

    assert [name for name in "ABC" if f"All on {name}<" in page] == ["A", "B", "C"]


def test_a_topic_page_has_its_articles_newest_first_and_in_pages(client):
    topic = make_topic("Europe", description="From coast to coast.")
    for number in range(21):
        published_at = timezone.now() - timedelta(hours=number + 1)
        make_article(f"Story {number:02}", topics=[topic], published_at=published_at)

    first, second = (text(client.get(f"/topics/europe/?page={page}")) for page in (1, 2))

    assert "From coast to coast. 21 articles." in first
    assert first.index("Story 00") < first.index("Story 19")
    assert "Story 20" not in first
    assert "Page 1 of 2" in first
    assert "Story 20" in second
    assert '<a href="/topics/europe/" aria-current="page">Europe</a>' in second


@pytest.mark.parametrize(
    "address",
    [
        "/articles/none/",
        "/topics/none/",
        "/topics/europe/?page=2",
        "/topics/europe/?page=x",
        "/nowhere",
        "/media/../iria.sqlite3",
        "/media/articles/",
        "/media/page.html",
    ],
)
def test_what_is_not_there_is_said_in_our_look(client, settings, tmp_path, address):
    make_topic("Europe")
    (tmp_path / "page.html").write_text("<script>alert(1)</script>")

    response = client.get(address)

    assert response.status_code == 404
    assert "There is no page at this address" in text(response)


def test_a_topic_without_articles_says_so(client):
    make_topic("Europe")

    assert "No articles on Europe yet." in text(client.get("/topics/europe/"))


def test_pictures_are_given_with_a_type_and_for_a_long_time(client):
    article = make_illustrated_article()

    response = client.get(article.lead_image.url)

    assert response.headers["Content-Type"] == "image/jpeg"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "max-age=2592000" in response.headers["Cache-Control"]
    assert b"".join(response.streaming_content).startswith(b"\xff\xd8")


PUBLIC = ["/", "/topics/europe/", "/articles/a/", "/articles/withdrawn/", "/nowhere", "/robots.txt"]


@pytest.fixture
def newsroom():
    topic = make_topic("Europe")
    make_article(slug="a", topics=[topic])
    make_article(slug="withdrawn", topics=[topic], state=ArticleState.WITHDRAWN)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_pages_set_no_cookie_and_allow_no_script(client, newsroom, address):
    response = client.get(address)

    assert not response.cookies
    assert "Cookie" not in response.headers.get("Vary", "")
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'none'" in policy
    assert "unsafe" not in policy
    page = text(response)
    assert "<script" not in page
    assert "style=" not in page


@pytest.mark.parametrize("address", PUBLIC[:4])
def test_every_reading_page_offers_the_sign_up_form(client, newsroom, address):
    page = text(client.get(address))

    assert page.count('<form class="join" method="post" action="/subscribe/">') == 1
    for name in ("email", "website", "form_age"):
        assert f'name="{name}"' in page


@pytest.mark.parametrize("address", PUBLIC[:4])
def test_reading_pages_answer_no_post(client, newsroom, address):
    assert client.post(address).status_code == 405


@pytest.mark.parametrize("articles", [3, 30])
def test_pages_take_the_same_queries_however_much_is_published(
    client, articles, django_assert_num_queries
):
    europe = make_topic("Europe")
    for _ in range(articles):
        make_article(topics=[europe, make_topic()])
    make_article(slug="a", topics=[europe])

    with django_assert_num_queries(3):  # articles, their topics, topics of the masthead
        client.get("/")
    with django_assert_num_queries(5):  # the topic, how many, a page, their topics, masthead
        client.get("/topics/europe/")
    # The article, its topics and corrections, related ones, their topics, masthead.
    with django_assert_num_queries(6):
        client.get("/articles/a/")


def test_an_upload_that_is_no_longer_there_breaks_no_page(client):
    article = make_illustrated_article(slug="a")
    article.lead_image.storage.delete(article.lead_image.name)

    assert client.get("/articles/a/").status_code == 200
    assert client.get(article.lead_image.url).status_code == 404
