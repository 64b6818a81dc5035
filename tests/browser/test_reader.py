"""A reader with a real browser, from the form on the front page to the last button."""

import contextlib
import re

import pytest
from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as TooLate

from tests import steps
from tests.browser.conftest import WAIT, Visitor, open_window
from tests.service import TYPING, Service

pytestmark = pytest.mark.browser
expect.set_options(timeout=WAIT)
PRESSES = 5
LEFT = "Done. IRIA Daily has stopped."


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_everything_from_sign_up_to_leaving_happens_in_the_browser(scripts, chromium, service):
    address = steps.new_address("browser")
    title = f"Ships in the dark, {'seen' if scripts else 'heard'}"
    with open_window(chromium, service, java_script_enabled=scripts) as visitor:
        sign_up(visitor.page, address)
        open_mail(service, visitor.page, address, "Please confirm")
        confirm_and_choose(press_in_message(visitor, "Confirm subscription"))

        steps.publish(service, title)
        steps.send_edition(service)
        open_mail(service, visitor.page, address, title)
        article = press_in_message(visitor, title)
        expect(article.get_by_role("heading", level=1)).to_have_text(title)
        leave = leave_as_a_mailbox_does if scripts else leave_by_the_link_and_come_back
        leave(visitor)

        assert visitor.complaints == []


def confirm_and_choose(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirm your subscription")
    page.get_by_role("button", name="Yes, subscribe me").click()
    expect(page.get_by_role("status")).to_contain_text("Confirmed.")
    page.get_by_text(re.compile("^Topics of IRIA Daily")).click()
    page.locator("#topic-iria-daily").get_by_label("Africa").uncheck()
    page.get_by_role("button", name="Save preferences").click()
    expect(page.get_by_role("status")).to_contain_text("Saved.")


def leave_as_a_mailbox_does(visitor: Visitor) -> None:
    visitor.page.get_by_role("button", name="Unsubscribe, as a mailbox would").click()
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text(LEFT)


def leave_by_the_link_and_come_back(visitor: Visitor) -> None:
    page = press_in_message(visitor, re.compile("^Unsubscribe"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Stop IRIA Daily?")
    page.get_by_role("button", name="Unsubscribe").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(LEFT)
    page.get_by_role("button", name="Undo, keep IRIA Daily").click()
    expect(page.get_by_role("status")).to_contain_text("Undone.")


def sign_up(page: Page, address: str) -> None:
    page.goto("/")
    form = page.get_by_role("region", name="Subscribe to IRIA News")
    form.get_by_label("Enter your email address").fill(address)
    page.wait_for_timeout(TYPING * 1000)
    form.get_by_role("button", name="Subscribe").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Now check your inbox")


def open_mail(service: Service, page: Page, address: str, words: str) -> None:
    """Find the mail in the inbox as a person does: search, then open it."""
    mail = service.wait_for_mail(to=address, words=words)
    page.goto("/inbox/")
    page.get_by_label("Recipient or subject").fill(address)
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name=mail.subject).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(mail.subject)


def press_in_message(visitor: Visitor, name: "str | re.Pattern[str]") -> Page:
    """Follow a link inside the message; it opens in a window of its own.

    A frame in a sandbox has a process of its own, and Chromium may lose a click that comes in the
    moment in which it appears. So press again, as a person would.
    """
    link = visitor.page.frame_locator("iframe").get_by_role("link", name=name).first
    for _ in range(PRESSES):
        with contextlib.suppress(TooLate):
            with visitor.context.expect_page(timeout=WAIT / PRESSES) as opened:
                link.click()
            return opened.value
    raise AssertionError(f"the link {name!r} opens no window")
