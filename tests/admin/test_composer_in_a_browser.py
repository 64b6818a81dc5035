"""Composing in Chromium: by mouse, by keyboard, without a script, by two people, on a phone."""

import os

import pytest
from django.urls import reverse
from playwright.sync_api import Locator, Page, expect

from subscribers.models import Approval
from tests import factories
from tests.admin.conftest import CHROMIUM, Desk
from tests.browser.test_pages import low_contrast_in_the_dark, too_wide, violations
from tests.mailer.editions import open_now

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("IRIA_REQUIRE_ALL_TESTS"),
        reason="There is no Chromium on this machine.",
    ),
]
SIZES = [{"width": 1280, "height": 900}, {"width": 320, "height": 700}]
TITLES = ["Gulf", "Baltic", "Fishing", "Cable"]


@pytest.fixture
def draft(live_server) -> str:
    """The composer of a draft of four articles, made before the browser starts: see `desk`."""
    topic = factories.make_topic("Security")
    newsletter = factories.make_newsletter(
        "IRIA Morning", approval=Approval.PERSON, max_articles=4, topics=[topic]
    )
    for title in reversed(TITLES):
        factories.make_article(title, topics=[topic])
    edition = open_now(newsletter)
    factories.make_article("Late", topics=[topic])
    return reverse("admin:mailer_edition_compose", args=[edition.pk])


def opened(desk: Desk, path: str) -> Page:
    page = desk.browser.new_page()
    page.set_viewport_size({"width": 1280, "height": 1200})  # the mouse reaches every item
    page.goto(path, wait_until="networkidle")
    return page


def item(page: Page, title: str) -> Locator:
    return page.locator(".composer-item").filter(has_text=title)


def handle(page: Page, title: str) -> Locator:
    return page.get_by_role("button", name=f"Order: {title}")


def order(page: Page) -> list[str]:
    return page.locator(".composer-item .composer-title a").all_inner_texts()


def saved(page: Page, sentence: str) -> list[str]:
    """The order as the server has it, once this was announced."""
    expect(page.locator("#spoken")).to_have_text(sentence)
    page.reload(wait_until="networkidle")
    return order(page)


def drag(page: Page, title: str, onto: str) -> None:
    grip, target = handle(page, title).bounding_box(), item(page, onto).bounding_box()
    assert grip is not None
    assert target is not None
    page.mouse.move(grip["x"] + 10, grip["y"] + 10)
    page.mouse.down()
    downwards = target["y"] > grip["y"]
    beyond = target["y"] + (target["height"] - 5 if downwards else 5)
    page.mouse.move(grip["x"] + 10, beyond, steps=8)
    page.mouse.up()


def test_items_are_dragged_by_mouse_and_saved_at_once(draft, desk):
    page = opened(desk, draft)

    drag(page, "Gulf", onto="Fishing")
    assert saved(page, "Now item 3 of 4.") == ["Baltic", "Fishing", "Gulf", "Cable"]

    drag(page, "Cable", onto="Baltic")
    assert saved(page, "Now item 1 of 4.") == ["Cable", "Baltic", "Fishing", "Gulf"]
    expect(item(page, "Cable").get_by_text("LEAD", exact=True)).to_be_visible()


def test_items_are_ordered_by_keyboard_and_every_step_is_said(draft, desk):
    page = opened(desk, draft)
    spoken, grip = page.locator("#spoken"), handle(page, "Fishing")

    grip.focus()
    for key, said in [
        ("Space", "Lifted item 3 of 4."),
        ("ArrowUp", "Now item 2 of 4."),
        ("ArrowUp", "Now item 1 of 4."),
        ("ArrowUp", "Now item 1 of 4."),
        ("Escape", "Put back, item 3 of 4."),
        ("ArrowUp", "Put back, item 3 of 4."),
        ("Space", "Lifted item 3 of 4."),
        ("ArrowDown", "Now item 4 of 4."),
        ("Space", "Now item 4 of 4."),
    ]:
        page.keyboard.press(key)
        expect(spoken).to_have_text(said)
        expect(grip).to_be_focused()

    expect(page.locator("#saved")).to_have_text("Saved. Now item 4 of 4.")
    assert saved(page, "Now item 4 of 4.") == ["Gulf", "Baltic", "Cable", "Fishing"]


def test_leaving_a_lifted_item_puts_it_back(draft, desk):
    page = opened(desk, draft)

    handle(page, "Fishing").focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Tab")

    expect(page.locator("#spoken")).to_have_text("Put back, item 3 of 4.")
    assert order(page) == TITLES


def test_one_press_after_the_other_is_saved_in_turn_and_keeps_the_focus(draft, desk):
    page = opened(desk, draft)

    up = page.get_by_role("button", name="Up: Cable")
    up.press("Enter")
    up.press("Enter")
    expect(up).to_be_focused()
    up.press("Enter")
    expect(handle(page, "Cable")).to_be_focused()  # the first has no such button
    page.get_by_role("button", name="Make lead: Baltic").click()

    expect(page.locator("#saved")).to_have_text("Saved. Now item 1 of 4.")
    page.wait_for_load_state("networkidle")
    assert saved(page, "Now item 1 of 4.") == ["Baltic", "Cable", "Gulf", "Fishing"]


def test_the_second_of_two_people_is_told_and_overwrites_nothing(draft, desk):
    mine, theirs = opened(desk, draft), opened(desk, draft)
    drag(theirs, "Gulf", onto="Baltic")
    expect(theirs.locator("#spoken")).to_have_text("Now item 2 of 4.")

    mine.get_by_role("button", name="Up: Cable").click()

    problem = mine.get_by_role("alert")
    expect(problem).to_contain_text("Changed the order. Nothing was overwritten.")
    expect(problem).to_contain_text("Your last move is not saved.")
    problem.get_by_role("link", name="Load what it says now").click()
    assert order(mine) == ["Baltic", "Gulf", "Fishing", "Cable"]


def test_the_inbox_line_follows_what_is_typed(draft, desk):
    page = opened(desk, draft)
    subject = page.get_by_label("Subject:")

    page.get_by_role("button", name="Gulf, and 3 more").click()
    expect(subject).to_have_value("Gulf, and 3 more")
    expect(subject).to_be_focused()
    subject.fill("A subject that is so long that no telephone will ever show it")

    expect(page.locator("[data-counts=subject]")).to_have_text("61 characters")
    expect(page.locator("#subject-warnings")).to_have_text("Long: 61 characters.")
    expect(page.locator(".inbox-desk")).to_contain_text("A subject that is so long")
    subject.fill("")
    expect(page.locator(".inbox-phone")).to_contain_text("Gulf, and 3 more")


def test_all_of_it_works_without_a_script(draft, desk, live_server):
    without = desk.browser.browser.new_context(
        java_script_enabled=False,
        base_url=live_server.url,
        storage_state=desk.browser.storage_state(),
    )
    page = without.new_page()
    page.goto(draft)
    assert page.locator(".handle").first.is_hidden()
    press = lambda name: page.get_by_role("button", name=name, exact=True).click()  # noqa: E731

    press("Make lead: Cable")
    assert page.url.endswith(item(page, "Cable").get_attribute("id") or "nowhere")
    press("Down: Gulf")
    assert order(page) == ["Cable", "Baltic", "Gulf", "Fishing"]
    press("Drop for good: Fishing")
    press("Move to next edition: Gulf")
    press("Take in: Late")
    press("Take back: Gulf")
    assert order(page) == ["Cable", "Baltic", "Late", "Gulf"]

    item(page, "Baltic").get_by_text("Blurb: from the article").click()
    item(page, "Baltic").get_by_role("textbox").fill("In other words.")
    item(page, "Baltic").get_by_role("button", name="Save blurb").click()
    assert "Blurb: In other words." in item(page, "Baltic").inner_text()
    page.get_by_label("Introduction:").fill("Good morning.")
    press("Cable, and 3 more")
    assert page.get_by_label("Introduction:").input_value() == "Good morning."
    assert page.get_by_label("Subject:").input_value() == "Cable, and 3 more"
    press("Do not group by topic")
    page.get_by_role("link", name="Compose anew").click()
    page.get_by_role("button", name="Compose anew with").click()
    assert order(page) == ["Late", "Gulf", "Baltic", "Cable"]
    without.close()


def test_the_page_fits_a_desk_and_a_phone_and_is_accessible(draft, desk):
    page = desk.browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else "")
    page.on("pageerror", lambda error: said.append(str(error)))
    for size in SIZES:
        page.set_viewport_size(size)
        page.emulate_media(color_scheme="light")
        page.goto(draft, wait_until="networkidle")
        page.get_by_text("Blurb: from the article").first.click()
        page.get_by_text("Add a picture").click()
        assert violations(page) == [], size
        assert too_wide(page) == [], size
        assert low_contrast_in_the_dark(page) == [], size
    assert said == []
