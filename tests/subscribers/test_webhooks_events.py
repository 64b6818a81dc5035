"""What is told, by the flows in which it happens; and what is told to nobody."""

import re
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mailer.deliveries import closing, sending
from mailer.throttle import suppressions
from subscribers import (
    addresses,
    consent,
    erasure,
    links,
    preferences,
    receiving,
    retention,
    signup,
    suppression,
)
from subscribers.models import (
    CallState,
    ConsentEvent,
    ConsentKind,
    EventKind,
    ServiceMail,
    Subscriber,
    SuppressionReason,
    WebhookCall,
    WebhookEvent,
)
from subscribers.webhooks import endpoints, events
from tests.factories import make_newsletter, make_subscriber, make_subscription, make_topic
from tests.mailer import editions as made

pytestmark = pytest.mark.django_db


@pytest.fixture
def endpoint(admin_user):
    return make_endpoint(admin_user)


def make_endpoint(by, *kinds, name="CRM"):
    wanted = list(kinds or events.OFFERED)
    return endpoints.create(name=name, url="https://hooks.example/", events=wanted, by=by)


def told():
    """Kind and data of everything that was written down, in its order."""
    rows = WebhookEvent.objects.order_by("pk").values_list("kind", "payload")
    return [(kind, payload["data"]) for kind, payload in rows]


def test_signing_up_and_confirming_are_told_with_newsletter_topics_and_source(client, endpoint):
    europe = make_topic("Europe")
    daily = make_newsletter("Daily", topics=[europe])
    signup.receive(
        addresses.parse("mara@example.org"),
        newsletters=[daily],
        topics=[europe],
        source="/subscribe/",
        wording=consent.FORM,
    )
    assert told() == []  # nobody has looked at it yet
    receiving.process()
    mail = ServiceMail.objects.get()
    client.post(
        links.confirm_url(mail.pk, mail.asked_at).removeprefix("https://news.ir-ia.example")
    )

    mara = {"id": Subscriber.objects.get().pk, "address": "mara@example.org"}
    about = {"subscriber": mara, "newsletter": "daily", "topics": ["europe"]}
    [subscribed, confirmed] = told()
    assert subscribed == ("subscriber.subscribed", {**about, "source": "/subscribe/"})
    assert confirmed[0] == "subscriber.confirmed"
    assert about.items() <= confirmed[1].items()
    assert WebhookCall.objects.filter(state=CallState.WAITING).count() == 2


def test_a_payload_has_the_shape_of_standard_webhooks(endpoint):
    preferences.leave(make_subscription(), source="page")

    event = WebhookEvent.objects.get()
    assert set(event.payload) == {"type", "timestamp", "data"}
    assert event.payload["type"] == "subscriber.unsubscribed"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event.payload["timestamp"])
    assert re.fullmatch(r"msg_[\w-]{24}", event.uid)


def test_choosing_anew_tells_what_changed_and_what_was_left(endpoint):
    europe, africa = make_topic("Europe"), make_topic("Africa")
    daily = make_subscription(make_newsletter("Daily"), topics=[europe])
    make_subscription(make_newsletter("Alerts"), subscriber=daily.subscriber, topics=[europe])

    preferences.choose(daily.subscriber, {daily.newsletter: [europe, africa]}, source="preferences")

    assert [(kind, data["newsletter"], data["topics"]) for kind, data in told()] == [
        ("subscriber.unsubscribed", "alerts", []),
        ("subscriber.changed", "daily", ["europe", "africa"]),
    ]


def test_one_click_is_told_once(client, endpoint):
    place = make_subscription()
    link = links.unsubscribe_url(place.pk).removeprefix("https://news.ir-ia.example")

    for _ in range(2):
        client.post(link, {"List-Unsubscribe": "One-Click"})

    [(kind, data)] = told()
    assert (kind, data["source"]) == ("subscriber.unsubscribed", "one-click")
    assert data["subscriber"]["address"] == place.subscriber.address


@pytest.mark.parametrize(
    ("reason", "kinds"),
    [
        (SuppressionReason.GONE, ["subscriber.bounced"]),
        (SuppressionReason.COMPLAINT, ["subscriber.complained"]),
        (SuppressionReason.OPERATOR, []),
        (SuppressionReason.ERASURE, []),
    ],
)
def test_a_suppression_is_told_by_its_reason_and_once(reason, kinds, endpoint):
    reader = make_subscription().subscriber

    for _ in range(2):
        suppression.suppress(reader.address_hash, reason)
    suppression.suppress("0" * 64, reason)  # nobody we know

    assert [kind for kind, _ in told()] == kinds


def test_undone_suppressions_are_told_for_every_place_in_few_statements(endpoint):
    europe = make_topic("Europe")
    daily = make_newsletter("Daily")
    readers = [make_subscription(daily, topics=[europe]).subscriber for _ in range(5)]
    for reader in readers:
        suppressions.suppress_gone(reader.address_hash, server="relay", domain="example.org")
    WebhookEvent.objects.all().delete()
    hour_ago = timezone.now() - timedelta(hours=1)

    with CaptureQueriesContext(connection) as statements:
        suppressions.undo("relay", "example.org", hour_ago, by="mara")

    assert [(kind, data["newsletter"], data["topics"]) for kind, data in told()] == [
        ("subscriber.changed", "daily", ["europe"])
    ] * 5
    assert {data["subscriber"]["address"] for _, data in told()} == {r.address for r in readers}
    inserts = [one["sql"] for one in statements if one["sql"].startswith("INSERT")]
    assert len([sql for sql in inserts if "webhook" in sql]) == 2


def test_what_a_statement_appended_is_told_as_well(endpoint):
    """As an import does it: a million rows in SQL, and each is told if somebody listens."""
    reader, daily = make_subscriber(), make_newsletter("Daily")
    consent.record(reader, ConsentKind.ASKED, wording=consent.NONE, source="/", newsletter=daily)
    WebhookEvent.objects.all().delete()
    newest = consent.newest()
    ConsentEvent.objects.bulk_create(
        ConsentEvent(
            subscriber=reader, newsletter=daily, kind=kind, source=f"row {kind}", topics="a,b…"
        )
        for kind in (ConsentKind.CONFIRMED, ConsentKind.ASKED, ConsentKind.SUPPRESSED)
    )

    consent.tell(ConsentEvent.objects.filter(pk__gt=newest))

    assert [(kind, data["source"], data["topics"]) for kind, data in told()] == [
        ("subscriber.confirmed", "row confirmed", ["a", "b"]),
        ("subscriber.subscribed", "row asked", ["a", "b"]),
    ]


def test_many_events_take_statements_by_the_thousand(endpoint):
    reader = make_subscriber()
    happenings = [events.Happening(EventKind.CHANGED, reader)] * 2_500

    with CaptureQueriesContext(connection) as statements:
        events.emit_all(happenings)

    assert WebhookCall.objects.count() == 2_500
    assert len(statements) < 60  # SQLite takes fewer rows in one


@pytest.mark.django_db(transaction=True)
def test_an_edition_that_is_done_is_told_with_its_numbers(sink, admin_user):
    make_endpoint(admin_user)
    edition = made.sending(made.daily(readers=3, name="Daily"))
    assert sending.send_ready_batches(worker="w1", seconds=30).accepted == 3
    WebhookEvent.objects.all().delete()

    assert closing.finish() == 1
    assert closing.finish() == 0

    [(kind, data)] = told()
    assert kind == "edition.sent"
    assert data["newsletter"] == "daily"
    assert data["edition"] == {"slug": edition.slug, "subject": edition.subject}
    assert data["deliveries"] == {
        "sent": 3,
        "failed": 0,
        "skipped": 0,
        "cancelled": 0,
        "uncertain": 0,
    }
    assert "@" not in str(data)


@pytest.mark.django_db(transaction=True)
def test_a_mailbox_that_is_gone_is_told_while_an_edition_is_sent(sink, admin_user):
    make_endpoint(admin_user, EventKind.BOUNCED)
    made.sending(made.daily(readers=30))
    gone = Subscriber.objects.earliest("pk").address
    sink.script.rcpt = lambda to: "550 5.1.1 no such user" if to == gone else "250 ok"

    sending.send_ready_batches(worker="w1", seconds=30)

    [(kind, data)] = told()
    assert (kind, data["subscriber"]["address"]) == ("subscriber.bounced", gone)


def test_only_who_wants_to_know_is_told(admin_user):
    leaving = make_endpoint(admin_user, EventKind.UNSUBSCRIBED, name="Leaving")
    everything = make_endpoint(admin_user, name="Everything")
    make_endpoint(admin_user, EventKind.CONFIRMED, name="Joining")
    off = make_endpoint(admin_user, name="Off")
    endpoints.switch_off(off.pk, because="By mara.")

    preferences.leave(make_subscription(), source="page")

    assert set(WebhookCall.objects.values_list("endpoint", flat=True)) == {
        leaving.pk,
        everything.pk,
    }
    assert WebhookEvent.objects.count() == 1


def test_without_endpoints_it_costs_one_query_and_writes_nothing(django_assert_num_queries):
    reader = make_subscriber()
    with django_assert_num_queries(1):
        events.emit(EventKind.CHANGED, subscriber=reader)
    with django_assert_num_queries(1):
        events.emit_all(events.Happening(EventKind.CHANGED, reader) for _ in range(5_000))

    assert not WebhookEvent.objects.exists()


def test_what_is_rolled_back_is_told_to_nobody(endpoint):
    with transaction.atomic():
        preferences.leave(make_subscription(), source="page")
        transaction.set_rollback(True)

    assert not WebhookEvent.objects.exists()


def test_many_events_ring_once(endpoint, django_capture_on_commit_callbacks, monkeypatch):
    rung = []
    monkeypatch.setattr(
        "subscribers.doorbell.current_app.send_task", lambda name, **_: rung.append(name)
    )
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(5):
            preferences.leave(make_subscription(), source="page")

    assert rung == ["subscribers.webhooks.tasks.call_endpoints"]


def test_events_are_forgotten_after_30_days_with_their_calls(endpoint):
    for _ in range(2):
        preferences.leave(make_subscription(), source="page")
    old = WebhookEvent.objects.earliest("pk")
    WebhookEvent.objects.filter(pk=old.pk).update(at=F("at") - timedelta(days=30))

    assert retention.forget(timezone.now())["webhook events"] == 1
    assert retention.forget(timezone.now())["webhook events"] == 0

    assert WebhookCall.objects.get().event_id != old.pk


def test_whoever_is_erased_leaves_a_number_behind_and_nothing_else(endpoint):
    place = make_subscription()
    preferences.leave(place, source="page")
    assert WebhookEvent.objects.exists()

    erasure.erase(place.subscriber, source="preferences")

    assert told() == [("subscriber.erased", {"subscriber": {"id": place.subscriber.pk}})]
    assert WebhookCall.objects.count() == 1
