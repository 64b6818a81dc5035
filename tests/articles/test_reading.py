"""How a body is shown, and how long it takes."""

import pytest

from iria_news.articles import reading
from iria_news.articles.reading import Section


def test_headings_get_an_address_of_their_own():
    shown = reading.prepare("<h2>Who pays?</h2><h2>Who <em>pays</em></h2><h2>من يدفع</h2><h2></h2>")

    assert shown.sections == [
        Section("who-pays", "Who pays?"),
        Section("who-pays-2", "Who pays"),
        Section("section-3", "من يدفع"),
    ]
    assert '<h2 id="who-pays-2">Who <em>pays</em></h2>' in shown.body


def test_a_heading_does_not_take_an_id_of_the_page():
    assert reading.prepare("<h2>Related</h2>").sections == [Section("related-2", "Related")]


def test_pictures_load_when_they_come_into_view(settings):
    settings.IMAGE_HOSTS = ["a.example"]

    shown = reading.prepare('<img src="https://a.example/x.png" alt="A & B" width="8" height="5">')

    assert shown.body == (
        '<img src="https://a.example/x.png" alt="A &amp; B" width="8" height="5" loading="lazy">'
    )


def test_a_picture_the_page_may_not_show_becomes_a_link_to_it():
    shown = reading.prepare('<img src="https://b.example/x.png" alt="A chart">')

    assert shown.body == (
        '<a class="elsewhere" href="https://b.example/x.png" rel="noopener noreferrer">'
        "Picture: A chart</a>"
    )
    assert reading.foreign_picture_hosts('<img src="https://b.example/x.png">') == {"b.example"}


@pytest.mark.parametrize("credit", ["Image Credit: A &amp; B/Agency", "Photo credit: A (pool)"])
def test_the_credit_at_the_end_of_a_caption_stands_by_itself(credit):
    shown = reading.prepare(f"<figure><figcaption>A ship. ({credit})</figcaption></figure>")

    assert f'A ship. <span class="credit">{credit}</span></figcaption>' in shown.body


def test_a_class_written_by_somebody_else_never_arrives():
    shown = reading.prepare('<p><span class="credit">x</span><a class="btn" href="/a">y</a></p>')

    assert "class=" not in shown.body


@pytest.mark.parametrize(
    ("body", "language", "minutes"),
    [
        ("", "en", 1),
        ("<p>" + "word " * 230 + "</p>", "en", 1),
        ("<p>" + "word " * 231 + "</p>", "en", 2),
        ("<p>one</p><p>two</p>" * 116, "en", 2),
        ("<p>" + "海" * 1001 + "</p>", "ja", 3),
    ],
)
def test_reading_time_counts_words_or_japanese_characters(body, language, minutes):
    assert reading.reading_minutes(body, language) == minutes


def test_a_text_that_opens_with_its_standfirst_is_noticed():
    assert reading.opens_with("<p>One ship. Two ships.</p><p>x</p>", "One ship. Two…")
    assert not reading.opens_with("<p>Two ships.</p>", "One ship.")
    assert not reading.opens_with("<p>Two ships.</p>", "")
