"""Which language a page is in, and what caches and the next request are told of it."""

from datetime import date

import pytest
from django.utils import translation

from iria_news import dates, languages
from tests.factories import make_article, utc


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.5", "de"),
        ("fr-FR, de;q=0.7, en;q=0.3", "de"),
        ("en-GB,de;q=0.9", "en"),
        ("ja, ar;q=0.9", "en"),
        ("de;q=0, fr", "en"),
        ("*", "en"),
        ("*, de;q=0.5", "en"),
        (";;;,,,", "en"),
        ("de" * 5_000, "en"),
        ("xx-" + "y" * 600 + ", de", "en"),
    ],
)
def test_the_first_language_that_we_have_is_spoken(header, language):
    assert languages.preferred(header) == language


@pytest.mark.parametrize(
    ("wanted", "spoken"), [("de", "de"), ("de-at", "de"), ("ja", "en"), ("", "en"), ("../de", "en")]
)
def test_who_wants_what_we_have_no_catalogue_for_is_spoken_to_in_english(wanted, spoken):
    assert languages.supported(wanted) == spoken


def test_a_page_says_which_language_it_is_in_and_what_that_depends_on(client, db):
    german = client.get("/subscribe/", headers={"accept-language": "de"})
    english = client.get("/subscribe/", headers={"accept-language": "fr"})

    assert '<html lang="de">' in german.content.decode()
    assert german["Content-Language"] == "de"
    assert '<html lang="en">' in english.content.decode()
    assert english["Content-Language"] == "en"
    assert "Accept-Language" in german["Vary"]
    assert "Accept-Language" in english["Vary"]


def test_a_language_ends_with_its_answer(client, db):
    client.get("/subscribe/", headers={"accept-language": "de"})

    assert translation.get_language() == "en"


def test_a_cookie_changes_no_language(client, db):
    client.cookies["django_language"] = "de"

    assert '<html lang="en">' in client.get("/subscribe/").content.decode()


def test_staff_and_programs_are_spoken_to_in_english(client, db):
    login = client.get("/admin/login/", headers={"accept-language": "de"})
    missing = client.get("/api/v1/newsletters", headers={"accept-language": "de"})

    assert "Log in" in login.content.decode()
    assert "Accept-Language" not in missing.get("Vary", "")
    assert missing.json()["detail"].startswith("Send a key")


def test_pages_for_faults_speak_the_language_too(client, db, settings):
    settings.DEBUG = False

    page = client.get("/nowhere/", headers={"accept-language": "de"}).content.decode()

    assert "Unter dieser Adresse gibt es keine Seite" in page


@pytest.mark.parametrize(
    ("language", "article_language", "marked"),
    [("en", "en", False), ("en", "de", True), ("de", "en", True), ("de", "de", False)],
)
def test_an_article_in_another_language_than_its_page_is_marked(
    client, db, language, article_language, marked
):
    make_article("Ein Titel", slug="a", language=article_language)
    mark = f' lang="{article_language}" dir="ltr"' if marked else ""

    for path, begin in {
        "/": '<article class="item lead"',
        "/articles/a/": '<article class="story"',
    }.items():
        page = client.get(path, headers={"accept-language": language}).content.decode()
        assert f"{begin}{mark}>" in page
        assert f'<html lang="{language}">' in page


def test_the_frame_of_an_article_is_said_in_the_language_of_the_page(client, db):
    make_article(slug="a", published_at=utc("2026-03-03 08:00"), reading_minutes=4)

    page = client.get("/articles/a/", headers={"accept-language": "de"}).content.decode()

    assert "3. März 2026" in page
    assert "4 Minuten Lesezeit" in page
    assert "IRIA ist ein Forschungsinstitut" in page


def test_a_date_is_said_as_its_language_writes_it():
    day = date(2026, 3, 3)

    assert dates.said(day, "l, j F Y") == "Tuesday, 3 March 2026"
    with languages.speaking("de"):
        assert dates.said(day, "l, j F Y") == "Dienstag, 3. März 2026"


def test_a_pattern_that_no_catalogue_knows_is_refused():
    with pytest.raises(KeyError):
        dates.said(date(2026, 3, 3), "d/m/y")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["Europe"], "Europe"),
        (["Europe", "US"], "Europe und US"),
        (["Africa", "Europe", "US"], "Africa, Europe und US"),
    ],
)
def test_names_are_listed_as_in_a_sentence(names, said):
    with languages.speaking("de"):
        assert languages.listed(names) == said
