"""The preferences and what lies behind them, in a real browser, with scripts and without."""

import re

import pytest
from playwright.sync_api import expect

from tests import steps
from tests.browser.conftest import open_window
from tests.browser.test_pages import low_contrast_in_the_dark, too_wide, violations

pytestmark = pytest.mark.browser
NARROW = {"width": 320, "height": 640}


def check(window) -> None:
    """Nothing sticks out, axe has nothing to say, also in the dark."""
    assert too_wide(window.page) == []
    assert violations(window.page) == []
    assert low_contrast_in_the_dark(window.page) == []
    assert window.complaints == []


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_everything_is_chosen_paused_and_left_by_keyboard_and_mouse(scripts, chromium, service):
    reader = steps.join(service)
    with open_window(chromium, service, java_script_enabled=scripts) as visitor:
        page = visitor.page
        page.goto(reader.preferences.url)
        page.get_by_label("Hour on your clock").select_option("18:00")
        page.get_by_label("Time zone").select_option("Asia/Tokyo")
        page.get_by_role("radio", name=re.compile("^Text only")).check()
        page.get_by_role("radio", name=re.compile("^Two weeks")).check()
        page.get_by_role("button", name="Save preferences").press("Enter")
        expect(page.get_by_role("status")).to_contain_text("Saved.")
        expect(page.get_by_label("Time zone")).to_have_value("Asia/Tokyo")
        page.get_by_role("button", name="End the pause now").click()
        expect(page.get_by_role("status")).to_contain_text("Resumed.")
        with page.expect_download() as download:
            page.get_by_role("button", name="Download my data").click()
        assert reader.address in download.value.path().read_text()
        page.get_by_role("button", name="Erase me").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Erase everything about you?")
        page.get_by_role("link", name="Keep everything").click()
        page.get_by_role("button", name="Unsubscribe from everything").click()
        expect(page.get_by_role("status")).to_contain_text("Unsubscribed from everything.")
        assert visitor.complaints == []


def test_the_preferences_are_usable_at_320_pixels_also_with_mistakes(chromium, service):
    reader = steps.join(service)
    with open_window(chromium, service, viewport=NARROW) as window:
        page = window.page
        page.goto(reader.preferences.url)
        page.get_by_text(re.compile("^Topics of IRIA Daily")).click()
        check(window)

        page.emulate_media(color_scheme="light")
        page.get_by_role("radio", name=re.compile("^Until the day below")).check()
        page.get_by_role("button", name="Save preferences").click()
        expect(page.get_by_role("alert")).to_contain_text("Give the day")
        check(window)

        page.emulate_media(color_scheme="light")
        page.get_by_role("radio", name=re.compile("^Two weeks")).check()
        page.get_by_role("button", name="Save preferences").click()
        expect(page.get_by_role("status")).to_contain_text("Saved.")
        check(window)


def test_every_page_on_the_way_out_is_usable_at_320_pixels(chromium, service):
    reader = steps.join(service)
    title = "Narrow straits, seen on a small screen"
    steps.publish(service, title)
    steps.send_edition(service)
    digest = service.wait_for_mail(to=reader.address, words=title)
    new = steps.new_address("narrow")
    reader.browser.submit(reader.browser.get(reader.preferences.url), "Change address", email=new)
    asks = service.wait_for_mail(to=new)
    with open_window(chromium, service, viewport=NARROW) as window:
        page = window.page
        page.goto(digest.one_click_url)
        page.get_by_role("button", name="Unsubscribe").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Done. IRIA Daily has stopped.")
        check(window)
        page.emulate_media(color_scheme="light")
        page.get_by_role("button", name="Send reason").click()
        expect(page.get_by_role("alert")).to_contain_text("Choose one of the reasons")
        check(window)
        page.emulate_media(color_scheme="light")
        page.get_by_role("button", name="Pause for 2 months").click()
        expect(page.get_by_role("status")).to_contain_text("Done.")
        check(window)
        for address in (asks.link("/address/"), f"{reader.preferences.url.split('?')[0]}erase/"):
            page.emulate_media(color_scheme="light")
            page.goto(address)
            check(window)
        page.get_by_role("button", name="Erase me for good").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Done. You are erased.")
        check(window)
