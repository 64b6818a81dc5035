"""German words are long: each page of a German reader at 320 and 1280 pixels."""

import re

import pytest
from playwright.sync_api import expect

from tests import steps
from tests.browser.conftest import open_window
from tests.browser.test_pages import low_contrast_in_the_dark, too_wide, violations
from tests.service import TYPING

pytestmark = pytest.mark.browser
SIZES = [{"width": 320, "height": 640}, {"width": 1280, "height": 800}]


def check(window) -> None:
    window.page.emulate_media(color_scheme="light")
    assert window.page.get_attribute("html", "lang") == "de"
    assert too_wide(window.page) == []
    assert violations(window.page) == []
    assert low_contrast_in_the_dark(window.page) == []
    window.page.emulate_media(color_scheme="light")
    assert window.complaints == []


@pytest.mark.parametrize("size", SIZES, ids=lambda size: str(size["width"]))
def test_every_page_of_a_german_reader_fits_and_is_accessible(size, chromium, service):
    address = steps.new_address("ute")
    with open_window(chromium, service, viewport=size, locale="de-DE") as window:
        page = window.page
        for path in ("/", "/editions/", "/preferences/", "/confirm/nichts/", "/embed/subscribe/"):
            page.goto(path)
            check(window)
        page.goto("/subscribe/")
        check(window)
        page.get_by_label("E-Mail-Adresse").fill("ute.example.org")
        page.wait_for_timeout(TYPING * 1000)
        page.get_by_role("button", name="Abonnieren").click()
        expect(page.get_by_role("alert")).to_contain_text("hat kein @-Zeichen")
        check(window)
        page.get_by_label("E-Mail-Adresse").fill(address)
        page.wait_for_timeout(TYPING * 1000)
        page.get_by_role("button", name="Abonnieren").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(
            "Sehen Sie nun in Ihren Posteingang"
        )
        check(window)

        page.goto(service.wait_for_mail(to=address).link("/confirm/"))
        check(window)
        page.get_by_role("button", name="Ja, abonnieren").click()
        expect(page.get_by_role("status")).to_contain_text("Bestätigt.")
        page.get_by_text(re.compile("^Themen von IRIA Daily")).click()
        check(window)
        page.get_by_role("radio", name=re.compile("^Bis zum Tag unten")).check()
        page.get_by_role("button", name="Einstellungen speichern").click()
        expect(page.get_by_role("alert")).to_contain_text("Geben Sie den Tag an")
        check(window)
        page.get_by_role("button", name="Meine Daten löschen").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Alles über Sie löschen?")
        check(window)
        page.get_by_role("link", name="Alles behalten").click()
        page.get_by_label("Worin wir Ihnen schreiben").select_option("English")
        page.get_by_role("button", name="Einstellungen speichern").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Your preferences")
        page.get_by_label("What we write to you in").select_option("Deutsch")
        page.get_by_role("button", name="Save preferences").click()
        expect(page.get_by_role("status")).to_contain_text("Gespeichert.")
        page.get_by_role("button", name="Alles abbestellen").click()
        expect(page.get_by_role("status")).to_contain_text("Alles abbestellt.")
        check(window)
