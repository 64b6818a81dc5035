"""Imports in a real Chromium: usable on a phone, and the page moves on by itself."""

import os

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse

from subscribers.importing import jobs
from subscribers.importing.pages import Plan
from subscribers.models import ImportState, Proof, SubscriberImport
from tests import factories
from tests.admin.conftest import CHROMIUM
from tests.admin.test_imports import TEXT
from tests.admin.test_in_a_browser import complaints

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("IRIA_REQUIRE_ALL_TESTS"),
        reason="There is no Chromium on this machine.",
    ),
]
FITS = "() => document.documentElement.scrollWidth <= document.documentElement.clientWidth"
SHOTS = os.environ.get("IRIA_SHOTS", "")  # a folder, for whoever wants to look


@pytest.fixture
def job(settings, tmp_path, transactional_db) -> SubscriberImport:
    """Checked; made before the browser, beside whose loop Django would open a second connection."""
    settings.DATA_DIR = tmp_path
    factories.make_topic("Europe")
    plan = Plan([factories.make_newsletter("Weekly")], (), "a fair", Proof.KEPT)
    job = jobs.submit([TEXT.encode()], name="readers.csv", plan=plan, by=None)
    jobs.work()
    return job


def test_every_page_of_an_import_fits_a_phone_and_offends_nobody(job, desk):
    paths = {
        "list": reverse("admin:subscribers_subscriberimport_changelist"),
        "upload": reverse("admin:subscribers_subscriberimport_add"),
        "page": reverse("admin:subscribers_subscriberimport_change", args=[job.pk]),
        "apply": reverse("admin:subscribers_subscriberimport_apply", args=[job.pk]),
        "export": reverse("admin:subscribers_subscriberimport_export"),
    }
    page = desk.browser.new_page()
    said = complaints(page)
    for width in (1280, 320):
        page.set_viewport_size({"width": width, "height": 900})
        for name, path in paths.items():
            page.goto(path, wait_until="networkidle")
            if SHOTS:
                page.screenshot(path=f"{SHOTS}/{name}-{width}.png", full_page=True)
            assert page.evaluate(FITS), f"{name} at {width}"
            found = Axe().run(page, context="#main").response["violations"]
            assert [each["id"] for each in found] == [], f"{name} at {width}"
            assert said == [], name


def test_an_import_is_uploaded_and_its_page_moves_on_by_itself(job, desk, tmp_path):
    file = tmp_path / "readers.csv"
    file.write_text(TEXT.replace("example.org", "example.com"))
    page = desk.browser.new_page()
    page.goto(reverse("admin:subscribers_subscriberimport_add"))

    page.set_input_files("input[type=file]", str(file))
    page.get_by_label("Source").fill("paper form")
    page.get_by_label("Weekly").check()
    page.get_by_role("button", name="Check the file").click()
    page.get_by_text("A worker reads the file.").wait_for()
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/checking.png", full_page=True)

    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # the worker, in the browser's loop
    try:
        jobs.work()
    finally:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]

    page.get_by_role("link", name="Import 2 readers").wait_for()
    assert page.get_by_text("no @ sign").is_visible()
    assert ImportState.CHECKED.value in page.locator("#progress").inner_text()
