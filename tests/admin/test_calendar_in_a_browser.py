"""Calendar, holidays and the form of a newsletter in Chromium: desk, phone, dark, no script."""

import os
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from mailer import opening
from mailer.models import EditionState
from subscribers.models import Cadence, Holiday, Newsletter
from tests import factories
from tests.admin.conftest import CHROMIUM
from tests.admin.test_in_a_browser import complaints
from tests.browser.test_pages import low_contrast_in_the_dark, too_wide, violations

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("IRIA_REQUIRE_ALL_TESTS"),
        reason="There is no Chromium on this machine.",
    ),
]
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 320, "height": 700}
# Unfold's lists have two regions of one name.
KNOWN_OF_UNFOLD = "landmark-unique"
CALENDAR = "admin:mailer_edition_calendar"


@pytest.fixture
def calendar(live_server) -> Newsletter:
    """A week of editions, missed ones among them, and a holiday; made before the browser starts."""
    now = timezone.now()
    newsletter = factories.make_newsletter(
        "IRIA Morning Briefing for the Indo-Pacific",
        cadence=Cadence.DAYS,
        days=0b1111111,
        zone="America/Argentina/ComodRivadavia",
        created_at=now - timedelta(days=20),
        draft_hours=24,
    )
    Holiday.objects.create(day=now.date() + timedelta(days=2), name="Founders’ Day")
    Holiday.objects.create(day=now.date() - timedelta(days=2), newsletter=newsletter, name="Moving")
    factories.make_article("Cable ships")
    opening.open_due(now=now)
    return newsletter


def test_the_pages_fit_a_desk_and_a_phone_and_are_accessible(calendar, desk):
    page = desk.browser.new_page()
    said = complaints(page)
    switch_days = reverse(CALENDAR) + "?month=2027-03"
    for path in (
        reverse(CALENDAR),
        switch_days,
        reverse("admin:subscribers_newsletter_change", args=[calendar.pk]),
        reverse("admin:subscribers_holiday_changelist"),
        reverse("admin:subscribers_holiday_add"),
        reverse("admin:index"),
    ):
        for size in (DESK, PHONE):
            page.set_viewport_size(size)
            page.emulate_media(color_scheme="light")
            page.goto(path, wait_until="networkidle")
            found = [each for each in violations(page) if KNOWN_OF_UNFOLD not in each]
            assert found == [], (path, size)
            assert too_wide(page) == [], (path, size)
            assert low_contrast_in_the_dark(page) == [], (path, size)
            assert said == [], (path, size)


def test_a_desk_has_a_table_and_a_phone_a_list_of_the_same(calendar, desk):
    page = desk.browser.new_page()
    page.set_viewport_size(DESK)
    page.goto(reverse(CALENDAR))
    assert page.get_by_role("table").get_by_text("missed").count() >= 1
    assert not page.locator(".month-list").is_visible()

    page.set_viewport_size(PHONE)
    assert not page.get_by_role("table").is_visible()
    assert page.locator(".month-list").get_by_text("coming").first.is_visible()


def test_the_calendar_works_without_a_script(calendar, desk, live_server):
    without = desk.browser.browser.new_context(
        java_script_enabled=False,
        base_url=live_server.url,
        storage_state=desk.browser.storage_state(),
    )
    page = without.new_page()
    page.goto(reverse(CALENDAR) + "?month=2027-02")
    page.get_by_label("Newsletter", exact=True).select_option(calendar.name)
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name="the month after").click()
    assert page.get_by_role("heading", name="March 2027").is_visible()
    table = page.get_by_role("table")
    assert table.get_by_role("link", name=calendar.name).count() >= 31
    assert table.get_by_role("link", name="IRIA Daily").count() == 0
    without.close()


def test_a_missed_slot_leads_to_its_edition(calendar, desk):
    page = desk.browser.new_page()
    page.set_viewport_size(DESK)
    page.goto(reverse(CALENDAR))
    missed = page.get_by_role("table").locator("li", has_text="missed").first
    missed.get_by_role("link").click()
    assert EditionState.SKIPPED in page.locator("main").inner_text()
