"""Every page that a reader may meet: at 320 px, light and dark, without a complaint."""

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests import steps
from tests.browser.conftest import Visitor, open_window
from tests.service import Service

pytestmark = pytest.mark.browser
NARROW = {"width": 320, "height": 640}
PAGES = [
    *("front", "article", "article with a picture", "topic", "editions", "edition", "subscribe"),
    *("check inbox", "confirm", "preferences", "unsubscribe", "unsubscribed", "undo", "bad link"),
    *("offers after leaving", "send link", "inbox list", "inbox message", "inbox source"),
    "not found",
]


@pytest.fixture(
    scope="session"
)  # a parallel run may come back to this module; reader 2 leaves once
def addresses(service: Service) -> dict[str, str]:
    """One address for each page. The links come from mails, as a reader gets them."""
    service.wait_until_quiet()
    browser = service.browser()
    digest = service.wait_for_mail(to="reader1@example.org", words="IRIA Daily")
    left = service.wait_for_mail(to="reader2@example.org", words="IRIA Daily")
    unsubscribed = browser.submit(browser.get(left.one_click_url), "Unsubscribe")
    steps.sign_up(service, waiting := steps.new_address("pages"))
    confirmation = service.wait_for_mail(to=waiting)
    front = browser.get("/")
    article = front.tree.xpath("//main//a[contains(@href, '/articles/')]/@href")
    pictured = front.tree.xpath("//main//a[contains(@href, '/articles/')][.//img]/@href")
    edition = re.search(r"/editions/iria-daily-[0-9-]+/", browser.get("/editions/").html)[0]
    return {
        "front": "/",
        "article": article[-1],
        "article with a picture": [*pictured, *article][0],
        "topic": "/topics/europe/",
        "editions": "/editions/",
        "edition": edition,
        "subscribe": "/subscribe/",
        "check inbox": "/subscribe/check-your-inbox/",
        "confirm": confirmation.link("/confirm/"),
        "preferences": digest.link("/preferences/"),
        "unsubscribe": digest.one_click_url,
        "unsubscribed": left.one_click_url,
        "offers after leaving": unsubscribed.form("Send reason").action,
        "undo": unsubscribed.form("Undo, keep IRIA Daily").action,
        "bad link": "/confirm/nothing/",
        "send link": "/preferences/",
        "inbox list": "/inbox/",
        "inbox message": f"/inbox/{digest.id}/",
        "inbox source": f"/inbox/{digest.id}/?view=source",
        "not found": "/nowhere/",
    }


@pytest.fixture(scope="module")
def window(chromium: Browser, service: Service) -> Iterator[Visitor]:
    """One narrow window for all pages; opening one takes half a second."""
    with open_window(chromium, service, viewport=NARROW) as visitor:
        yield visitor


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_a_narrow_screen_and_is_accessible_in_light_and_dark(name, addresses, window):
    window.complaints.clear()
    window.page.emulate_media(color_scheme="light")
    window.page.goto(addresses[name])

    assert too_wide(window.page) == []
    assert violations(window.page) == []
    assert low_contrast_in_the_dark(window.page) == []
    assert window.complaints == []


def test_mistakes_on_the_form_are_shown_accessibly(window):
    window.complaints.clear()
    window.page.goto("/subscribe/")
    window.page.get_by_label("Email address").fill("not an address")
    window.page.locator("#send").click()
    window.page.get_by_role("alert").wait_for()

    assert too_wide(window.page) == []
    assert violations(window.page) == []
    assert low_contrast_in_the_dark(window.page) == []
    assert window.complaints == []


def too_wide(page: Page) -> list[str]:
    """What reaches beyond the right edge, if the page can be pushed sideways."""
    return page.evaluate("""() => {
        const root = document.scrollingElement;
        if (root.scrollWidth <= root.clientWidth) return [];
        const wide = [...document.body.querySelectorAll('*')]
            .filter(each => each.getBoundingClientRect().right > root.clientWidth)
            .map(each => each.tagName + '.' + each.className);
        return ['the page', ...wide];
    }""")


def violations(page: Page) -> list[str]:
    return said(Axe().run(page).response)


def low_contrast_in_the_dark(page: Page) -> list[str]:
    """Only colours change in the dark. Axe is in the page since `violations`."""
    page.emulate_media(color_scheme="dark")
    return said(page.evaluate("() => axe.run(document, {runOnly: ['color-contrast']})"))


def said(response: dict) -> list[str]:
    return [
        f"{each['id']}: {[node['html'][:120] for node in each['nodes'][:3]]}"
        for each in response["violations"]
    ]
