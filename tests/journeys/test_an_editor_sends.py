"""The newsroom's way: log in, write, publish, send, look."""

import re

import pytest

from tests import steps
from tests.service import Browser, Service

pytestmark = pytest.mark.journey


def log_in(service: Service) -> Browser:
    """With the name and password that the first start printed."""
    username, password = re.search(r'user "(.+?)", password "(.+?)"', service.greeting).groups()
    browser = service.browser()
    answer = browser.submit(browser.get("/admin/"), "Log in", username=username, password=password)
    assert answer.url == f"{service.url}/admin/"
    return browser


def test_an_editor_publishes_an_article_and_sends_it_now(service):
    reader = steps.join(service, "iria-weekly")
    browser = log_in(service)
    article = {"title": "Winter roads", "slug": "winter-roads", "byline": "IRIA Polar desk"}
    text = {"standfirst": "They hold until March.", "body": "<p>Trucks on the frozen lake.</p>"}
    page = browser.get("/admin/articles/article/add/")
    [topic] = page.tree.xpath("//label[contains(., $name)]/input/@value", name=steps.TOPIC)
    saved = browser.submit(page, "Save", **article, **text, state="published", topics=[topic])
    assert saved.url.endswith("/admin/articles/article/"), saved.text
    assert service.browser().get("/articles/winter-roads/").heading == "Winter roads"

    newsletter = browser.get(browser.get("/admin/subscribers/newsletter/").link("IRIA Weekly"))
    asked = browser.get(newsletter.link("Send now"))
    assert "Winter roads" in asked.text
    button = re.search(r"Send to \d+ readers?", asked.text)[0]
    sent = browser.submit(asked, button)
    assert re.search(r"/admin/mailer/edition/\d+/change/$", sent.url)

    digest = service.wait_for_mail(to=reader.address, words="Winter roads")
    assert steps.broken_rules(service, digest) == []
    service.wait_until_quiet()
    page = browser.get(sent.url)
    assert "Balanced" in page.text
    again = browser.submit(asked, button)  # the same page, pressed twice
    assert again.url == sent.url
    assert len([mail for mail in service.mails(to=reader.address) if mail.is_newsletter]) == 1


def test_a_wrong_password_opens_nothing(service):
    browser = service.browser()

    answer = browser.submit(
        browser.get("/admin/"), "Log in", username="editor", password="not this one"
    )

    assert "/admin/login/" in answer.url
    assert "/admin/login/" in browser.get("/admin/articles/article/").url
