"""The admin in a real Chromium: its scripts run under our policy, and totals move by themselves."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.conf import settings as configured
from django.urls import reverse
from playwright.sync_api import BrowserContext, Page, sync_playwright

from tests.admin.conftest import Newsroom, fill

CHROMIUM = next(filter(None, map(shutil.which, ["chromium", "chromium-browser"])), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("IRIA_REQUIRE_ALL_TESTS"),
        reason="There is no Chromium on this machine.",
    ),
]
# Pages of every kind; those of a row are added by the test.
PAGES = [
    "index",
    "articles_article_changelist",
    "articles_article_add",
    "mailer_edition_changelist",
    "subscribers_newsletter_changelist",
    "subscribers_subscriber_changelist",
    "subscribers_suppression_add",
    "auth_user_changelist",
]


@dataclass
class Desk:
    browser: BrowserContext
    newsroom: Newsroom


@pytest.fixture
def desk(live_server, admin_client, settings) -> Iterator[Desk]:
    """A browser that is logged in. Rows and session are made before it starts: beside its loop
    Django would open a second connection for this thread, and leave it open.
    """
    newsroom = fill()
    session = admin_client.cookies[configured.SESSION_COOKIE_NAME].value
    settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME = "session", "csrf"
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False  # it speaks http
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(base_url=live_server.url)
        context.add_cookies([{"name": "session", "value": session, "url": live_server.url}])
        yield Desk(context, newsroom)
        browser.close()


def complaints(page: Page) -> list[str]:
    """What the browser reports from now on: blocked by the policy, or failed in a script."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else "")
    page.on("pageerror", lambda error: said.append(str(error)))
    return said


def test_the_policy_blocks_nothing_that_the_admin_needs(desk):
    edition, reader = [desk.newsroom.edition.pk], [desk.newsroom.subscriber.pk]
    paths = [reverse(f"admin:{name}") for name in PAGES] + [
        reverse("admin:mailer_edition_change", args=edition),
        reverse("admin:mailer_edition_preview", args=edition),
        reverse("admin:mailer_edition_cancel", args=edition),
        reverse("admin:subscribers_subscriber_change", args=reader),
        reverse("admin:subscribers_newsletter_change", args=[desk.newsroom.newsletter.pk]),
    ]
    page = desk.browser.new_page()
    said = complaints(page)

    for path in paths:
        page.goto(path, wait_until="networkidle")
        assert page.locator("main#main").is_visible(), path
        assert said == [], path


def test_what_a_colleague_does_appears_by_itself(desk):
    edition = [desk.newsroom.edition.pk]
    page, colleague = desk.browser.new_page(), desk.browser.new_page()
    page.goto(reverse("admin:mailer_edition_change", args=edition))
    assert "Workers are sending it." in page.locator("#totals").inner_text()

    colleague.goto(reverse("admin:mailer_edition_pause", args=edition))
    colleague.get_by_label("Reason").fill("A typo")
    colleague.get_by_role("button", name="Pause").click()
    assert "Paused. 3 mails to go." in colleague.locator("main").inner_text()

    page.get_by_text("Paused by admin: A typo").wait_for(timeout=15_000)
    page.get_by_role("link", name="Resume").wait_for(timeout=15_000)
