"""The admin in a real Chromium: its scripts run under our policy, and totals move by themselves."""

import os

import pytest
from django.urls import reverse
from playwright.sync_api import Page

from tests.admin.conftest import CHROMIUM

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
