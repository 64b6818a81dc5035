from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from subscribers import pausing
from subscribers.models import ConsentEvent, ConsentKind, Subscriber
from tests.factories import make_subscriber, utc

pytestmark = pytest.mark.django_db


def in_days(days):
    return timezone.now() + timedelta(days=days)


def test_a_pause_begins_now_ends_by_itself_and_is_recorded():
    reader = make_subscriber()
    until = in_days(14)

    assert pausing.pause(reader, until, source="preferences")

    reader.refresh_from_db()
    assert reader.paused_until == until
    assert timezone.now() - reader.paused_from < timedelta(minutes=1)
    assert pausing.is_paused(reader)
    event = ConsentEvent.objects.get()
    assert (event.kind, event.newsletter) == (ConsentKind.CHANGED, None)
    assert event.source.startswith("preferences: pause until ")
    with time_machine.travel(until):
        assert not pausing.is_paused(reader)


def test_the_same_pause_again_records_nothing():
    reader = make_subscriber()
    until = in_days(14)
    pausing.pause(reader, until, source="x")

    assert not pausing.pause(reader, until, source="x")
    assert ConsentEvent.objects.count() == 1


def test_a_longer_pause_keeps_its_beginning_and_a_later_one_has_its_own():
    earlier = timezone.now() - timedelta(days=3)
    reader = make_subscriber(paused_from=earlier, paused_until=in_days(4))
    pausing.pause(reader, in_days(9), source="x")
    reader.refresh_from_db()
    assert reader.paused_from == earlier

    over = make_subscriber(paused_from=earlier, paused_until=timezone.now() - timedelta(days=1))
    pausing.pause(over, in_days(9), source="x")
    over.refresh_from_db()
    assert over.paused_from > earlier


def test_resuming_ends_the_pause_now_and_remembers_it():
    earlier = timezone.now() - timedelta(days=3)
    reader = make_subscriber(paused_from=earlier, paused_until=in_days(4))

    assert pausing.resume(reader, source="preferences")

    reader.refresh_from_db()
    assert not pausing.is_paused(reader)
    assert reader.paused_from == earlier
    assert timezone.now() - reader.paused_until < timedelta(minutes=1)
    assert not pausing.resume(reader, source="preferences")
    assert ConsentEvent.objects.count() == 1


def test_a_pause_that_is_ended_in_the_moment_it_begins_was_none():
    reader = make_subscriber(paused_from=in_days(1), paused_until=in_days(4))

    assert pausing.resume(reader, source="x")
    assert Subscriber.objects.get(paused_until=None) == reader


def test_nobody_pauses_into_the_past():
    with pytest.raises(ValueError, match="time to come"):
        pausing.pause(make_subscriber(), timezone.now(), source="x")


def test_the_day_of_a_pause_is_one_of_the_readers_clock():
    until = utc("2026-03-31 15:00")

    assert pausing.day_of(make_subscriber(zone="Asia/Tokyo"), until).isoformat() == "2026-04-01"
    assert pausing.day_of(make_subscriber(), until).isoformat() == "2026-03-31"
