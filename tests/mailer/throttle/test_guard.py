"""What many results together say, and undoing what one provider's fault did."""

from datetime import timedelta

import pytest
from django.utils import timezone

from mailer.models import LaneHour, Throttle
from mailer.throttle import clock, guard, reactions, suppressions
from mailer.throttle.guard import FailureWindow
from subscribers import preferences, suppression
from subscribers.models import ConsentEvent, Subscription, Suppression, SuppressionReason
from tests import factories
from tests.mailer.throttle.conftest import lane, results

pytestmark = pytest.mark.django_db
ORG, NET = "example.org", "example.net"


@pytest.mark.parametrize(
    ("counted", "allowed"),
    [
        ({"sent": 1, "gone": 19}, True),  # too few to say
        ({"sent": 180, "gone": 20}, True),  # a tenth, not more
        ({"sent": 179, "gone": 20}, False),
    ],
)
def test_many_gone_mailboxes_in_an_hour_pause_their_lane(counted, allowed):
    results(ORG, **counted)
    results(NET, sent=1_000)

    assert guard.allows_suppressions("relay", ORG) is allowed

    assert guard.allows_suppressions("relay", NET)
    assert Throttle.objects.exists() is not allowed
    if not allowed:
        assert not guard.allows_suppressions("relay", ORG)
        assert lane(ORG).reason.startswith("20 of 199 mailboxes of this hour are said to be gone")


def gone(*newsletters, domain: str = ORG):
    """A reader of these newsletters whose mailbox, says this lane, is gone."""
    reader = factories.make_subscriber()
    for newsletter in newsletters:
        factories.make_subscription(newsletter, subscriber=reader)
    assert suppressions.suppress_gone(reader.address_hash, server="relay", domain=domain)
    return reader


def an_hour_ago():
    return timezone.now() - timedelta(hours=1)


def test_undoing_brings_back_the_subscriptions_that_ended_with_the_suppression():
    daily, weekly = factories.make_newsletter(), factories.make_newsletter()
    factories.make_topic("Europe")
    readers = [gone(daily, weekly) for _ in range(3)]
    before = list(Subscription.objects.order_by("pk").values_list("confirmed_at", "topics"))

    assert suppressions.count("relay", ORG, an_hour_ago()) == 3
    assert suppressions.undo("relay", ORG, an_hour_ago(), by="mara") == 3

    assert not Suppression.objects.exists()
    assert Subscription.objects.active().count() == 6
    assert list(Subscription.objects.order_by("pk").values_list("confirmed_at", "topics")) == before
    for reader in readers:
        kinds = reader.consent_events.order_by("pk").values_list("kind", "source")
        assert list(kinds) == [
            ("suppressed", "we: gone"),
            *[("changed", "we: gone undone by mara")] * 2,
        ]
    assert suppressions.undo("relay", ORG, an_hour_ago(), by="mara") == 0
    assert ConsentEvent.objects.count() == 9


def test_undoing_touches_no_other_lane_server_time_or_reason():
    newsletter = factories.make_newsletter()
    other_lane = gone(newsletter, domain=NET)
    complained = factories.make_subscription(newsletter).subscriber
    suppression.suppress(complained.address_hash, SuppressionReason.COMPLAINT)
    suppressions.suppress_gone(complained.address_hash, server="relay", domain=ORG)
    earlier = gone(newsletter)
    Suppression.objects.filter(address_hash=earlier.address_hash).update(
        created_at=timezone.now() - timedelta(hours=2)
    )

    assert suppressions.undo("relay", ORG, an_hour_ago(), by="mara") == 0
    assert suppressions.undo("elsewhere", "", an_hour_ago(), by="mara") == 0
    assert Suppression.objects.count() == 3
    assert suppressions.undo("relay", "", an_hour_ago(), by="mara") == 1
    assert other_lane.subscriptions.active().exists()


def test_undoing_leaves_ended_what_its_reader_ended():
    newsletter = factories.make_newsletter()
    reader = factories.make_subscriber()
    left = factories.make_subscription(newsletter, subscriber=reader)
    preferences.leave(left, source="one-click")
    asked = factories.make_subscription(subscriber=reader, confirmed=False)
    suppressions.suppress_gone(reader.address_hash, server="relay", domain=ORG)

    assert suppressions.undo("relay", ORG, an_hour_ago(), by="mara") == 1

    left.refresh_from_db()
    asked.refresh_from_db()
    assert (left.ended_by, asked.ended_by) == ("one-click", "gone")


@pytest.mark.parametrize("readers", [2, 30])
def test_undoing_takes_as_many_queries_for_any_number(readers, django_assert_max_num_queries):
    newsletter = factories.make_newsletter()
    for _ in range(readers):
        gone(newsletter)

    with django_assert_max_num_queries(9):
        assert suppressions.undo("relay", ORG, an_hour_ago(), by="mara") == readers


def test_a_very_long_domain_can_be_undone_too():
    domain = "a" * 60 + "." + "b" * 60 + "." + "c" * 60 + "." + "d" * 60 + ".example"
    gone(factories.make_newsletter(), domain=domain)

    assert suppressions.undo("relay", domain, an_hour_ago(), by="mara") == 1


def complain(number: int) -> None:
    for _ in range(number):
        reader = factories.make_subscriber()
        suppression.suppress(reader.address_hash, SuppressionReason.COMPLAINT)


@pytest.mark.parametrize(
    ("complaints", "sent", "warned", "paused"),
    [
        (2, 10, True, False),
        (3, 1_000, True, True),
        (3, 1_001, True, False),
        (3, 3_001, False, False),
    ],
)
def test_complaints_warn_and_pause_by_their_share_of_a_day(complaints, sent, warned, paused):
    complain(complaints)
    results(ORG, sent=sent)
    yesterday = clock.now() - timedelta(hours=26)
    LaneHour.objects.create(server="relay", domain="", hour=yesterday, sent=10**6)

    assert bool(guard.complaint_warning()) is warned
    assert bool(guard.complaint_rate_too_high("relay")) is paused
    assert guard.complaint_rate_too_high("idle") == ""


def test_the_reason_for_a_pause_has_its_numbers():
    complain(4)
    results(ORG, sent=1_000)

    assert guard.complaint_rate_too_high("relay") == (
        "4 of 1,000 mails of the last 24 hours were reported as spam (0.40 %). "
        "From 0.30 % on, providers refuse all."
    )


def test_a_day_of_4000_mails_to_one_domain_warns_over_all_servers():
    results(ORG, sent=2_000)
    results(ORG, name="other", sent=2_500)
    results(NET, sent=3_999)

    assert [(volume.domain, volume.sent) for volume in guard.volume_warnings()] == [(ORG, 4_500)]


def test_a_breaker_that_was_open_for_half_an_hour_says_so():
    Throttle.objects.create(server="relay", failures=10, reason="Connection refused")
    assert guard.breaker_open_too_long("relay") == ""
    reactions.session_failed("relay", "Connection refused")

    assert guard.breaker_open_too_long("relay") == (
        "The submission server relay has not been reached for half an hour. "
        "11 sessions in a row failed: Connection refused"
    )


def test_more_than_50_failures_of_the_last_500_pause_an_edition():
    window = FailureWindow()
    for _ in range(50):
        window.note(1, failed=True)
        window.note(2, failed=False)
    assert window.too_many_failures(1) == ""
    window.note(1, failed=True)
    assert window.too_many_failures(1).startswith("51 of the last 51 mails failed.")
    assert window.too_many_failures(2) == ""

    for _ in range(450):
        window.note(1, failed=False)
    assert window.too_many_failures(1) == ""


def test_an_edition_that_a_person_resumed_begins_anew():
    window = FailureWindow()
    for _ in range(60):
        window.note(1, failed=True)
    window.forget(1)

    assert window.too_many_failures(1) == ""
