"""The pool of backends: a real HTTP interface, a real SMTP server, real threads."""

import os
import threading
import time

import pytest

from iria_news.environment import SubmissionServer
from iria_news.smtp import Kind
from mailer.deliveries.backends import BackendPool
from mailer.deliveries.connection import Finished, Submission
from tests.iria_news.smtp.messages import SENDER, newsletter_message
from tests.iria_news.smtp.provider import CUT, TAKEN, Provider
from tests.sink import Script, Sink

POSTMARK = SubmissionServer(
    "localhost", 0, backend="anymail.backends.postmark.EmailBackend", connections=2
)
DJANGOS_SMTP = SubmissionServer(
    "localhost", 0, backend="django.core.mail.backends.smtp.EmailBackend"
)


def submission(number: int, **fields: object) -> Submission:
    recipient = f"r{number}@example.org"
    values = {
        "edition_id": 1,
        "subscriber_id": number,
        "sender": SENDER,
        "recipient": recipient,
        "message": newsletter_message(recipient=recipient),
        "key": f"k{number}",
        "not_after": time.monotonic() + 60,
    }
    return Submission(**{**values, **fields})


def all_of(pool: BackendPool) -> list[Finished]:
    finished = []
    while pool.in_flight:
        finished += pool.collect(seconds=20)
    return finished


def send(pool: BackendPool, numbers: range) -> list[Finished]:
    """As the loop does: hand over while one is idle, collect, go on."""
    finished, waiting = [], list(numbers)
    while waiting or pool.in_flight:
        while waiting and pool.idle:
            pool.hand_over(submission(waiting.pop(0)))
        finished += pool.collect(seconds=20)
    return finished


@pytest.fixture
def provider(settings):
    with Provider() as started:
        settings.ANYMAIL = started.anymail()
        yield started


@pytest.fixture
def sink_by_django(settings):
    with Sink() as started:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", started.port
        yield started


@pytest.fixture
def pool():
    made = BackendPool(POSTMARK, size=2, messages_each=100)
    yield made
    made.close()


def test_each_message_is_answered_for_once_and_connections_are_used_again(provider, pool):
    finished = send(pool, range(20))

    assert sorted(done.submission.subscriber_id for done in finished) == list(range(20))
    assert {done.result.kind for done in finished} == {Kind.ACCEPTED}
    assert len(provider.asked) == 20
    assert provider.connections <= 2
    assert (pool.idle, pool.in_flight) == (2, 0)


def test_backends_work_at_the_same_time(provider, pool):
    both = threading.Barrier(2, timeout=20)

    def answer(asked):
        both.wait()
        return TAKEN

    provider.answer = answer
    pool.hand_over(submission(1))
    pool.hand_over(submission(2))

    assert pool.idle == 0
    assert [done.result.kind for done in all_of(pool)] == [Kind.ACCEPTED] * 2


def test_a_call_that_is_cut_leaves_one_message_in_doubt_and_the_others_go_on(provider, pool):
    def answer(asked):
        return CUT if asked["Metadata"]["key"] == "k3" else TAKEN

    provider.answer = answer
    finished = {done.submission.subscriber_id: done for done in send(pool, range(8))}

    assert finished.pop(3).result.kind is Kind.IN_DOUBT
    assert {done.result.kind for done in finished.values()} == {Kind.ACCEPTED}


def test_a_server_that_is_away_is_told_apart_from_a_message_that_is_refused(settings, pool):
    with Provider() as gone:
        settings.ANYMAIL = gone.anymail()
    pool.hand_over(submission(1))
    (done,) = all_of(pool)

    assert done.result.kind is Kind.NOT_SENT
    assert done.unavailable is not None
    assert done.unavailable.stage == "connect"


def test_refused_credentials_concern_the_server(provider, pool):
    provider.answer = lambda asked: (401, {"Message": "unknown token"})
    pool.hand_over(submission(1))
    (done,) = all_of(pool)

    assert done.unavailable is not None
    assert (done.unavailable.stage, done.unavailable.code) == ("auth", 535)
    assert "unknown token" in done.unavailable.text


def test_a_message_that_comes_too_late_does_not_leave(provider, pool):
    pool.hand_over(submission(1, not_after=time.monotonic() - 1))
    (done,) = all_of(pool)

    assert (done.result.kind, done.result.stage, done.unavailable) == (
        Kind.NOT_SENT,
        "lease",
        None,
    )
    assert provider.asked == []


def test_collecting_without_waiting_returns_at_once(provider, pool):
    released = threading.Event()
    provider.answer = lambda asked: (released.wait(20) and TAKEN) or CUT
    pool.hand_over(submission(1))

    assert pool.collect(seconds=0) == []
    released.set()
    assert len(all_of(pool)) == 1


def test_a_descriptor_of_the_caller_ends_the_waiting(provider, pool):
    released = threading.Event()
    provider.answer = lambda asked: (released.wait(20) and TAKEN) or CUT
    readable, writable = os.pipe()
    pool.hand_over(submission(1))
    os.write(writable, b"!")

    assert pool.collect(seconds=600, also=readable) == []
    released.set()
    assert len(all_of(pool)) == 1
    os.close(readable)
    os.close(writable)


@pytest.mark.parametrize("messages_each", [1, 3])
def test_a_line_is_left_after_so_many_messages(sink_by_django, messages_each):
    pool = BackendPool(DJANGOS_SMTP, size=1, messages_each=messages_each)
    finished = send(pool, range(6))
    pool.close()

    assert {done.result.kind for done in finished} == {Kind.ACCEPTED}
    assert sink_by_django.connections == 6 / messages_each


def test_a_server_that_closes_after_each_message_costs_no_copy_and_no_doubt(sink_by_django):
    sink_by_django.script = Script(close_after=1)
    pool = BackendPool(DJANGOS_SMTP, size=2, messages_each=100)
    finished = send(pool, range(10))
    pool.close()

    assert {done.result.kind for done in finished} == {Kind.ACCEPTED}
    assert len(sink_by_django.taken) == 10


def test_lines_wear_out_sooner_when_the_loop_has_learned_it(sink_by_django):
    pool = BackendPool(DJANGOS_SMTP, size=1, messages_each=100)
    pool.wear_out_after(2)
    send(pool, range(4))
    pool.close()

    assert sink_by_django.connections == 2


def test_closing_does_not_wait_for_a_call_under_way(provider, pool):
    released = threading.Event()
    provider.answer = lambda asked: (released.wait(20) and TAKEN) or CUT
    pool.hand_over(submission(1))
    pool.close()

    assert not released.is_set()
    released.set()
    pool._hands[-1].join(20)  # its thread ends by itself
    assert not any(hand._thread and hand._thread.is_alive() for hand in pool._hands)
