"""A reader who reads German, from the form to the preferences, by pages and mails alone."""

import pytest

from tests import steps

pytestmark = pytest.mark.journey


def test_a_german_reader_is_spoken_to_in_german_until_they_choose_english(service):
    address = steps.new_address("uwe")
    browser = service.browser()
    browser.language = "de-DE,de;q=0.9,en;q=0.5"
    page = browser.get("/subscribe/")
    assert page.headers["Content-Language"] == "de"

    taken = browser.submit(page, "Abonnieren", email=address)
    assert taken.heading == "Sehen Sie nun in Ihren Posteingang"
    asks = service.wait_for_mail(to=address, subject="Bitte bestätigen Sie Ihr Abo")
    assert steps.broken_rules(service, asks) == []
    # The mail is opened on another machine, whose browser asks for English.
    elsewhere = service.browser()
    opened = elsewhere.get(asks.link("/confirm/"))
    assert opened.heading == "Bestätigen Sie Ihr Abo"
    confirmed = elsewhere.submit(opened, "Ja, abonnieren")
    assert confirmed.heading == "Ihre Einstellungen"
    assert "Bestätigt." in confirmed.text
    welcome = service.wait_for_mail(to=address, subject="Willkommen bei IRIA Daily")
    assert steps.broken_rules(service, welcome) == []

    saved = elsewhere.submit(confirmed, "Einstellungen speichern", language="en")
    assert saved.heading == "Your preferences"
    assert "Saved." in saved.text
    new = steps.new_address("uwe")
    elsewhere.submit(saved, "Change address", email=new)
    assert service.wait_for_mail(to=new, subject="Please confirm your new address")


def test_a_mistake_is_explained_in_german_and_nothing_typed_is_lost(service):
    browser = service.browser()
    browser.language = "de"

    page = browser.submit(browser.get("/subscribe/"), "Abonnieren", email="uwe.example.org")

    assert page.status == 422
    assert "Die Adresse „uwe.example.org“ hat kein @-Zeichen." in page.text
    assert page.form("Abonnieren").fields["email"] == "uwe.example.org"
