"""What readers do who are with us: change how mails come, move, take their data, leave a little."""

import json
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from tests import steps
from tests.service import MANAGE, Service

pytestmark = pytest.mark.journey


def is_subscribed(service: Service, reader: steps.Reader, newsletter: str = "iria-daily") -> bool:
    page = reader.browser.get(urlsplit(reader.preferences.url).path)
    return newsletter in page.tree.xpath("//input[@name='newsletter'][@checked]/@value")


def test_after_the_confirmation_a_welcome_brings_what_comes_and_the_link(service):
    reader = steps.join(service)

    welcome = service.wait_for_mail(to=reader.address, subject="Welcome to IRIA Daily")

    assert "IRIA Daily. It comes " in welcome.one_line
    assert steps.broken_rules(service, welcome) == []
    assert reader.browser.get(welcome.link("/preferences/")).heading == "Your preferences"


def test_hour_zone_format_and_pause_are_chosen_and_ended(service):
    reader = steps.join(service)
    page = reader.browser.get(reader.preferences.url)

    saved = reader.browser.submit(
        page, "Save preferences", hour="18", zone="Asia/Tokyo", format="text", pause="2w"
    )

    assert "Saved." in saved.text
    assert "in Tokyo now" in saved.text
    assert "Nothing is sent before" in saved.text
    form = saved.form("Save preferences").fields
    assert (form["hour"], form["zone"], form["format"]) == ("18", "Asia/Tokyo", "text")
    resumed = reader.browser.submit(saved, "End the pause now")
    assert "Resumed." in resumed.text
    assert "Nothing is sent before" not in resumed.text


def test_a_reader_moves_to_another_address_and_both_mailboxes_are_told(service):
    reader = steps.join(service)
    new = steps.new_address("moved")
    page = reader.browser.get(reader.preferences.url)

    asked = reader.browser.submit(page, "Change address", email=new)

    assert "Now check the new inbox." in asked.text
    asks = service.wait_for_mail(to=new, subject="new address")
    assert steps.broken_rules(service, asks) == []
    opened = reader.browser.get(asks.link("/address/"))
    moved = reader.browser.submit(opened, "Yes, use this address")
    assert (moved.heading, "Address changed." in moved.text) == ("Your preferences", True)
    told = service.wait_for_mail(to=reader.address, subject="has been changed")
    assert new not in told.one_line
    assert reader.browser.get(urlsplit(reader.preferences.url).path).status == 404
    title = "Two harbours, one pilot"
    steps.publish(service, title)
    steps.send_edition(service)
    assert service.wait_for_mail(to=new, words=title)


def test_a_reader_takes_their_data_and_is_erased_for_good(service):
    reader = steps.join(service)
    service.wait_for_mail(to=reader.address, subject="Welcome")
    page = reader.browser.get(reader.preferences.url)

    file = reader.browser.submit(page, "Download my data (JSON)")

    assert json.loads(file.body)["person"]["address"] == reader.address
    question = reader.browser.submit(page, "Erase me")
    assert question.heading == "Erase everything about you?"
    assert is_subscribed(service, reader)
    erased = reader.browser.submit(question, "Erase me for good")
    assert erased.heading == "Done. You are erased."
    assert reader.browser.get(reader.preferences.url).heading == "This link no longer works"
    book = (service.data_dir / "iria.sqlite3").exists()
    assert not book or reader.address not in service.manage("dumpdata", "subscribers", "mailer")


def left_page(service: Service, title: str):
    """A reader of a digest leaves by its link."""
    reader = steps.join(service)
    steps.publish(service, title)
    steps.send_edition(service)
    digest = service.wait_for_mail(to=reader.address, words=title)
    page = reader.browser.submit(reader.browser.get(digest.one_click_url), "Unsubscribe")
    assert page.heading == "Done. IRIA Daily has stopped."
    return reader, digest, page


def test_less_is_offered_after_leaving_and_taken_by_one_press(service):
    reader, _, page = left_page(service, "Less ice, fewer bears")
    thanked = reader.browser.submit(page, "Send reason", reason="often")
    assert "Your reason is counted" in thanked.text

    kept = reader.browser.submit(page, "Keep only weekly")

    assert "comes once a week" in kept.text
    assert is_subscribed(service, reader, "iria-weekly")
    assert not is_subscribed(service, reader)


def test_a_mail_to_the_unsubscribe_address_ends_the_subscription(service):
    reader = steps.join(service)
    title = "Rafts of ice at the pier"
    steps.publish(service, title)
    steps.send_edition(service)
    digest = service.wait_for_mail(to=reader.address, words=title)
    token = digest.one_click_url.rpartition("/")[2]
    domain = digest.sender.rpartition("@")[2]

    done = subprocess.run(
        [sys.executable, str(MANAGE), "receive_mail", "--explain"],
        env=service.environment,
        input=f"From: x@y.example\nTo: <unsubscribe+{token}@{domain}>\n\nstop".encode(),
        capture_output=True,
        timeout=60,
        check=True,
    )

    assert b"has ended" in done.stdout
    assert not is_subscribed(service, reader)
