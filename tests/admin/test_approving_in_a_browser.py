"""An editor's and a publisher's way in a real Chromium: look, approve, undo, pause, resume."""

import os

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from playwright.sync_api import Page

from mailer.models import Edition
from subscribers.models import Approval
from tests.admin.conftest import CHROMIUM
from tests.mailer import editions as ways

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("IRIA_REQUIRE_ALL_TESTS"),
        reason="There is no Chromium on this machine.",
    ),
]
PAGES = [
    *("change", "readers", "preview", "checks", "approve"),
    *("ask", "send_back", "urgent", "test_mail"),
]
NARROW = {"width": 320, "height": 640}


@pytest.fixture
def draft(transactional_db) -> Edition:
    newsletter = ways.daily(4, articles=3, name="IRIA Review", approval=Approval.PERSON)
    edition = ways.open_now(newsletter)
    subject = "A subject that says a good deal more than any phone will ever show of it"
    Edition.objects.filter(pk=edition.pk).update(subject=subject, note="See https://un.org/.")
    return edition


def url(page: str, edition: Edition) -> str:
    return reverse(f"admin:mailer_edition_{page}", args=[edition.pk])


def too_wide(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth > innerWidth")


def main_text(page: Page) -> str:
    return page.locator("main").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_phone_and_is_clean(draft, desk, scheme):
    page = desk.browser.new_page()
    page.set_viewport_size(NARROW)
    page.emulate_media(color_scheme=scheme)
    for name in PAGES:
        page.goto(url(name, draft), wait_until="networkidle")
        if shots := os.environ.get("SHOTS"):
            page.screenshot(path=f"{shots}/{name}-{scheme}.png", full_page=True)
        found = Axe().run(page, context={"exclude": ["iframe"]})
        assert found.violations_count == 0, f"{name}: {found.generate_report()}"
        assert not too_wide(page), name


def test_approved_and_undone_with_every_warning_seen(draft, desk):
    page = desk.browser.new_page()
    page.goto(url("approve", draft))
    page.get_by_label("I have seen").check()
    page.get_by_role("button", name="Approve 4 mails").click()
    assert "until then it can be undone" in main_text(page)

    page.goto(reverse("admin:index"))
    assert "IRIA Review leaves at" in page.locator(".grace").inner_text()
    page.locator(".grace").get_by_role("link", name="Undo").click()
    page.get_by_role("button", name="Undo the approval").click()

    assert "It is a draft again; nothing has left." in main_text(page)
    assert page.locator(".grace").count() == 0


def test_the_mail_is_seen_in_four_forms(draft, desk):
    page = desk.browser.new_page()
    page.goto(url("preview", draft))
    colours, widths = set(), []
    for form in ("Desktop", "Phone", "Dark"):
        page.get_by_role("link", name=form, exact=True).click()
        mail = page.frame_locator("iframe.preview")
        body = mail.locator("body")
        body.wait_for()
        colours.add(body.evaluate("body => getComputedStyle(body).backgroundColor"))
        widths.append(page.locator("iframe.preview").bounding_box()["width"])
    page.get_by_role("link", name="Text only", exact=True).click()

    assert len(colours) == 2  # light twice, and dark
    assert widths[1] <= 390 < widths[0]
    assert "Unsubscribe" in page.get_by_role("region", name="The text part").inner_text()
    assert page.locator("iframe").count() == 0


def test_paused_and_resumed_by_keyboard_alone(draft, desk):
    page = desk.browser.new_page()
    page.goto(url("pause", desk.newsroom.edition))
    page.get_by_label("Reason").focus()
    page.keyboard.type("A typo")
    page.keyboard.press("Enter")
    page.get_by_text("Paused by admin: A typo").first.wait_for()

    page.get_by_role("link", name="Resume").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Resume").focus()
    page.keyboard.press("Enter")

    page.get_by_text("Resumed. 3 mails to go.").wait_for()


def test_approving_works_without_javascript(draft, desk, live_server):
    context = desk.browser.browser.new_context(
        java_script_enabled=False,
        storage_state=desk.browser.storage_state(),
        base_url=live_server.url,
    )
    page = context.new_page()
    page.goto(url("approve", draft))
    page.get_by_label("I have seen").check()
    page.get_by_role("button", name="Approve 4 mails").click()

    assert "until then it can be undone" in main_text(page)
