"""Signing up with a real browser: from other sites, with mistakes, with and without scripts."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from tests import steps
from tests.browser.conftest import WAIT, Visitor, open_window
from tests.browser.test_pages import NARROW, low_contrast_in_the_dark, too_wide, violations
from tests.service import TYPING, Service

pytestmark = pytest.mark.browser
expect.set_options(timeout=WAIT)
SCRIPTS = pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
DONE = "Now check your inbox"


@contextlib.contextmanager
def another_site(body: str) -> Iterator[str]:
    """A site of somebody else, on another host name than the service; yields its address."""
    page = f"<!DOCTYPE html><html lang='en'><title>A blog</title><main>{body}</main></html>"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/" else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_arguments: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def window(scripts, chromium: Browser, service: Service) -> Iterator[Visitor]:
    options = {"java_script_enabled": scripts, "viewport": NARROW}
    with open_window(chromium, service, **options) as visitor:
        yield visitor


def frame_in(service: Service) -> str:
    return f"<iframe title='Subscribe' src='{service.url}/embed/subscribe/' width='300'></iframe>"


@SCRIPTS
def test_sign_up_and_confirmation_by_the_large_form(scripts, window, service):
    page, address = window.page, steps.new_address("large")
    page.goto("/subscribe/")
    page.get_by_label("Email address").fill(address)
    page.get_by_label("IRIA Weekly").check()
    page.get_by_label("IRIA Daily").uncheck()
    page.wait_for_timeout(TYPING * 1000)
    page.get_by_role("button", name="Subscribe").press("Enter")  # by keyboard alone
    expect(page.get_by_role("heading", level=1)).to_have_text(DONE)

    link = service.wait_for_mail(to=address).link("/confirm/")
    for _ in range(2):  # a scanner with a browser opens it first, and presses nothing
        page.goto(link)
        page.wait_for_timeout(200)
    expect(page.get_by_role("main")).to_contain_text("IRIA Weekly")
    page.get_by_role("button", name="Yes, subscribe me").click()
    expect(page.get_by_role("status")).to_contain_text("Confirmed.")
    assert service.wait_for_mail(to=address, subject="Welcome to IRIA Weekly")
    assert window.complaints == []


@SCRIPTS
def test_the_frame_works_inside_another_site_without_a_cookie(scripts, window, service):
    address = steps.new_address("framed")
    with another_site(frame_in(service)) as there:
        window.page.goto(there)
        frame = window.page.frame_locator("iframe")
        send(window.page, frame, "not an address")
        expect(frame.get_by_role("alert")).to_contain_text("has no @ sign")
        send(window.page, frame, address.replace("@journeys.example", "@gmial.com"))
        expect(frame.get_by_role("alert")).to_contain_text("Did you mean")
        frame.get_by_role("link", name="Enter another address").click()
        send(window.page, frame, address)
        expect(frame.get_by_role("heading", level=1)).to_have_text(DONE)

    assert service.wait_for_mail(to=address).link("/confirm/")
    assert window.context.cookies() == []
    assert window.complaints == []


@SCRIPTS
def test_a_plain_form_on_another_site_needs_one_more_press_here(scripts, window, service):
    address = steps.new_address("pasted")
    form = (
        f"<form method='post' action='{service.url}/subscribe/'><label>Email"
        "<input type='email' name='email'></label><button>Subscribe</button></form>"
    )
    page = window.page
    with another_site(form) as there:
        page.goto(there)
        page.get_by_label("Email").fill(address)
        page.get_by_role("button", name="Subscribe").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Press once more")
        assert too_wide(page) == []
        page.wait_for_timeout(TYPING * 1000)
        page.get_by_role("button", name=f"Subscribe {address}").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(DONE)

    assert service.wait_for_mail(to=address).link("/confirm/")
    assert window.context.cookies() == []
    assert window.complaints == []


def send(page: Page, frame: FrameLocator, typed: str) -> None:
    field = frame.get_by_label("Enter your email address")
    field.fill(typed)
    page.wait_for_timeout(TYPING * 1000)
    frame.get_by_role("button", name="Subscribe").click()


WAYS_TO_A_PAGE = {
    # where the small form stands, what is typed, whether the form has an age, what comes back
    "mistake in the frame": ("/embed/subscribe/", "not an address", True, "Error: Subscribe"),
    "typing mistake in the frame": ("/embed/subscribe/", "m@gmial.com", True, "Is the address"),
    "one more press in the frame": ("/embed/subscribe/", "m@example.org", False, "Press once"),
    "typing mistake": ("/", "m@gmial.com", True, "Is the address right?"),
    "one more press": ("/", "m@example.org", False, "Press once more"),
}


@pytest.mark.parametrize("path", ["/embed/subscribe/", "/embed/subscribe/check-your-inbox/"])
def test_the_pages_of_the_frame_are_accessible_and_fit(path, chromium, service):
    with open_window(chromium, service, viewport=NARROW) as visitor:
        visitor.page.goto(path)
        assert faults(visitor) == []


@pytest.mark.parametrize("way", WAYS_TO_A_PAGE)
def test_the_answers_on_the_way_in_are_accessible_and_fit(way, chromium, service):
    path, typed, has_age, title = WAYS_TO_A_PAGE[way]
    local, at, domain = typed.partition("@")
    with open_window(chromium, service, viewport=NARROW) as visitor:
        page = visitor.page
        page.goto(path)
        page.get_by_label("Enter your email address").fill(local * 40 + at + domain)
        if not has_age:
            page.evaluate("document.querySelector('[name=form_age]').value = ''")
        page.locator("form.join").evaluate("form => form.noValidate = true")
        page.get_by_role("button", name="Subscribe").click()
        page.wait_for_function("title => document.title.startsWith(title)", arg=title)
        assert faults(visitor) == []


def faults(visitor: Visitor) -> list[str]:
    page = visitor.page
    found = [*too_wide(page), *violations(page), *low_contrast_in_the_dark(page)]
    return [*found, *visitor.complaints]
