"""Test 10: one edition for each slot, whatever the clocks of the world and our beats do."""

from datetime import UTC, datetime, time, timedelta
from threading import Barrier, Thread
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.utils import timezone

from mailer import opening
from mailer.models import Edition, EditionState
from subscribers.models import Newsletter
from tests import factories
from tests.factories import utc
from tests.faults import audience, books

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]

# Zone, the day on which its clocks change, a wall time in the hour that is missing or comes twice,
# and the instant that this means.
SWITCH_DAYS = [
    ("Europe/Berlin", "2027-03-28", time(2, 30), "2027-03-28 01:00"),
    ("Europe/Berlin", "2027-10-31", time(2, 30), "2027-10-31 00:30"),
    ("America/New_York", "2027-03-14", time(2, 30), "2027-03-14 07:00"),
    ("America/New_York", "2027-11-07", time(1, 30), "2027-11-07 05:30"),
    ("Australia/Lord_Howe", "2027-10-03", time(2, 15), "2027-10-02 15:30"),
    ("Australia/Lord_Howe", "2027-04-04", time(1, 45), "2027-04-03 14:45"),
    ("Pacific/Kiritimati", "2027-03-28", time(2, 30), "2027-03-27 12:30"),  # +14, never changes
    ("Asia/Kolkata", "2027-03-28", time(2, 30), "2027-03-27 21:00"),  # half an hour
    ("America/St_Johns", "2027-03-14", time(2, 30), "2027-03-14 05:30"),
    ("America/St_Johns", "2027-11-07", time(1, 30), "2027-11-07 04:00"),
    ("Australia/Adelaide", "2027-10-03", time(2, 30), "2027-10-02 16:30"),
    ("Australia/Adelaide", "2027-04-04", time(2, 30), "2027-04-03 16:00"),
]


def made_long_ago(zone: str, wall: time) -> Newsletter:
    topic = factories.make_topic()
    newsletter = factories.make_newsletter(zone=zone, wall_time=wall, topics=[topic])
    factories.make_article(topics=[topic])
    Newsletter.objects.filter(pk=newsletter.pk).update(created_at=utc("2020-01-01"))
    return newsletter


def step_through(newsletter: Newsletter, day: str, minutes: int) -> list[datetime]:
    """Ticks over three days around one, each of them twice; the slots that were opened."""
    zone = ZoneInfo(newsletter.zone)
    now = (datetime.fromisoformat(day).replace(tzinfo=zone) - timedelta(days=1)).astimezone(UTC)
    end = now + timedelta(days=3)
    while now < end:
        opening.open_due(now=now)
        opening.open_due(now=now)
        now += timedelta(minutes=minutes)
    return list(newsletter.editions.order_by("slot").values_list("slot", flat=True))


@pytest.mark.parametrize(("zone", "day", "wall", "instant"), SWITCH_DAYS)
def test_each_day_has_one_edition_at_the_right_instant(pick, zone, day, wall, instant):
    newsletter = made_long_ago(zone, wall)

    slots = step_through(newsletter, day, minutes=pick(90, 5))

    assert utc(instant) in slots
    days = [slot.astimezone(ZoneInfo(zone)).date() for slot in slots]
    assert len(days) == len(set(days)) >= 3  # the first day's may have been due the day before
    assert datetime.fromisoformat(day).date() in days


def test_without_a_tick_for_three_hours_there_is_one_late_edition():
    newsletter = made_long_ago("Europe/Berlin", time(6, 0))
    opening.open_due(now=utc("2027-03-01 04:59"))
    opening.open_due(now=utc("2027-03-01 08:10"))
    opening.open_due(now=utc("2027-03-01 08:11"))

    slots = list(newsletter.editions.values_list("slot", flat=True))
    assert slots.count(utc("2027-03-01 05:00")) == 1
    assert len(slots) == len(set(slots))


def test_after_days_without_a_tick_there_is_no_series_of_editions():
    newsletter = made_long_ago("Europe/Berlin", time(6, 0))
    opening.open_due(now=utc("2027-03-09 05:30"))

    left = newsletter.editions.exclude(state=EditionState.SKIPPED)
    assert [edition.slot for edition in left] == [utc("2027-03-09 05:00")]
    assert newsletter.editions.count() == 7  # the others of the week are recorded as missed


def test_many_ticks_at_the_same_moment_open_one_edition(pick):
    newsletters = [made_long_ago("UTC", time(6, 0)) for _ in range(pick(3, 20))]
    threads = 4
    together = Barrier(threads)

    def tick() -> None:
        together.wait()
        opening.open_due(now=utc("2027-03-01 06:00"))
        connection.close()

    ticks = [Thread(target=tick) for _ in range(threads)]
    for thread in ticks:
        thread.start()
    for thread in ticks:
        thread.join()

    for newsletter in newsletters:
        assert newsletter.editions.exclude(state=EditionState.SKIPPED).count() == 1
        slots = list(newsletter.editions.values_list("slot", flat=True))
        assert len(slots) == len(set(slots)) == 7  # those that were missed, once each


def test_two_beats_and_two_workers_make_one_edition_of_a_due_slot(pick, sink, workers):
    due = timezone.now() - timedelta(minutes=1)
    newsletter = audience.newsletter_with(pick(60, 5_000), wall_time=due.time())
    Newsletter.objects.filter(pk=newsletter.pk).update(created_at=utc("2020-01-01"))
    for _ in range(2):
        workers.start_beat()
        workers.start()
    workers.wait_until(Edition.objects.filter(newsletter=newsletter, state="done").exists)

    edition = newsletter.editions.exclude(state=EditionState.SKIPPED).get()
    books.check(edition, sink, copies_allowed=0)
