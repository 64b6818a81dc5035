"""Calls against a real HTTPS server: taken, tried again, given up, and never led astray."""

import logging
from datetime import timedelta

import pytest
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from subscribers.models import (
    CallState,
    EventKind,
    WebhookCall,
    WebhookEndpoint,
    WebhookEvent,
)
from subscribers.webhooks import calling, endpoints, events
from tests import factories
from tests.webhook_receiver import URL, Receiver, answer, raw

pytestmark = pytest.mark.django_db


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def endpoint(admin_user):
    return make_endpoint(admin_user)


def make_endpoint(by, name="CRM", url=URL):
    return endpoints.create(name=name, url=url, events=list(events.OFFERED), by=by)


def happen(kind=EventKind.CHANGED, **facts):
    events.emit(kind, subscriber=factories.make_subscriber(), **facts)
    return WebhookCall.objects.latest("pk")


def call_due(receiver):
    return calling.call_due(connect=receiver.connect)


def later(delta):
    """Move the clock: all that waits, or is remembered, has done so for longer."""
    WebhookCall.objects.update(not_before=F("not_before") - delta)
    WebhookEndpoint.objects.update(
        failing_since=F("failing_since") - delta, previous_until=F("previous_until") - delta
    )


def state_of(call):
    call.refresh_from_db()
    return call.state, call.attempts, call.answer


def test_what_happened_is_told_once_signed_and_in_json(receiver, endpoint):
    call = happen(source="/subscribe/", topics=["europe"])

    assert call_due(receiver) == 1
    assert call_due(receiver) == 0

    [told] = receiver.told
    assert told.line == "POST /iria?key=theirs HTTP/1.1"
    assert told.headers["content-type"] == "application/json"
    assert told.uid == call.event.uid
    assert told.is_signed_with(endpoint.secret)
    assert not told.is_signed_with("whsec_AAAA")
    assert told.payload == call.event.payload
    assert told.payload["type"] == "subscriber.changed"
    assert told.payload["data"]["topics"] == ["europe"]
    assert state_of(call) == (CallState.TAKEN, 1, "200 OK")
    assert call.settled_at is not None


def test_a_failure_is_tried_again_later_and_later_with_the_same_id_and_body(receiver, endpoint):
    receiver.script = [answer(500)] * 9
    call = happen()

    for number, pause in enumerate(calling.RETRY_AFTER, start=1):
        assert call_due(receiver) == 0
        assert state_of(call) == (CallState.WAITING, number, "500 Internal Server Error")
        assert call_due(receiver) == 0
        assert len(receiver.told) == number  # not yet
        wait = call.not_before - timezone.now()
        assert pause - timedelta(seconds=10) < wait < pause * (1 + calling.JITTER)
        later(wait)
        WebhookEndpoint.objects.update(failing_since=Now())  # five days are another test
    call_due(receiver)

    assert state_of(call) == (CallState.GIVEN_UP, 9, "500 Internal Server Error")
    assert len({(told.uid, told.body) for told in receiver.told}) == 1
    assert all(told.is_signed_with(endpoint.secret) for told in receiver.told)
    later(timedelta(days=9))
    assert call_due(receiver) == 0
    assert len(receiver.told) == 9


def test_a_call_that_was_given_up_can_be_sent_again_once(receiver, endpoint):
    call = happen()
    WebhookCall.objects.update(state=CallState.GIVEN_UP, attempts=9)
    receiver.script = [answer(503)]

    assert endpoints.resend(call)
    assert not endpoints.resend(call)  # it waits already
    call_due(receiver)
    assert state_of(call)[0] == CallState.GIVEN_UP
    assert endpoints.resend(call)
    call_due(receiver)

    assert state_of(call) == (CallState.TAKEN, 11, "200 OK")


@pytest.mark.parametrize("status", [201, 202, 204, 299])
def test_every_2xx_is_a_yes(receiver, endpoint, status):
    receiver.script = [answer(status)]
    call = happen()

    assert call_due(receiver) == 1
    assert state_of(call)[0] == CallState.TAKEN


def test_a_redirect_is_a_no_and_nobody_follows_it(receiver, endpoint):
    receiver.script = [answer(302, f"Location: {URL}"), answer(307, "Location: https://127.0.0.1/")]
    call = happen()

    call_due(receiver)
    assert state_of(call) == (CallState.WAITING, 1, "302 Found")
    later(timedelta(hours=1))
    call_due(receiver)

    assert state_of(call) == (CallState.WAITING, 2, "307 Temporary Redirect")
    assert len(receiver.told) == 2


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://localhost/", "It is a private address, and those are not called."),
        ("https://127.0.0.1:8443/", "It is a private address, and those are not called."),
        ("https://[::ffff:10.0.0.1]/", "It is a private address, and those are not called."),
        ("https://169.254.169.254/", "It is a private address, and those are not called."),
        ("http://hooks.example/", "It does not start with https://, and nothing else is called."),
        ("https://hooks.example:25/", "It names port 25; only 443 and 8443 are called."),
        ("https://a:b@hooks.example/", "It with a user name or password in it is not called."),
        ("https://nobody.invalid/", "It is a name that nobody knows."),
    ],
)
def test_where_it_may_not_go_nothing_is_told(receiver, admin_user, url, words):
    """Whatever came past the form, by the shell or by another answer of the name server."""
    make_endpoint(admin_user, url=url)
    call = happen()

    assert call_due(receiver) == 0
    assert state_of(call) == (CallState.WAITING, 1, words)
    assert not receiver.told


def test_410_switches_the_endpoint_off(receiver, endpoint, caplog):
    receiver.script = [answer(410)]
    call, other = happen(), happen()
    WebhookCall.objects.filter(pk=other.pk).update(not_before=Now() + timedelta(minutes=1))

    call_due(receiver)
    later(timedelta(hours=1))
    call_due(receiver)

    endpoint.refresh_from_db()
    assert state_of(call) == (CallState.GIVEN_UP, 1, "410 Gone")
    assert not endpoint.is_active
    assert endpoint.off_because == "It answered 410 Gone: it wants no more calls."
    assert state_of(other)[0] == CallState.WAITING
    assert len(receiver.told) == 1
    assert not calling.due_exists()
    assert f"Webhook endpoint {endpoint.pk} was switched off." in caplog.text

    endpoints.switch_on(endpoint.pk)
    assert call_due(receiver) == 1  # what waited


def test_after_five_days_of_failures_an_endpoint_is_switched_off(receiver, endpoint):
    receiver.script = [answer(500)] * 3
    happen()
    call_due(receiver)
    later(timedelta(days=4, hours=23))
    call_due(receiver)
    endpoint.refresh_from_db()
    assert endpoint.is_active

    later(timedelta(hours=2))
    call_due(receiver)

    endpoint.refresh_from_db()
    assert not endpoint.is_active
    assert endpoint.off_because == (
        "Every call of 5 days has failed. The last answer: 500 Internal Server Error"
    )


def test_one_success_in_between_and_the_five_days_begin_anew(receiver, endpoint):
    receiver.script = [answer(500), answer(200), answer(500)]
    happen()
    call_due(receiver)
    later(timedelta(days=4))
    call_due(receiver)
    happen()
    later(timedelta(days=4))
    call_due(receiver)

    endpoint.refresh_from_db()
    assert endpoint.is_active
    assert endpoint.failing_since is not None


def test_what_a_dead_worker_left_is_called_again_after_two_minutes_and_not_before(
    receiver, endpoint
):
    call = happen()
    [claimed] = calling._claim(1)
    assert claimed == call

    assert call_due(receiver) == 0
    later(calling.SILENCE)
    assert calling.due_exists()
    assert call_due(receiver) == 1
    assert state_of(call) == (CallState.TAKEN, 2, "200 OK")


def test_a_call_that_kills_its_worker_every_time_is_given_up(endpoint, receiver):
    call = happen()
    WebhookCall.objects.update(state=CallState.CALLING, attempts=9, not_before=Now())

    call_due(receiver)

    assert state_of(call) == (CallState.GIVEN_UP, 9, "The worker was lost.")
    assert not receiver.told


def test_a_slow_worker_that_was_taken_for_dead_settles_nothing_but_a_success(endpoint):
    call = happen()
    [slow] = calling._claim(1)
    later(calling.SILENCE)
    calling._take_back()
    [quick] = calling._claim(1)

    calling._settle(slow, calling.Answer(500, "500"))
    assert state_of(call)[:2] == (CallState.CALLING, 2)
    calling._settle(slow, calling.Answer(200, "200 OK"))
    assert state_of(call)[0] == CallState.TAKEN
    calling._settle(quick, calling.Answer(500, "500"))
    assert state_of(call)[0] == CallState.TAKEN


def test_a_reader_who_goes_while_the_call_is_under_way_harms_nobody(endpoint):
    call = happen()
    [claimed] = calling._claim(1)
    WebhookEvent.objects.filter(pk=call.event_id).delete()

    assert calling._settle(claimed, calling.Answer(200, "200 OK"))
    assert not WebhookCall.objects.exists()


def test_for_a_day_after_a_change_both_secrets_sign(receiver, endpoint):
    old = endpoint.secret
    new = endpoints.rotate(endpoint)
    happen()
    call_due(receiver)
    later(endpoints.BOTH_SECRETS_FOR)
    happen()
    call_due(receiver)

    both, one = receiver.told
    assert both.is_signed_with(old)
    assert both.is_signed_with(new)
    assert one.is_signed_with(new)
    assert not one.is_signed_with(old)


def test_a_slow_endpoint_has_few_calls_at_once_and_the_others_go_on(
    receiver, endpoint, admin_user, monkeypatch
):
    monkeypatch.setattr(calling, "ANSWER_WITHIN", 1.5)
    monkeypatch.setattr(calling, "TURN", 3)
    make_endpoint(admin_user, "Dead", "https://hooks.example/dead")

    def silent_for_the_dead(line, told):
        if "/dead" in told.line:
            raw(b"", every=3)(line, told)
        else:
            answer(200)(line, told)

    receiver.script = [silent_for_the_dead] * 200
    for _ in range(6):
        happen()

    assert call_due(receiver) == 6

    taken = WebhookCall.objects.filter(state=CallState.TAKEN)
    assert set(taken.values_list("endpoint__name", flat=True)) == {"CRM"}
    first = [told.line for told in receiver.told[: 6 + calling.EACH_AT_ONCE]]
    assert sum("/iria" in line for line in first) == 6  # behind no silence of the other
    assert receiver.most_at_once <= 2 * calling.EACH_AT_ONCE


def test_endpoints_that_fail_never_take_more_than_two_lines(endpoint, admin_user):
    for number in range(5):
        make_endpoint(admin_user, f"Dead {number}")
    WebhookEndpoint.objects.exclude(pk=endpoint.pk).update(failing_since=Now())
    for _ in range(3):
        happen()

    claimed = list(calling._claim(calling.CALLS_AT_ONCE))

    names = [call.endpoint.name for call in claimed]
    assert names.count("CRM") == calling.EACH_AT_ONCE
    assert len(names) == calling.EACH_AT_ONCE + calling.FAILING_AT_ONCE
    assert list(calling._claim(calling.CALLS_AT_ONCE)) == []  # of another worker, too


DRIP = [b"HTTP/1.1 200 OK\r\n", *[b"X-A: b\r\n"] * 40]


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (raw(b"", every=1.5), "It takes longer than 1 seconds."),
        (raw(*DRIP, every=0.1), "It takes longer than 1 seconds."),
        (
            raw(*[b"HTTP/1.1 100 Continue\r\n\r\n"] * 40, every=0.1),
            "It takes longer than 1 seconds.",
        ),
        (raw(b"<script>alert(1)</script>\r\n\r\n"), "It answers something that is not HTTP."),
        (raw(b"\x1b[2J\x00\xff\xfe\r\n\r\n"), "It answers something that is not HTTP."),
        (raw(b"HTTP/1.1 200 " + b"x" * 100_000), "It answers something that is not HTTP."),
        (raw(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 500), "It answers something that is not HTTP."),
        (raw(b"HTTP/1.1 2e2 OK\r\n\r\n"), "It answers something that is not HTTP."),
        (raw(), "It ends the connection without an answer."),
        (raw(b"HTTP/1.1 418 <b>\x1b[31m\r\n\r\n"), "418 I'm a Teapot"),
        (raw(b"HTTP/1.1 777 Bingo\r\n\r\n"), "777"),
    ],
)
def test_of_a_hostile_answer_only_our_own_words_are_kept(
    receiver, endpoint, sent, words, monkeypatch, caplog
):
    monkeypatch.setattr(calling, "ANSWER_WITHIN", 1)
    receiver.script = [sent]
    call = happen()

    call_due(receiver)

    assert state_of(call) == (CallState.WAITING, 1, words)
    assert "script" not in caplog.text
    assert "\x1b" not in caplog.text


def test_a_gigabyte_of_answer_is_not_read(receiver, endpoint):
    sent = []

    def gigabyte(line, _told):
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        for _ in range(1_000):
            line.sendall(b"x" * 1_000_000)
            sent.append(1_000_000)

    receiver.script = [gigabyte]
    happen()

    assert call_due(receiver) == 1
    assert sum(sent) < 20_000_000  # what lies in the buffers of the kernel


def test_hostile_headers_in_a_yes_are_only_a_yes(receiver, endpoint):
    receiver.script = [answer(200, "Set-Cookie: a=b", "X: \x00\xff\x1b[2J", "Location: file:///")]

    happen()
    assert call_due(receiver) == 1


def test_a_certificate_that_nobody_trusts_ends_it(receiver, endpoint, monkeypatch):
    call = happen()

    def untrusting(host, port, deadline):
        import http.client
        import socket
        import ssl

        plain = socket.create_connection(("127.0.0.1", receiver.port), deadline.left())
        connection = http.client.HTTPSConnection(host, port)
        connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
        return connection

    calling.call_due(connect=untrusting)

    assert state_of(call)[2] == "It shows no certificate that we trust."


def test_logs_name_rows_and_no_address_no_secret_and_no_url(receiver, endpoint, caplog):
    caplog.set_level(logging.DEBUG)
    receiver.script = [answer(500), answer(200)]
    call = happen()

    call_due(receiver)
    later(timedelta(minutes=1))
    call_due(receiver)

    assert f"Webhook call {call.pk}, try 1: 500 Internal Server Error" in caplog.text
    ours = [record.getMessage() for record in caplog.records if record.name != "django.db.backends"]
    for planted in (endpoint.secret, "theirs", "@example.org"):
        assert not any(planted in line for line in ours)


def test_with_nothing_due_a_tick_asks_one_question(django_assert_num_queries):
    with django_assert_num_queries(1):
        assert not calling.due_exists()
