from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from iria_news import keys
from iria_news.environment import SubmissionServer
from subscribers import confirmation, service_mails
from subscribers.models import (
    ServiceMail,
    ServiceMailKind,
    ServiceMailState,
    Subscriber,
    SubscriberState,
)
from tests.factories import make_newsletter, make_subscriber, make_subscription, make_topic
from tests.subscribers.conftest import link_in, mails_are_older

pytestmark = pytest.mark.django_db


def make_mail(subscriber=None, kind=ServiceMailKind.CONFIRMATION, **fields):
    if subscriber is None:
        subscriber = make_subscription(confirmed=False).subscriber
    return ServiceMail.objects.create(subscriber=subscriber, kind=kind, **fields)


def text_of(taken):
    return taken.message.get_body(("plain",)).get_content()


def test_a_confirmation_says_what_is_asked_and_until_when(sink):
    place = make_subscription(
        make_newsletter("IRIA Daily"), confirmed=False, topics=[make_topic("Europe")]
    )
    make_topic("Africa")
    mail = make_mail(place.subscriber, asked_at=timezone.now())

    assert service_mails.send_due() == 1

    (taken,) = sink.taken
    message, text = taken.message, text_of(taken)
    deadline = mail.asked_at + timedelta(days=3)
    assert message["To"] == taken.recipient == place.subscriber.address
    assert message["Subject"] == "Please confirm your subscription to IRIA Daily"
    assert message["Auto-Submitted"] == "auto-generated"
    assert f"{deadline:%H:%M} UTC" in text
    assert place.subscriber.address in text
    assert "IRIA Daily. It comes every day at 06:00 (UTC). Topics: Europe." in " ".join(
        text.split()
    )
    html = message.get_body(("html",)).get_content()
    assert link_in(text, "/confirm/") == link_in(html, "/confirm/")
    assert "<img" not in html
    assert max(map(len, text.replace(link_in(text, "/confirm/"), "").splitlines())) <= 72
    mail.refresh_from_db()
    assert (mail.state, mail.attempts, mail.reason) == (ServiceMailState.SENT, 1, "250 2.0.0")


def test_the_message_id_and_the_return_path_carry_the_key_of_the_row(sink):
    mail = make_mail()
    service_mails.send_due()

    (taken,) = sink.taken
    key = taken.message_id.strip("<>").partition("@")[0]
    assert keys.read_message_key(key) == (service_mails.SERVICE_MAIL, 0, mail.pk)
    assert taken.sender == f"bounce+{key}@{django_settings.BOUNCE_DOMAIN}"


def test_a_reader_is_told_what_they_get_and_has_the_link_to_change_it(sink):
    place = make_subscription(make_newsletter("IRIA Daily"), topics=[make_topic("Europe")])
    make_mail(place.subscriber, ServiceMailKind.PREFERENCES)
    make_mail(make_subscriber("left@example.org"), ServiceMailKind.PREFERENCES)

    service_mails.send_due()

    reader, left = text_of(sink.taken[0]), text_of(sink.taken[1])
    assert "You get IRIA Daily." in reader
    assert "Topics: all." in " ".join(reader.split())
    assert "nothing has been changed" in " ".join(reader.split())
    assert "You get no newsletter from us at present." in left
    assert link_in(reader, "/preferences/") != link_in(left, "/preferences/")


def test_all_that_is_due_goes_over_one_connection(sink):
    for _ in range(5):
        make_mail()
    make_mail(not_before=timezone.now() + timedelta(minutes=1))

    assert service_mails.send_due() == 5
    assert sink.connections == 1
    assert not service_mails.due_exists()


def test_a_server_that_takes_one_message_on_a_connection_gets_several_connections(sink):
    sink.script.close_after = 1
    for _ in range(3):
        make_mail()

    assert service_mails.send_due() == 3


def test_a_refusal_for_good_ends_it(sink):
    sink.script.rcpt = lambda recipient: "550 5.1.1 no such user"
    mail = make_mail()

    assert service_mails.send_due() == 0

    mail.refresh_from_db()
    assert (mail.state, mail.reason) == (ServiceMailState.FAILED, "550 5.1.1")


@pytest.mark.parametrize(
    ("attempts", "minutes"), [(0, 1), (1, 5), (2, 15), (3, 60), (4, 60), (9, 60)]
)
def test_a_refusal_for_now_is_tried_again_later_and_later(sink, attempts, minutes):
    sink.script.rcpt = lambda recipient: "450 4.2.1 slow down"
    mail = make_mail(attempts=attempts)

    service_mails.send_due()

    mail.refresh_from_db()
    assert (mail.state, mail.reason) == (ServiceMailState.WAITING, "450 4.2.1")
    pause = mail.not_before - timezone.now()
    assert timedelta(minutes=minutes, seconds=-9) < pause <= timedelta(minutes=minutes)


def test_a_refused_sender_is_no_fault_of_the_recipient(sink):
    sink.script.mail = lambda sender: "550 5.7.1 relaying denied"
    mail = make_mail()

    service_mails.send_due()

    mail.refresh_from_db()
    assert mail.state == ServiceMailState.WAITING


def test_a_row_with_an_impossible_address_fails_alone(sink):
    bad = make_mail(make_subscriber("bad@example.org"), ServiceMailKind.PREFERENCES)
    Subscriber.objects.filter(pk=bad.subscriber_id).update(address="bad@example.org\nBcc: x@y.org")
    make_mail()

    assert service_mails.send_due() == 1

    bad.refresh_from_db()
    assert (bad.state, bad.reason) == (ServiceMailState.FAILED, "refused address")


def test_without_an_answer_the_same_message_goes_out_again(sink):
    sink.script.dot = lambda recipient: None
    mail = make_mail()
    service_mails.send_due()
    mail.refresh_from_db()
    assert mail.state == ServiceMailState.WAITING

    sink.script.dot = lambda recipient: "250 2.0.0 taken"
    ServiceMail.objects.update(not_before=timezone.now() - timedelta(seconds=5))
    service_mails.send_due()

    mail.refresh_from_db()
    assert mail.state == ServiceMailState.SENT
    first, second = sink.taken
    assert first.message_id == second.message_id
    assert link_in(text_of(first), "/confirm/") == link_in(text_of(second), "/confirm/")


def test_a_server_that_is_away_is_asked_once_for_all(settings, tmp_path):
    settings.SUBMISSION_SERVERS = {
        "default": SubmissionServer("localhost", 0, unix_socket=str(tmp_path / "no"))
    }
    mails = [make_mail(), make_mail()]

    assert service_mails.send_due() == 0

    states = [ServiceMail.objects.get(pk=mail.pk) for mail in mails]
    assert [mail.state for mail in states] == [ServiceMailState.WAITING] * 2
    assert [mail.attempts for mail in states] == [1, 0]


def test_what_a_dead_worker_left_is_sent_after_two_minutes_and_not_before(sink):
    fresh = make_mail(
        state=ServiceMailState.SENDING, attempts=1, not_before=timezone.now() + timedelta(minutes=1)
    )
    left = make_mail(
        state=ServiceMailState.SENDING, attempts=1, not_before=timezone.now() - timedelta(seconds=5)
    )
    assert service_mails.due_exists()

    assert service_mails.send_due() == 1

    left.refresh_from_db()
    fresh.refresh_from_db()
    assert (left.state, left.attempts) == (ServiceMailState.SENT, 2)
    assert fresh.state == ServiceMailState.SENDING


def test_a_mail_in_flight_is_claimed_by_nobody_else():
    make_mail()

    assert service_mails._claim() is not None
    assert service_mails._claim() is None


def test_a_slow_worker_that_was_taken_for_dead_settles_nothing_but_a_success():
    mail = make_mail()
    slow = service_mails._claim()
    ServiceMail.objects.update(attempts=2)  # another worker has claimed it since

    service_mails._settle(slow, ServiceMailState.FAILED, "550 5.1.1")
    mail.refresh_from_db()
    assert mail.state == ServiceMailState.SENDING

    service_mails._settle(slow, ServiceMailState.SENT, "250 2.0.0")
    mail.refresh_from_db()
    assert mail.state == ServiceMailState.SENT


def test_what_nobody_needs_any_more_is_not_sent(sink):
    confirmed = make_subscription(confirmed=False).subscriber
    first, second = make_mail(confirmed), make_mail(confirmed)
    confirmation.confirm(first, source="/confirm/")
    erased = make_mail(
        make_subscriber(state=SubscriberState.ERASED), kind=ServiceMailKind.PREFERENCES
    )
    late = make_mail(asked_at=timezone.now() - timedelta(hours=25))

    assert service_mails.send_due() == 1

    (welcome,) = sink.taken
    assert welcome.recipient == confirmed.address
    for mail in (first, second, erased, late):
        mail.refresh_from_db()
        assert mail.state == ServiceMailState.FAILED
    assert not service_mails.due_exists()


def test_confirmations_come_once_in_15_minutes_three_times_a_day_and_five_times_in_all():
    pending = make_subscription(confirmed=False).subscriber

    def ask(hours):
        """Whether one is granted, if the ones before were asked so much earlier."""
        mails_are_older(hours=hours)
        return service_mails.ask_to_confirm(pending)

    granted = [ask(hours) for hours in (0, 0.2, 0.1, 1, 1, 24, 24, 24)]

    assert granted == [True, False, True, True, False, True, True, False]


def test_logs_name_rows_and_codes_but_no_address(sink, caplog):
    sink.script.rcpt = lambda recipient: f"550 5.1.1 <{recipient}> unknown"
    mail = make_mail()

    service_mails.send_due()

    assert f"Service mail {mail.pk}, try 1: 550 5.1.1" in caplog.text
    assert "@" not in caplog.text


@pytest.mark.django_db
def test_a_mail_that_an_import_put_off_is_no_answer_to_who_asks_today():
    subscriber = make_subscription(confirmed=False).subscriber
    tomorrow = timezone.now() + timedelta(days=1)
    ServiceMail.objects.create(
        subscriber=subscriber,
        kind=ServiceMailKind.CONFIRMATION,
        asked_at=tomorrow,
        not_before=tomorrow,
    )

    assert service_mails.ask_to_confirm(subscriber)
    assert not service_mails.ask_to_confirm(subscriber)  # one in a quarter of an hour, as ever
