"""The sending loop against a real SMTP server that refuses, defers, cuts and goes away."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from mailer import editions, ledger, stopping
from mailer.deliveries import closing, exchanger, reaping, sending
from mailer.models import Batch, BatchState, Delivery, DeliveryEvent, Edition, EditionState
from subscribers.models import InDoubt, Subscriber
from tests.mailer import editions as made
from tests.mailer.editions import daily, states
from tests.sink import Script

pytestmark = pytest.mark.django_db(transaction=True)


def send(seconds: float = 30) -> int:
    return sending.send_ready_batches(worker="w1", seconds=seconds).accepted


def come_back() -> None:
    """Let every wait be over."""
    Delivery.objects.update(retry_at=None)
    Batch.objects.filter(state=BatchState.READY).update(
        not_before=timezone.now() - timedelta(seconds=1)
    )


def first_address(edition: Edition) -> str:
    return Subscriber.objects.filter(deliveries__edition=edition).earliest("pk").address


def test_everybody_gets_one_message_and_the_edition_is_done(sink):
    edition = made.sending(daily(readers=12))

    assert send() == 12
    assert closing.finish() == 1

    addresses = list(Subscriber.objects.values_list("address", flat=True))
    assert sorted(taken.recipient for taken in sink.taken) == sorted(addresses)
    assert len({taken.message_id for taken in sink.taken}) == 12
    edition.refresh_from_db()
    assert edition.state == EditionState.DONE
    books = ledger.read(edition.pk)
    assert books.settled
    assert books.by_state["sent"] == 12
    assert send() == 0


def test_one_recipient_stands_in_the_envelope_and_in_the_message(sink):
    made.sending(daily(readers=5))
    send()

    for taken in sink.taken:
        assert taken.message["To"] == taken.recipient
        assert taken.sender.startswith("bounce+")
        assert f"<{taken.sender[7:].partition('@')[0]}@" in taken.message_id
        assert not taken.raw.startswith(b".")


def test_a_mailbox_that_does_not_exist_fails_with_its_code_and_the_others_are_sent(sink):
    edition = made.sending(daily(readers=3))
    bad = first_address(edition)
    sink.script.rcpt = lambda to: "550 5.1.1 no such user" if to == bad else "250 ok"

    send()
    closing.finish()

    assert states(edition) == {"sent": 2, "failed": 1}
    assert Delivery.objects.get(state="failed").reason == "5.1.1"
    assert ledger.read(edition.pk).settled


def test_a_deferred_recipient_waits_and_keeps_its_message_id(sink):
    edition = made.sending(daily(readers=2))
    slow = first_address(edition)
    sink.script.dot = lambda to: "450 4.2.1 too quickly" if to == slow else "250 ok"
    send()
    assert states(edition) == {"sent": 1, "pending": 1}
    assert closing.finish() == 0
    assert send() == 0  # not before its time

    sink.script.dot = lambda to: "250 ok"
    come_back()
    assert send() == 1

    event = DeliveryEvent.objects.get()
    assert (event.kind, event.code) == ("deferred", "4.2.1")
    assert Delivery.objects.get(subscriber__address=slow).attempts == 2


def test_a_refusal_that_speaks_of_us_does_not_fail_the_reader(sink):
    edition = made.sending(daily(readers=1))
    sink.script.rcpt = lambda to: f"550 5.7.1 <{to}> blocked, see our policy"

    send()

    assert states(edition) == {"pending": 1}
    assert "@example.org" not in DeliveryEvent.objects.get().text


@pytest.mark.parametrize(
    ("policy", "copies", "after"),
    [(InDoubt.RESEND, 2, {"sent": 1}), (InDoubt.HOLD, 1, {"uncertain": 1})],
)
def test_a_mail_in_doubt_follows_the_newsletters_policy(sink, policy, copies, after):
    edition = made.sending(daily(readers=1, in_doubt=policy))
    sink.script.dot = lambda to: None  # taken, but the answer never comes
    send()
    sink.script.dot = lambda to: "250 ok"
    come_back()
    send()

    assert states(edition) == after
    assert len(sink.taken) == copies
    assert len({taken.message_id for taken in sink.taken}) == 1


def test_a_server_that_closes_after_each_message_costs_nobody_anything(sink):
    sink.script.close_after = 1
    edition = made.sending(daily(readers=8))

    send()

    assert states(edition) == {"sent": 8}
    assert max(Counter(taken.recipient for taken in sink.taken).values()) == 1


def test_a_server_that_is_away_costs_time_and_nothing_else(sink, settings, tmp_path):
    edition = made.sending(daily(readers=3))
    here = settings.SUBMISSION_SERVERS["default"]
    gone = replace(here, unix_socket=str(tmp_path / "gone"))
    settings.SUBMISSION_SERVERS = {"default": gone}
    send()
    assert states(edition) == {"pending": 3}
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {0}

    settings.SUBMISSION_SERVERS = {"default": here}
    come_back()
    send()

    assert states(edition) == {"sent": 3}


def test_wrong_credentials_pause_the_edition_with_a_reason(sink, settings):
    sink.script = Script(password="right")
    here = settings.SUBMISSION_SERVERS["default"]
    guessing = replace(here, user="u", password="wrong")
    settings.SUBMISSION_SERVERS = {"default": guessing}
    edition = made.sending(daily(readers=2))

    send()

    edition.refresh_from_db()
    assert edition.state == EditionState.PAUSED
    assert "refuses our credentials" in edition.reason
    assert states(edition) == {"pending": 2}
    assert sink.taken == []


def test_a_refused_sender_pauses_the_edition_after_a_handful_of_tries(sink):
    edition = made.sending(daily(readers=40))
    sink.script.mail = lambda sender: "550 5.7.1 you may not send here"

    send()

    edition.refresh_from_db()
    assert edition.state == EditionState.PAUSED
    assert "refuses our sender" in edition.reason
    assert states(edition) == {"pending": 40}
    assert DeliveryEvent.objects.count() <= 8


def test_a_pause_stops_within_what_is_on_the_wire_and_resume_sends_the_rest(sink):
    newsletter = daily(readers=30)
    edition = made.sending(newsletter)

    def pause_at_ten(to: str) -> str:
        if len(sink.taken) == 10:
            Edition.objects.filter(pk=edition.pk).update(state=EditionState.PAUSED)
            connection.close()  # this runs in a thread of the sink
        return "250 ok"

    sink.script.dot = pause_at_ten
    send()
    assert 10 <= len(sink.taken) <= 10 + 4 + 1
    assert closing.finish() == 0

    sink.script.dot = lambda to: "250 ok"
    Edition.objects.filter(pk=edition.pk).update(state=EditionState.SENDING)
    come_back()
    send()
    assert states(edition) == {"sent": 30}
    assert len(sink.taken) == 30


def test_who_leaves_after_the_freeze_gets_nothing(sink):
    edition = made.sending(daily(readers=3))
    gone = Subscriber.objects.filter(deliveries__edition=edition).first()
    gone.subscriptions.update(ended_at=timezone.now())

    send()
    closing.finish()

    assert gone.address not in [taken.recipient for taken in sink.taken]
    assert states(edition) == {"sent": 2, "skipped": 1}
    edition.refresh_from_db()
    assert edition.state == EditionState.DONE


def test_an_address_that_cannot_stand_in_a_header_fails_alone(sink):
    edition = made.sending(daily(readers=3))
    Subscriber.objects.filter(address=first_address(edition)).update(address="a@x.test\r\nBcc: b@y")

    send()

    assert states(edition) == {"sent": 2, "failed": 1}


def test_a_worker_asked_to_stop_finishes_what_is_on_the_wire_and_gives_back_the_rest(sink):
    edition = made.sending(daily(readers=30))

    def stop_at_five(to: str) -> str:
        if len(sink.taken) >= 5:
            stopping.ask()
        return "250 ok"

    sink.script.dot = stop_at_five
    try:
        send()
    finally:
        stopping.forget()

    counts = states(edition)
    assert counts["sent"] == len(sink.taken) < 30
    assert "sending" not in counts
    assert Batch.objects.get().state == BatchState.READY
    sink.script.dot = lambda to: "250 ok"
    send()
    assert states(edition) == {"sent": 30}
    assert len(sink.taken) == 30


def test_a_cancelled_edition_sends_nothing_more_and_its_books_still_balance(sink):
    edition = made.sending(daily(readers=4))
    editions.cancel(edition, reason="wrong article")

    send()
    closing.close_open_batches()

    assert sink.taken == []
    assert states(edition) == {"cancelled": 4}
    assert ledger.read(edition.pk).settled


def test_what_is_not_sent_in_time_has_failed_and_says_so(sink):
    edition = made.sending(daily(readers=2))
    Edition.objects.update(expires_at=timezone.now() - timedelta(minutes=1))

    closing.close_open_batches()
    closing.finish()

    assert states(edition) == {"failed": 2}
    assert set(Delivery.objects.values_list("reason", flat=True)) == {"expired"}
    edition.refresh_from_db()
    assert edition.state == EditionState.DONE


@pytest.mark.parametrize(
    ("policy", "after"), [(InDoubt.RESEND, "pending"), (InDoubt.HOLD, "uncertain")]
)
def test_results_that_cannot_be_written_are_in_doubt_and_not_forgotten(
    sink, monkeypatch, policy, after
):
    edition = made.sending(daily(readers=30, in_doubt=policy))
    real, calls = exchanger.Exchanger.begin, []

    def begin(self, request):
        calls.append(request)
        if len(calls) > 3:
            locked()
        real(self, request)

    def locked(*_: object) -> None:
        raise OperationalError("database is locked")

    with monkeypatch.context() as patched:
        patched.setattr(exchanger.Exchanger, "begin", begin)
        patched.setattr(sending, "exchange", locked)
        patched.setattr(sending, "DATABASE_PATIENCE", -1)
        with pytest.raises(OperationalError):
            send()

    in_doubt = states(edition)["sending"]
    assert in_doubt > 0
    Batch.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    reaping.reap()
    assert states(edition).get(after, 0) >= in_doubt
    assert DeliveryEvent.objects.count() == in_doubt


def test_a_stuck_batch_pauses_the_edition_and_resume_tries_again(sink):
    edition = made.sending(daily(readers=2))
    Batch.objects.update(state=BatchState.STUCK, losses=reaping.LOSSES_TO_STUCK)

    closing.finish()
    edition.refresh_from_db()
    assert edition.state == EditionState.PAUSED
    assert "1 batches lost their worker" in edition.reason

    editions.resume(edition)
    assert Batch.objects.get().state == BatchState.READY


def test_a_ledger_that_does_not_add_up_stops_the_edition(sink):
    edition = made.sending(daily(readers=2))
    send()
    Edition.objects.filter(pk=edition.pk).update(candidates=3)

    assert closing.finish() == 0

    edition.refresh_from_db()
    assert edition.state == EditionState.PAUSED
    assert "does not balance" in edition.reason
