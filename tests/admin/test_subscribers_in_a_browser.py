"""The pages about subscribers in Chromium: on a desk, on a phone, in the dark, without a script."""

import os

import pytest
from django.urls import reverse
from playwright.sync_api import Page

from tests import factories
from tests.admin.conftest import CHROMIUM, Newsroom
from tests.browser.test_pages import low_contrast_in_the_dark, too_wide, violations

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("IRIA_REQUIRE_ALL_TESTS"),
        reason="There is no Chromium on this machine.",
    ),
]
SIZES = [{"width": 1280, "height": 900}, {"width": 320, "height": 700}]
ACT = "admin:subscribers_subscriber_{}".format
# Unfold's lists have two regions of one name.
KNOWN_OF_UNFOLD = "landmark-unique"


@pytest.fixture
def private(live_server) -> int:
    """A private newsletter, made before the browser starts: see `desk`."""
    return factories.make_newsletter("Client report", is_private=True).pk


def paths(newsroom: Newsroom, private: int) -> list[str]:
    reader = [newsroom.subscriber.pk]
    return [
        reverse(ACT("changelist")),
        reverse(ACT("changelist")) + "?state=active&joined_from=yesterday",
        reverse(ACT("add")),
        reverse(ACT("change"), args=reader),
        reverse(ACT("end"), args=reader),
        reverse(ACT("suppress"), args=reader),
        reverse(ACT("download"), args=reader),
        reverse(ACT("erase"), args=reader),
        reverse("admin:subscribers_newsletter_invite", args=[private]),
        reverse("admin:subscribers_newsletter_invited", args=[private]),
    ]


def write_note(page: Page, newsroom: Newsroom) -> None:
    page.goto(reverse(ACT("change"), args=[newsroom.subscriber.pk]))
    page.get_by_label("A note for your colleagues").fill("Called.\n" + "x" * 200)
    page.get_by_role("button", name="Add note").click()


def test_every_page_fits_a_desk_and_a_phone_and_is_accessible(private, desk):
    page = desk.browser.new_page()
    write_note(page, desk.newsroom)
    for path in paths(desk.newsroom, private):
        for size in SIZES:
            page.set_viewport_size(size)
            page.emulate_media(color_scheme="light")
            answer = page.goto(path, wait_until="networkidle")
            assert answer is not None, path
            assert answer.ok, path
            found = [each for each in violations(page) if KNOWN_OF_UNFOLD not in each]
            assert found == [], (path, size)
            assert too_wide(page) == [], (path, size)
            assert low_contrast_in_the_dark(page) == [], (path, size)


def test_notes_filters_and_invitations_work_without_a_script(private, desk, live_server):
    without = desk.browser.browser.new_context(
        java_script_enabled=False,
        base_url=live_server.url,
        storage_state=desk.browser.storage_state(),
    )
    page = without.new_page()
    write_note(page, desk.newsroom)
    assert "The note is kept." in page.locator("main").inner_text()
    page.get_by_text("Delete this note").click()
    page.get_by_role("button", name="Delete 1 note").click()
    assert "The note is deleted." in page.locator("main").inner_text()

    page.goto(reverse(ACT("changelist")))
    page.get_by_text("Filters", exact=True).click()
    page.get_by_label("State").select_option("pending")
    page.get_by_role("button", name="Show").click()
    assert "No subscribers match." in page.locator("main").inner_text()

    page.goto(reverse("admin:subscribers_newsletter_invite", args=[private]))
    page.get_by_label("Addresses").fill("a@example.org\nb@example.org")
    page.get_by_role("button", name="See what would happen").click()
    page.get_by_role("button", name="Invite 2 people").click()
    assert "Invited: 2 people." in page.locator("main").inner_text()
    assert "b@example.org" in page.locator("main").inner_text()
    without.close()
