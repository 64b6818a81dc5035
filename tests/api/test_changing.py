"""What a program may change for a reader: field by field, and never more than they asked for."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from subscribers import consent, pausing, suppression
from subscribers.models import (
    ConsentEvent,
    ConsentKind,
    ServiceMail,
    ServiceMailKind,
    Subscriber,
    SubscriberState,
    Suppression,
    SuppressionReason,
)
from tests import factories
from tests.api.conftest import path_of, problem_of

pytestmark = pytest.mark.django_db


BEFORE = {
    "topics": {"iria-daily": ["africa", "europe"]},
    "zone": "Asia/Tokyo",
    "hour": 7,
    "format": "designed",
    "paused_until": None,
    "wants_catch_up": True,
    "refuses_tracking": False,
}


@pytest.mark.parametrize(
    ("change", "after"),
    [
        ({}, {}),
        ({"hour": 21}, {"hour": 21}),
        ({"hour": None}, {"hour": None}),
        ({"zone": "Europe/Kiev"}, {"zone": "Europe/Kyiv"}),
        ({"zone": None}, {"zone": None}),
        ({"format": "text"}, {"format": "text"}),
        ({"refuses_tracking": True}, {"refuses_tracking": True}),
        ({"wants_catch_up": False}, {"wants_catch_up": False}),
        ({"topics": {"iria-daily": ["europe"]}}, {"topics": {"iria-daily": ["europe"]}}),
        ({"topics": {}}, {}),
        ({"paused_until": "2026-12-24"}, {"paused_until": "2026-12-24"}),
        ({"paused_until": None}, {}),
    ],
)
@time_machine.travel("2026-12-01 12:00+00:00", tick=False)
def test_what_is_named_changes_and_the_rest_stays(change, after, mara, program):
    """W17: a partial update leaves other fields alone."""
    some = program("manage")
    assert some.get(path_of(mara, "preferences")).json() == BEFORE

    answer = some.patch(path_of(mara, "preferences"), change)

    assert answer.status_code == 200
    assert answer.json() == {**BEFORE, **after}
    assert some.get(path_of(mara, "preferences")).json() == answer.json()
    assert ConsentEvent.objects.count() == (1 if after else 0)


def test_a_change_is_written_down_as_one_that_nobody_pressed_for(mara, program):
    some = program("manage", name="Member database")

    some.patch(path_of(mara, "preferences"), {"hour": 9, "topics": {"iria-daily": ["africa"]}})
    some.patch(path_of(mara, "preferences"), {"hour": 9, "topics": {"iria-daily": ["africa"]}})

    for event in ConsentEvent.objects.all():
        assert event.kind == ConsentKind.CHANGED
        assert event.wording == consent.NONE
        assert event.source.startswith("api:Member database")
    assert ConsentEvent.objects.count() == 2


def test_a_pause_ends_at_midnight_of_the_readers_own_day(mara, program):
    day = (timezone.now() + timedelta(days=10)).date()

    program("manage").patch(path_of(mara, "preferences"), {"paused_until": day.isoformat()})

    mara.refresh_from_db()
    assert mara.paused_until.isoformat().startswith(f"{day - timedelta(days=1)}T15:00")  # Tokyo
    program("manage").patch(path_of(mara, "preferences"), {"paused_until": None})
    mara.refresh_from_db()
    assert not pausing.is_paused(mara)


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"hour": 24}, "body/hour"),
        ({"hour": -1}, "body/hour"),
        ({"hour": "7"}, "body/hour"),
        ({"hour": True}, "body/hour"),
        ({"hour": 7.5}, "body/hour"),
        ({"zone": "Asia/Tokio"}, "body/zone"),
        ({"zone": "../../etc/passwd"}, "body/zone"),
        ({"zone": "Asia/Tokyo\0"}, "body/zone"),
        ({"format": None}, "body/format"),
        ({"format": "html"}, "body/format"),
        ({"refuses_tracking": "yes"}, "body/refuses_tracking"),
        ({"paused_until": "2020-01-01"}, "body/paused_until"),
        ({"paused_until": "9999-12-31"}, "body/paused_until"),
        ({"paused_until": 1798761600}, "body/paused_until"),
        ({"paused_until": "tomorrow"}, "body/paused_until"),
        ({"topics": {"iria-daily": []}}, "body/topics/iria-daily"),
        ({"topics": {"iria-daily": ["weather"]}}, "body/topics/iria-daily/0"),
        ({"topics": {"iria-weekly": ["africa"]}}, "body/topics/iria-weekly"),
        ({"topics": {"nothing": ["africa"]}}, "body/topics/nothing"),
        ({"topics": ["africa"]}, "body/topics"),
        ({"address": "other@example.org"}, "body/address"),
        ({"state": "active"}, "body/state"),
        ({"subscriber__state": "active"}, "body/subscriber__state"),
        ({"hour": 9, "is_staff": True}, "body/is_staff"),
    ],
)
def test_what_is_not_right_is_refused_whole(change, at, mara, program):
    factories.make_newsletter("IRIA Weekly")
    before = Subscriber.objects.values().get()

    response = program("manage").patch(
        path_of(mara, "preferences"), {"wants_catch_up": False} | change
    )

    assert [error["at"] for error in problem_of(response, 422)["errors"]] == [at]
    assert Subscriber.objects.values().get() == before
    assert not ConsentEvent.objects.exists()


def test_a_key_cannot_join_anybody_to_anything(daily, mara, program):
    """W7: neither a newsletter more, nor the confirmation of one that was asked for."""
    weekly = factories.make_newsletter("IRIA Weekly")
    asked = factories.make_subscription(weekly, subscriber=mara, confirmed=False)
    pending = factories.make_subscription(daily, confirmed=False).subscriber
    some = program("manage")
    wish = {"topics": {"iria-weekly": ["africa"]}}

    problem_of(some.patch(path_of(mara, "preferences"), wish), 422)
    problem_of(some.patch(path_of(pending, "preferences"), {"hour": 9}), 409)

    asked.refresh_from_db()
    pending.refresh_from_db()
    assert asked.confirmed_at is None
    assert pending.state == SubscriberState.PENDING


def test_a_key_cannot_revive_a_suppressed_address(mara, program):
    suppression.suppress(mara.address_hash, SuppressionReason.COMPLAINT)
    some = program("manage")

    refused = some.patch(path_of(mara, "preferences"), {"hour": 9})

    assert "only its reader" in problem_of(refused, 409)["detail"].lower()
    assert Suppression.objects.count() == 1
    assert not mara.subscriptions.active().exists()


def test_unsubscribing_ends_what_is_named(mara, program):
    weekly = factories.make_subscription(
        factories.make_newsletter("IRIA Weekly"), subscriber=mara
    ).newsletter
    some = program("manage")

    answer = some.post(path_of(mara, "unsubscribe"), {"newsletters": ["iria-daily"]})

    assert [each["newsletter"] for each in answer.json()["subscriptions"]] == ["iria-weekly"]
    assert [place.newsletter for place in mara.subscriptions.active()] == [weekly]
    event = ConsentEvent.objects.get()
    assert event.kind == ConsentKind.LEFT


def test_unsubscribing_from_all_includes_what_a_program_cannot_see(mara, clients, program):
    some = program("manage")

    answers = [some.post(path_of(mara, "unsubscribe"), {}) for _ in range(2)]

    assert [answer.json()["state"] for answer in answers] == ["left", "left"]
    assert not mara.subscriptions.open().exists()
    assert ConsentEvent.objects.count() == 2


def test_unsubscribing_takes_back_what_was_only_asked_for(daily, program):
    pending = factories.make_subscription(daily, confirmed=False).subscriber
    ServiceMail.objects.create(subscriber=pending, kind=ServiceMailKind.CONFIRMATION)

    program("manage").post(path_of(pending, "unsubscribe"), {})

    assert not pending.subscriptions.open().exists()
    assert not ServiceMail.objects.confirmations().unused().exists()
