"""The signed form age, and the pages that must work when nothing else does."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.core import signing
from django.template import loader
from django.test import Client, RequestFactory
from django.views import defaults

from iria_news.articles.templatetags.newsday import newsday
from iria_news.frame import form_age
from tests.factories import utc


def test_a_form_knows_how_long_ago_it_was_made(time_machine):
    time_machine.move_to("2025-10-14 05:30:00+00:00", tick=False)
    value = form_age.issue()

    time_machine.shift(timedelta(minutes=2))

    assert form_age.read(value) == timedelta(minutes=2)


@pytest.mark.parametrize(
    "value",
    ["", "x", "1760420000", signing.dumps(1760420000), signing.dumps("x", salt=form_age.SALT)],
    ids=["empty", "made up", "unsigned", "signed for something else", "no number"],
)
def test_a_form_age_that_is_not_ours_is_refused(value):
    with pytest.raises(form_age.BadFormAge):
        form_age.read(value)


def test_a_form_age_survives_a_change_of_the_secret(settings):
    value = form_age.issue()
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "n" * 50

    assert form_age.read(value) < timedelta(minutes=1)


@pytest.mark.parametrize("name", ["400.html", "500.html"])
def test_pages_for_faults_need_no_context(name):
    page = loader.get_template(name).render()

    assert page.startswith("<!DOCTYPE html>")
    assert "/static/frame/pages.css" in page


@pytest.mark.django_db
def test_a_form_without_its_cookie_is_refused_in_our_words(settings):
    settings.DEBUG = False

    response = Client(enforce_csrf_checks=True).post("/admin/login/", {"username": "x"})

    assert response.status_code == 403
    assert "Nothing has been changed." in response.content.decode()


@pytest.mark.django_db
def test_a_page_that_is_not_open_says_so_in_our_words():
    response = defaults.permission_denied(RequestFactory().get("/x"), PermissionError())

    assert response.status_code == 403
    assert "not open to you" in response.content.decode()


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        ("2025-10-14 06:40", "06:40"),
        ("2025-10-13 23:59", "Yesterday"),
        ("2025-10-11 10:00", "Saturday"),
        ("2025-10-07 10:00", "7 October 2025"),
    ],
)
def test_times_are_said_as_in_a_newspaper(time_machine, moment, words):
    time_machine.move_to("2025-10-14 12:00:00+00:00", tick=False)

    assert newsday(utc(moment)) == words


def test_the_one_stylesheet_stays_small_and_loads_nothing():
    sheet = Path(finders.find("frame/pages.css")).read_text()

    assert len(sheet.encode()) < 16_000
    assert "url(" not in sheet
    assert "@import" not in sheet
