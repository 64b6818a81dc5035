"""The sending loop and its lanes, against a real SMTP server that refuses by domain."""

import threading
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from mailer import dialect, editions, production, tasks
from mailer.deliveries import exchanger, reacting, sending, watching
from mailer.models import (
    Batch,
    Delivery,
    DeliveryEvent,
    Edition,
    EditionState,
    LaneHour,
    Throttle,
)
from mailer.throttle import operators
from mailer.throttle.guard import FailureWindow
from subscribers.models import Subscription, Suppression
from tests import factories
from tests.mailer import editions as made
from tests.mailer.editions import states

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_results_of_other_tests(monkeypatch):
    monkeypatch.setattr(reacting, "RECENT", FailureWindow())


def edition_for(**readers: int) -> Edition:
    """An edition with so many readers at each domain: `slow=3` are three at slow.example."""
    newsletter = made.daily(readers=0)
    topic = factories.make_topic("Security")
    for name, count in readers.items():
        for number in range(count):
            subscriber = factories.make_subscriber(
                f"{name}{number}-{time.time_ns()}@{name}.example"
            )
            factories.make_subscription(newsletter, subscriber=subscriber, topics=[topic])
    return made.sending(newsletter)


def send(seconds: float = 30) -> int:
    return sending.send_ready_batches(worker="w1", seconds=seconds).accepted


def at(domain: str, reply: str):
    """A server that answers so for one domain, and takes everything else."""
    return lambda to: reply if to.endswith(f"@{domain}.example") else "250 2.0.0 ok"


def lane(domain: str) -> Throttle:
    return Throttle.objects.get(server="default", domain=domain and f"{domain}.example")


def test_a_throttle_reply_slows_its_domain_and_no_other(sink):
    edition = edition_for(slow=3, fast=9)
    sink.script.dot = at("slow", "421 4.7.0 [TSS04] temporarily deferred due to user complaints")

    assert send() == 9

    assert states(edition) == {"sent": 9, "pending": 3}
    assert lane("slow").factor == 0.5
    assert not Throttle.objects.filter(domain="fast.example").exists()
    assert LaneHour.objects.get(domain="fast.example").sent == 9
    retries = Delivery.objects.filter(state="pending")
    assert {row.attempts for row in retries} == {1}
    assert all(row.retry_at is not None and row.rule for row in retries)


def test_a_suspended_lane_is_passed_over_and_goes_on_when_released(sink):
    edition = edition_for(slow=2, fast=5)
    operators.suspend("default", "slow.example", by="an operator")

    assert send() == 5
    assert states(edition) == {"sent": 5, "pending": 2}
    assert not Delivery.objects.filter(state="pending", attempts__gt=0).exists()

    operators.release("default", "slow.example", by="an operator")
    Batch.objects.update(not_before=timezone.now())
    assert send() == 2
    assert states(edition) == {"sent": 7}


def test_three_refusals_because_of_us_pause_the_lane(sink):
    edition = edition_for(proud=5, fast=3)
    sink.script.rcpt = at("proud", "550 5.7.1 blocked: listed by a blocklist")

    send()

    assert states(edition) == {"sent": 3, "pending": 5}  # nobody's fault: tried again later
    assert lane("proud").resume_at is not None
    assert "blocklist" in lane("proud").reason
    assert Suppression.objects.count() == 0


def test_a_mailbox_that_is_gone_is_suppressed_in_the_commit_that_says_so(sink):
    edition = edition_for(old=1, fast=2)
    sink.script.rcpt = at("old", "550 5.1.1 user unknown")

    send()

    assert states(edition) == {"sent": 2, "failed": 1}
    failed = Delivery.objects.get(state="failed")
    assert (failed.reason, failed.rule) == ("5.1.1", "5.1.1")
    assert Suppression.objects.get().address_hash == failed.subscriber.address_hash
    assert Subscription.objects.get(subscriber=failed.subscriber).ended_by == "gone"


def test_a_provider_that_calls_everybody_gone_is_not_believed(sink):
    edition = edition_for(broken=30)
    sink.script.rcpt = at("broken", "550 5.1.1 user unknown")

    send()

    assert states(edition)["failed"] >= 20
    assert Suppression.objects.count() < 20
    assert "said to be gone" in lane("broken").reason


def test_more_than_fifty_failures_pause_the_edition(sink):
    edition = edition_for(picky=80)
    sink.script.dot = lambda to: "554 5.6.0 content rejected"

    send()

    edition.refresh_from_db()
    assert edition.state == EditionState.PAUSED
    assert "failed" in edition.reason
    assert 50 < states(edition)["failed"] < 80


def test_a_server_that_cuts_lines_gets_fewer_messages_on_each(sink):
    edition = edition_for(fast=40)
    on_line: dict[threading.Thread, int] = {}

    def mail(_sender: str) -> str:
        line = threading.current_thread()  # the sink has a thread for each connection
        on_line[line] = on_line.get(line, 0) + 1
        return "421 4.3.0 too many messages on this connection" if on_line[line] > 3 else "250 ok"

    sink.script.mail = mail
    assert send() == 40
    assert states(edition) == {"sent": 40}
    assert sink.connections > 40 / 4 - 1


def test_a_rate_is_kept_and_a_changed_one_acts_at_once(sink, settings):
    here = settings.SUBMISSION_SERVERS["default"]
    settings.SUBMISSION_SERVERS = {"default": replace(here, rate=4.0, burst=1)}
    edition_for(fast=60)
    worker = threading.Thread(target=_send_and_disconnect)
    began = time.monotonic()
    worker.start()
    sink.wait_for(4)
    slow_for = time.monotonic() - began
    operators.set_rate("default", "", 500.0, by="an operator")
    worker.join(timeout=30)

    assert slow_for >= 3 / 4  # three intervals at four a second
    assert len(sink.taken) == 60  # at four a second that would have been another fourteen seconds
    assert time.monotonic() - began < 12


def _send_and_disconnect() -> None:
    try:
        send()
    finally:
        connection.close()


def test_a_pause_stops_within_the_messages_on_the_wire(sink):
    edition = edition_for(fast=200)
    sink.script.delay = 0.02
    worker = threading.Thread(target=_send_and_disconnect)
    worker.start()
    sink.wait_for(20)
    editions.pause(edition, reason="a person")
    at_pause = len(sink.taken)
    worker.join(timeout=30)

    connections = 4
    assert len(sink.taken) - at_pause <= 2 * connections  # announced, or taken while we counted
    assert states(edition)["sent"] == len(sink.taken)
    sent = len(sink.taken)
    editions.resume(edition)
    production.release_rendered()
    production.start_due()
    assert send() == 200 - sent
    assert len({taken.recipient for taken in sink.taken}) == len(sink.taken) == 200


def test_a_newsletter_whose_server_is_not_configured_is_paused_and_says_so(sink):
    edition = edition_for(fast=1)
    edition.newsletter.server = "gone"
    edition.newsletter.save()

    assert watching.pause_what_cannot_go_on() == 1

    edition.refresh_from_db()
    assert edition.state == EditionState.PAUSED
    assert "gone" in edition.reason
    assert send() == 0


def test_a_server_that_is_away_opens_the_breaker_and_comes_back_by_one_message(
    sink, settings, tmp_path
):
    edition = edition_for(fast=8)
    here = settings.SUBMISSION_SERVERS["default"]
    settings.SUBMISSION_SERVERS = {
        "default": replace(here, unix_socket=str(tmp_path / "nobody"), connections=8)
    }
    assert send() == 0
    assert lane("").failures >= 5
    assert lane("").resume_at > timezone.now()
    assert states(edition) == {"pending": 8}
    assert Delivery.objects.filter(attempts__gt=0).count() == 0

    settings.SUBMISSION_SERVERS = {"default": here}
    Batch.objects.update(not_before=timezone.now())
    assert send() == 0  # the breaker is open

    Throttle.objects.update(resume_at=timezone.now() - timedelta(seconds=1))
    assert send() == 8
    assert lane("").failures == 0


def test_what_readers_complained_of_before_a_person_resumed_does_not_pause_again(sink):
    edition = edition_for(fast=1)
    Edition.objects.update(started_at=timezone.now() - timedelta(hours=1))
    LaneHour.objects.create(server="default", domain="", hour=timezone.now(), sent=300)
    for number in range(3):
        Suppression.objects.create(address_hash=f"{number}", reason="complaint")

    assert watching.pause_what_cannot_go_on() == 1
    edition.refresh_from_db()
    assert "3 of 300" in edition.reason

    editions.resume(edition)
    production.release_rendered()
    production.start_due()
    assert watching.pause_what_cannot_go_on() == 0
    edition.refresh_from_db()
    assert edition.state == EditionState.SENDING


def test_a_closed_server_is_asked_again_by_the_tick_only(sink, monkeypatch):
    edition_for(fast=1)
    operators.suspend("default", "", by="an operator")
    rung = []
    monkeypatch.setattr(tasks, "_ring", lambda task, times, *args: rung.append(task))

    tasks.send("default")

    assert rung == []


def test_a_server_that_takes_fewer_connections_is_sent_to_over_those(sink, settings):
    here = settings.SUBMISSION_SERVERS["default"]
    settings.SUBMISSION_SERVERS = {"default": replace(here, connections=6)}
    edition = edition_for(fast=60)
    sink.script.delay = 0.01
    sink.most_connections = 2

    assert send() == 60
    assert states(edition) == {"sent": 60}
    assert not Throttle.objects.filter(failures__gte=5).exists()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite knows no read-only fail-over")
def test_a_database_that_turns_read_only_loses_and_doubles_nothing(sink, monkeypatch):
    edition = edition_for(fast=60)
    real, commits = exchanger.Exchanger.begin, []

    def begin(self, request):
        commits.append(request)
        if len(commits) == 5:
            dialect.execute("SET default_transaction_read_only = on")  # until it is closed
        real(self, request)

    monkeypatch.setattr(exchanger.Exchanger, "begin", begin)

    first = send()  # ends when it can write again, and gives its batch back
    assert 0 < first < 60
    assert first + send() == 60
    assert states(edition) == {"sent": 60}
    assert len(sink.taken) == 60


def test_a_lost_batch_is_not_claimed_while_its_message_is_on_the_wire(sink):
    edition = edition_for(fast=1)
    sink.script.delay = 1.5
    worker = threading.Thread(target=_send_and_disconnect)
    worker.start()
    while not Delivery.objects.filter(state="sending").exists():
        time.sleep(0.02)
    Batch.objects.update(  # as if it had been taken back and given back by others meanwhile
        state="ready", lease=9, losses=0, not_before=timezone.now(), leased_until=None
    )
    Delivery.objects.update(state="pending")
    worker.join(timeout=30)

    assert len(sink.taken) == 1
    assert states(edition) == {"sent": 1}


def test_a_relays_limit_for_our_account_slows_the_whole_server(sink):
    edition_for(fast=1)
    sink.script.dot = lambda to: "454 Throttling failure: Maximum sending rate exceeded."

    send()

    assert lane("").factor == 0.5
    assert not Throttle.objects.exclude(domain="").exists()


def test_no_half_of_an_address_is_kept_of_what_a_server_says(sink):
    edition_for(fast=1)
    reader = Delivery.objects.get().subscriber
    local = reader.address.partition("@")[0]
    sink.script.rcpt = lambda to: (
        f'550 5.7.1 {"x " * 130}user {local} "bob smith"@example.org refused {to} by policy'
    )

    send()

    kept = " ".join(
        [
            *DeliveryEvent.objects.values_list("text", flat=True),
            *Throttle.objects.values_list("reason", flat=True),
        ]
    )
    assert "(address)" in kept
    for secret in (local, "smith", "@"):
        assert secret not in kept
