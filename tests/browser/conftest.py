"""A real Chromium, that of the system, and what it complains about."""

import contextlib
import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.service import Service

NAMES = ["chromium", "chromium-browser", "google-chrome"]
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
EXPECTED = [
    "the server responded with a status of 4",  # for the console an error; tests look themselves
    # Playwright's own script, in the frame of a message; a mail of ours holds none (M9).
    "Blocked script execution in 'about:srcdoc'",
]
WAIT = 30_000  # milliseconds; a machine may be busy


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """For a module only: while it runs, Django would refuse other tests of this process the ORM."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        sentence = f"There is no Chromium on this machine (looked for {', '.join(NAMES)})."
        if os.environ.get("IRIA_REQUIRE_ALL_TESTS"):
            pytest.fail(sentence)
        pytest.skip(sentence)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


class Visitor:
    """A window of its own, with what the browser reported about the pages shown in it."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.complaints: list[str] = []
        context.set_default_timeout(WAIT)
        context.on("console", lambda message: self._note(message.type, message.text))
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        self.page: Page = context.new_page()

    def _note(self, kind: str, text: str) -> None:
        """A refused style, script or picture is an error on the console, too."""
        if kind in {"error", "warning"} and not any(each in text for each in EXPECTED):
            self.complaints.append(text)


@contextlib.contextmanager
def open_window(chromium: Browser, service: Service, **options: object) -> Iterator[Visitor]:
    """As most readers have it, or with Playwright's options."""
    network = {"X-Forwarded-For": service.browser().network}
    context = chromium.new_context(base_url=service.url, extra_http_headers=network, **options)
    try:
        yield Visitor(context)
    finally:
        context.close()
