"""Fault test 12, a pool: several connections at once to servers that close, stutter and lie."""

import threading
import time

import pytest

from iria_news.environment import SubmissionServer
from iria_news.smtp import Kind, dialogue, pace
from mailer.deliveries import connections
from mailer.deliveries.connection import Finished, Submission
from mailer.deliveries.connections import Pool
from tests.iria_news.smtp import tls
from tests.sink import Script, Sink

MESSAGE = b"Subject: x\r\n\r\n" + b"a line of the body\r\n" * 50
LONG = "\r\n".join(["550-5.1.1 " + "no such reader " * 8] * 80 + ["550 5.1.1 and that is all"])


@pytest.fixture(autouse=True)
def _trust_servers_again():
    pace.forget()
    yield
    pace.forget()


def submission(number: int) -> Submission:
    return Submission(
        edition_id=1,
        subscriber_id=number,
        sender="b@y.test",
        recipient=f"r{number}@x.test",
        message=MESSAGE,
        key=f"k{number}",
        not_after=time.monotonic() + 60,
    )


def send(
    sink: Sink, messages: int, *, size: int = 3, hang_up: str | None = None, **server: str
) -> dict[int, Finished]:
    """As the loop does: hand over while one is idle, collect, go on."""
    pool = Pool(SubmissionServer("127.0.0.1", sink.port, **server), size=size, messages_each=10_000)
    finished: list[Finished] = []
    waiting = list(range(messages))
    try:
        while waiting or pool.in_flight:
            while waiting and pool.idle:
                pool.hand_over(submission(waiting.pop(0)))
            finished += pool.collect(seconds=20)
            if hang_up is not None:
                while pool.in_flight:
                    finished += pool.collect(seconds=20)
                sink.hang_up(hang_up)
                while any(connection._session.is_open for connection in pool._idle):
                    pool.collect(seconds=0)
    finally:
        pool.close()
    assert sorted(done.submission.subscriber_id for done in finished) == list(range(messages))
    return {done.submission.subscriber_id: done for done in finished}


def kinds(finished: dict[int, Finished]) -> set[Kind]:
    return {done.result.kind for done in finished.values()}


def assert_each_came_once(sink: Sink, messages: int) -> None:
    expected = sorted(f"r{number}@x.test" for number in range(messages))
    assert sorted(taken.recipient for taken in sink.taken) == expected


@pytest.mark.parametrize(("closed_after", "messages"), [(1, 12), (7, 40), (100, 220)])
def test_lines_closed_after_so_many_messages_cost_no_error_and_no_copy(closed_after, messages):
    with Sink(script=Script(close_after=closed_after)) as sink:
        finished = send(sink, messages, size=2)

    assert kinds(finished) == {Kind.ACCEPTED}
    assert_each_came_once(sink, messages)


@pytest.mark.parametrize("word", ["", "421 4.4.2 idle for too long"])
def test_lines_closed_while_idle_cost_no_error_and_no_copy(word):
    with Sink() as sink:
        finished = send(sink, 9, size=3, hang_up=word)

    assert kinds(finished) == {Kind.ACCEPTED}
    assert_each_came_once(sink, 9)
    assert sink.connections > 3


def test_421_in_a_group_concerns_its_own_message_only():
    script = Script(
        rcpt=lambda recipient: "421 4.7.0 enough" if recipient == "r4@x.test" else "250 ok"
    )
    with Sink(script=script) as sink:
        finished = send(sink, 12)

    result = finished.pop(4).result
    assert (result.kind, result.code) == (Kind.DEFERRED, 421)
    assert kinds(finished) == {Kind.ACCEPTED}
    assert len(sink.taken) == 11


@pytest.mark.parametrize("glue", [False, True])
@pytest.mark.parametrize("pieces", [1, 0, -1], ids=["bytes", "whole", "amid the line end"])
def test_replies_meet_their_recipients_however_they_are_cut(glue, pieces):
    def cut(reply: bytes) -> list[bytes]:
        if pieces == 1:
            return [reply[place : place + 1] for place in range(len(reply))]
        return [reply[:-1], reply[-1:]] if pieces else [reply]

    def rcpt(recipient: str) -> str:
        return "550 5.1.1 nobody" if recipient in {"r2@x.test", "r3@x.test"} else "250 ok"

    with Sink(script=Script(rcpt=rcpt, glue=glue, cut=cut)) as sink:
        finished = send(sink, 10)

    refused = {number for number, done in finished.items() if done.result.kind is Kind.REFUSED}
    assert refused == {2, 3}
    assert len(sink.taken) == 8


def test_354_after_a_refused_recipient_delivers_nothing_and_breaks_nothing():
    script = Script(
        rcpt=lambda recipient: "550 5.1.1 no" if recipient == "r1@x.test" else "250 ok",
        data_after_refusal=True,
    )
    with Sink(script=script) as sink:
        finished = send(sink, 6, size=1)

    assert finished.pop(1).result.enhanced == "5.1.1"
    assert kinds(finished) == {Kind.ACCEPTED}
    assert sink.connections == 1


def test_a_reply_of_10_kb_is_one_reply():
    with Sink(script=Script(rcpt=lambda recipient: LONG)) as sink:
        finished = send(sink, 3, size=1)

    assert {done.result.enhanced for done in finished.values()} == {"5.1.1"}
    assert sink.connections == 1


def test_a_server_that_accepts_too_early_gets_one_command_at_a_time_and_loses_nothing():
    with Sink(script=Script(data="354 go on\r\n250 2.0.0 taken")) as sink:
        finished = send(sink, 2, size=1)

    assert kinds(finished) == {Kind.NOT_SENT}
    assert sink.taken == []
    assert not pace.takes_groups(SubmissionServer("127.0.0.1", sink.port))


def test_only_the_message_whose_dot_is_never_answered_is_in_doubt(monkeypatch):
    monkeypatch.setattr(dialogue, "FINAL_REPLY_TIMEOUT", 2)  # seconds; ample for the others
    monkeypatch.setattr(connections, "DEADLINE_CHECK", 0.05)
    asked = threading.Event()

    def dot(recipient: str) -> str | None:
        if recipient != "r1@x.test":
            return "250 2.0.0 taken"
        asked.wait(20)
        return None

    with Sink(script=Script(dot=dot)) as sink:
        finished = send(sink, 6, size=2)
        asked.set()

    assert finished.pop(1).result.kind is Kind.IN_DOUBT
    assert kinds(finished) == {Kind.ACCEPTED}


@pytest.mark.parametrize(
    "script",
    [
        Script(password="secret"),
        Script(["STARTTLS"], password="secret", tls=tls.context(), starttls="454 4.7.0 not now"),
        Script(["STARTTLS"], password="secret", tls=tls.context()),
    ],
    ids=["stripped", "refused", "certificate"],
)
def test_without_tls_no_mail_and_no_password_leave(script):
    with Sink(script=script) as sink:
        finished = send(sink, 2, security="starttls", user="u", password="secret")

    assert {done.unavailable.stage for done in finished.values()} == {"tls"}
    assert kinds(finished) == {Kind.NOT_SENT}
    assert not [word for word in sink.commands if word[:4] in {"AUTH", "MAIL", "RCPT"}]


def test_behind_tls_every_message_arrives(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tls.CERTIFICATE))
    with Sink(script=Script(["STARTTLS", "PIPELINING"], tls=tls.context())) as sink:
        finished = send(sink, 12, security="starttls")

    assert kinds(finished) == {Kind.ACCEPTED}
    assert_each_came_once(sink, 12)


def test_a_reply_of_10_kb_behind_tls_is_one_reply(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tls.CERTIFICATE))
    script = Script(["STARTTLS"], tls=tls.context(), mail=lambda sender: LONG)
    with Sink(script=script) as sink:
        finished = send(sink, 3, size=1, security="starttls")
    assert {done.result.enhanced for done in finished.values()} == {"5.1.1"}
