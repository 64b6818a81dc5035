"""When editions come, as the admin shows and changes it: calendar, newsletter form, holidays."""

import re
from collections.abc import Iterator
from datetime import date, time, timedelta

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils import timezone

from mailer import opening
from mailer.models import Edition, EditionState
from subscribers.models import Cadence, Holiday, MonthWeek, Newsletter, Weekday
from tests import factories
from tests.admin.test_newsroom import newsletter_form
from tests.factories import utc

pytestmark = pytest.mark.django_db
ADD = "admin:subscribers_newsletter_add"


def page(client, **asked: object) -> str:
    answer = client.get(reverse("admin:mailer_edition_calendar"), asked)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def day_of(text: str, day: str) -> str:
    """The cell of a day in the table."""
    _, _, rest = text.partition(f'datetime="{day}"')
    return rest.partition("</td>")[0]


def change_url(newsletter: Newsletter) -> str:
    return reverse("admin:subscribers_newsletter_change", args=[newsletter.pk])


# --- the calendar -------------------------------------------------------------------------------


@pytest.fixture
def march() -> Iterator[None]:
    """Wednesday noon in the week before the clocks of Europe change."""
    with time_machine.travel(utc("2027-03-24 12:00"), tick=False):
        yield


@pytest.fixture
def berlin() -> Newsletter:
    """A daily at 02:30 in Berlin that has been coming for a year."""
    return factories.make_newsletter(
        "IRIA Daily", zone="Europe/Berlin", wall_time=time(2, 30), created_at=utc("2026-01-01")
    )


def test_a_month_shows_what_was_what_comes_holidays_and_clocks_that_change(
    march, admin_client, berlin
):
    Edition.objects.create(
        newsletter=berlin,
        slot=utc("2027-03-22 01:30"),
        slug="a",
        due_at=utc("2027-03-22 01:30"),
        expires_at=utc("2027-03-23 13:30"),
        state=EditionState.SKIPPED,
        reason="0 new articles, minimum 1",
    )
    Edition.objects.create(
        newsletter=berlin,
        slot=utc("2027-03-23 01:30"),
        slug="b",
        due_at=utc("2027-03-23 01:30"),
        expires_at=utc("2027-03-24 13:30"),
        state=EditionState.SKIPPED,
        reason="Missed: the service was off at its time.",
    )
    Holiday.objects.create(day=date(2027, 3, 29), name="Easter Monday")

    text = page(admin_client)

    assert "March 2027" in text
    skipped, missed, now = (day_of(text, f"2027-03-{day}") for day in (22, 23, 24))
    assert "0 new articles, minimum 1" in skipped
    assert (
        reverse("admin:mailer_edition_change", args=[Edition.objects.get(slug="a").pk]) in skipped
    )
    assert ">missed</span>" in missed
    assert "the service was off at its time." in missed
    assert "nobody has looked at this slot yet" in now  # no tick since 02:30
    coming = day_of(text, "2027-03-25")
    assert ">02:30</time>" in coming
    assert "Europe/Berlin" in coming
    assert ">coming</span>" in coming
    switch = day_of(text, "2027-03-28")
    assert "Europe/Berlin: clocks change: 02:30 runs at 03:00" in switch
    assert ">03:00</time>" in switch
    holiday = day_of(text, "2027-03-29")
    assert "Holiday: Easter Monday" in holiday
    assert ">holiday</span>" in holiday
    assert "<h3>Monday, 29 March</h3>" in text  # the list for phones
    assert "?month=2027-02" in text
    assert "?month=2027-04" in text


def test_where_clocks_go_back_the_calendar_says_which_hour_counts(march, admin_client, berlin):
    switch = day_of(page(admin_client, month="2027-10"), "2027-10-31")

    assert "Europe/Berlin: clocks change: 02:30 comes twice, the first one counts" in switch
    assert switch.count(">02:30</time>") == 1


def test_the_calendar_of_one_newsletter_shows_no_other(march, admin_client, berlin):
    other = factories.make_newsletter("IRIA Weekly", cadence=Cadence.WEEKLY, weekday=5)

    both = page(admin_client, month="2027-04")
    one = page(admin_client, month="2027-04", newsletter=other.pk)

    assert change_url(berlin) in both
    assert change_url(other) in both
    assert change_url(berlin) not in one
    assert change_url(other) in one
    assert f"?month=2027-05&amp;newsletter={other.pk}" in one


@pytest.mark.parametrize(
    "asked", [{"month": "2027-13"}, {"month": "x"}, {"month": "0001-01"}, {"newsletter": "x"}]
)
def test_what_cannot_be_read_means_this_month_of_all(march, asked, admin_client, berlin):
    text = page(admin_client, **asked)

    assert "<h2>March 2027</h2>" in text
    assert change_url(berlin) in text


def test_without_a_cadence_the_calendar_says_how_to_get_one(admin_client):
    assert "There is no newsletter yet. Set a cadence, and the slots appear here." in page(
        admin_client
    )

    factories.make_newsletter(cadence=Cadence.AT_ONCE, wall_time=None)

    assert "No newsletter has a cadence. Set a cadence" in page(admin_client)


def test_a_calendar_takes_the_same_number_of_queries_for_any_number_of_editions(
    admin_client, django_assert_max_num_queries
):
    for _ in range(4):
        newsletter = factories.make_newsletter(created_at=timezone.now() - timedelta(days=20))
        opening.open_due(now=timezone.now())
        for hours in range(20):
            opening.open_edition(newsletter, slot=timezone.now() - timedelta(hours=hours))

    # Session, user, newsletters for the choice and for the page, holidays, editions.
    with django_assert_max_num_queries(8):
        text = page(admin_client)

    assert "more</a>" in text  # a busy day is cut


def test_a_member_of_staff_without_the_right_sees_no_calendar(staff):
    client = staff("subscribers.view_newsletter")

    assert client.get(reverse("admin:mailer_edition_calendar")).status_code == 403
    assert "Calendar" not in client.get(reverse("admin:index")).content.decode()


# --- the next edition ---------------------------------------------------------------------------


def test_the_next_edition_is_told_on_its_newsletters_page_and_on_today(march, admin_client, berlin):
    for title in ("Cable ships", "A pier"):
        factories.make_article(title, published_at=utc("2026-11-01"))
    factories.make_newsletter("IRIA Alerts", cadence=Cadence.AT_ONCE, wall_time=None)

    own, today = (
        admin_client.get(path).content.decode()
        for path in (change_url(berlin), reverse("admin:index"))
    )

    assert "Next slot: Thursday 25 March, 02:30 Europe/Berlin." in own
    for text in (own, today):
        assert "The next edition will contain 2 articles so far." in text
    assert "<li>Cable ships</li>" in own
    assert "The next article that is published." in today
    assert "Nothing waits for you." in today


def test_a_slot_that_would_be_skipped_says_so(march, admin_client, berlin):
    Newsletter.objects.update(min_articles=2)
    factories.make_article("Cable ships", published_at=utc("2026-11-01"))

    own = admin_client.get(change_url(berlin)).content.decode()

    assert "would contain 1 article so far; with fewer than 2 new ones its slot is skipped." in own


def test_the_next_slot_is_the_one_after_the_holidays(march, admin_client, berlin):
    for day in (25, 26):
        Holiday.objects.create(day=date(2027, 3, day), name="Off", newsletter=berlin)

    assert "Saturday 27 March, 02:30" in admin_client.get(change_url(berlin)).content.decode()


def test_a_draft_made_ahead_is_linked_and_asks_nobody_for_anything(march, admin_client, berlin):
    factories.make_article("Cable ships", published_at=utc("2026-11-01"))
    Newsletter.objects.update(draft_hours=24)
    [edition] = opening.open_due(now=timezone.now())

    own = admin_client.get(change_url(berlin)).content.decode()
    today = admin_client.get(reverse("admin:index")).content.decode()

    assert edition.state == EditionState.DRAFT
    assert "Nothing waits for you." in today
    assert "The next edition will contain 1 article." in own
    assert reverse("admin:mailer_edition_change", args=[edition.pk]) in own


# --- the form of a newsletter -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "comes"),
    [
        ({"cadence": "days", "days": [0, 3]}, "on Mondays and Thursdays at 06:00"),
        ({"cadence": "monthly", "month_day": 31}, "on the last day of each month at 06:00"),
        (
            {"cadence": "monthly", "month_week": MonthWeek.FIRST, "weekday": Weekday.MONDAY},
            "on the first Monday of each month at 06:00",
        ),
    ],
)
def test_each_cadence_is_set_in_the_form_and_told_in_the_list(fields, comes, admin_client):
    answer = admin_client.post(reverse(ADD), newsletter_form(**fields))
    listed = admin_client.get(reverse("admin:subscribers_newsletter_changelist"))

    assert answer.status_code == 302
    assert f"{comes} (Europe/Berlin)" in listed.content.decode()


def test_chosen_weekdays_are_tick_boxes_that_keep_their_ticks(admin_client):
    newsletter = factories.make_newsletter(cadence=Cadence.DAYS, days=0b1001)

    text = admin_client.get(change_url(newsletter)).content.decode()
    answer = admin_client.post(
        change_url(newsletter), newsletter_form(cadence="days", days=["4", "6"])
    )

    boxes = re.findall(r'<input[^>]* name="days" value="(\d)"([^>]*)>', text)
    assert [day for day, rest in boxes if re.search(r"\schecked\b(?!:)", rest)] == ["0", "3"]
    assert len(boxes) == 7
    assert answer.status_code == 302
    newsletter.refresh_from_db()
    assert newsletter.days == 1 << 4 | 1 << 6


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"cadence": "days"}, "Choose at least one weekday."),
        ({"cadence": "monthly"}, "Give either a day of the month, or a week and a weekday."),
        (
            {"cadence": "monthly", "month_day": 1, "month_week": 1, "weekday": 0},
            "Give either a day of the month, or a week and a weekday.",
        ),
        ({"cadence": "monthly", "month_week": 1}, "Give either a day of the month"),
        ({"cadence": "monthly", "month_day": 32}, "Give 1 to 31."),
        ({"late_hours": 0}, "Give 1 to 36 hours."),
        ({"late_hours": 37}, "Give 1 to 36 hours."),
        ({"draft_hours": 169}, "Give 0 to 168 hours."),
        ({"grace_minutes": 1441}, "Give 0 to 1,440 minutes."),
    ],
)
def test_what_cannot_work_is_refused_with_a_sentence(fields, sentence, admin_client):
    answer = admin_client.post(reverse(ADD), newsletter_form(**fields))

    assert sentence in answer.content.decode()
    assert not Newsletter.objects.exists()


def test_a_zone_is_kept_by_its_present_name(admin_client):
    admin_client.post(reverse(ADD), newsletter_form(zone="Europe/Kiev"))

    assert Newsletter.objects.get().zone == "Europe/Kyiv"


def test_moving_or_switching_on_a_newsletter_makes_no_slot_of_this_morning_missed(admin_client):
    newsletter = factories.make_newsletter("IRIA Daily", created_at=utc("2026-01-01"))
    form = newsletter_form(zone="UTC")
    earlier = (timezone.now() - timedelta(minutes=30)).time().replace(second=0, microsecond=0)

    admin_client.post(change_url(newsletter), {**form, "description": "Another sentence."})
    newsletter.refresh_from_db()
    untouched = newsletter.scheduled_since
    admin_client.post(change_url(newsletter), {**form, "wall_time": f"{earlier:%H:%M}"})
    opening.open_due(now=timezone.now())

    assert untouched is None
    assert not Edition.objects.exists()


# --- holidays -----------------------------------------------------------------------------------


def test_holidays_are_added_listed_and_deleted(admin_client):
    newsletter = factories.make_newsletter("IRIA Daily")
    add = reverse("admin:subscribers_holiday_add")

    admin_client.post(add, {"day": "2027-03-29", "name": "Easter Monday"})
    admin_client.post(
        add, {"day": "2027-03-29", "name": "Founders’ Day", "newsletter": newsletter.pk}
    )
    listed = admin_client.get(reverse("admin:subscribers_holiday_changelist")).content.decode()
    whole = Holiday.objects.get(newsletter=None)
    admin_client.post(reverse("admin:subscribers_holiday_delete", args=[whole.pk]), {"post": "yes"})

    assert "Easter Monday" in listed
    assert "Founders’ Day" in listed
    assert "Monday" in listed
    assert "all newsletters" in listed
    assert [holiday.name for holiday in Holiday.objects.all()] == ["Founders’ Day"]
    assert LogEntry.objects.count() == 3


def test_a_day_is_a_holiday_once(admin_client):
    Holiday.objects.create(day=date(2027, 3, 29), name="Easter Monday")

    answer = admin_client.post(
        reverse("admin:subscribers_holiday_add"), {"day": "2027-03-29", "name": "Again"}
    )

    text = answer.content.decode()
    assert "That day is a holiday already: Easter Monday. Change that one." in text
    assert "a_holiday_of_all" not in text
    assert Holiday.objects.count() == 1


def test_what_goes_out_at_once_keeps_no_holidays(admin_client):
    alerts = factories.make_newsletter("Alerts", cadence=Cadence.AT_ONCE, wall_time=None)
    asked = {"day": "2027-03-29", "name": "Easter Monday", "newsletter": alerts.pk}

    answer = admin_client.post(reverse("admin:subscribers_holiday_add"), asked)

    assert "Alerts goes out at once and keeps no holidays." in answer.content.decode()
    assert not Holiday.objects.exists()
