"""Fault test 12, one session: servers that close, stutter, lie and strip TLS."""

import logging
import threading

import pytest

from iria_news import smtp
from iria_news.environment import SubmissionServer
from iria_news.smtp import Dialogue, Kind, ServerUnavailable, Session, dialogue, pace
from tests.iria_news.smtp import tls
from tests.sink import Script, Sink

MESSAGE = b"Subject: x\r\n\r\n" + b"a line of the body\r\n" * 50
GROUPS = [["PIPELINING"], ["8BITMIME"]]
LONG = "\r\n".join(["550-5.1.1 " + "no such reader " * 8] * 80 + ["550 5.1.1 and that is all"])


@pytest.fixture(autouse=True)
def _trust_servers_again():
    pace.forget()
    yield
    pace.forget()


def session(sink: Sink, **more: str) -> Session:
    return Session(SubmissionServer("127.0.0.1", sink.port, **more))


def submit(line: Session, recipient: str = "a@x.test", message: bytes = MESSAGE):
    return line.submit(sender="b@y.test", recipient=recipient, message=message, escaped=True)


def byte_by_byte(reply: bytes) -> list[bytes]:
    return [reply[place : place + 1] for place in range(len(reply))]


def amid_the_line_end(reply: bytes) -> list[bytes]:
    return [reply[:-1], reply[-1:]]


# --- lines that end -----------------------------------------------------------------------------


@pytest.mark.parametrize("messages", [1, 7, 100])
def test_a_line_closed_after_so_many_messages_sent_nothing_more(messages):
    with Sink(script=Script(close_after=messages)) as sink, session(sink) as line:
        results = [submit(line) for _ in range(messages)]
        one_more = submit(line)

    assert {result.kind for result in results} == {Kind.ACCEPTED}
    assert [result.messages_before for result in results] == list(range(messages))
    assert (one_more.kind, one_more.messages_before) == (Kind.NOT_SENT, messages)
    assert len(sink.taken) == messages


@pytest.mark.parametrize("word", ["", "421 4.4.2 idle for too long"])
def test_a_line_closed_while_idle_sent_nothing(word):
    with Sink() as sink, session(sink) as line:
        assert submit(line).kind is Kind.ACCEPTED
        sink.hang_up(word)
        result = submit(line)

        assert result.kind in {Kind.NOT_SENT, Kind.DEFERRED}  # with 421, if it could be read
        assert not line.is_open
        assert len(sink.taken) == 1


@pytest.mark.parametrize(("accepted", "code"), [(0, 421), (3, 421)])
def test_421_in_a_group_tells_how_many_messages_the_line_had_carried(accepted, code):
    left = iter(["250 ok"] * accepted)
    script = Script(rcpt=lambda recipient: next(left, "421 4.7.0 enough on this connection"))
    with Sink(script=script) as sink, session(sink) as line:
        results = [submit(line) for _ in range(accepted + 1)]

        assert (results[-1].kind, results[-1].code) == (Kind.DEFERRED, code)
        assert results[-1].messages_before == accepted
        assert not line.is_open
        assert len(sink.taken) == accepted


def test_a_server_that_never_answers_the_dot_leaves_the_message_in_doubt(monkeypatch):
    monkeypatch.setattr(dialogue, "FINAL_REPLY_TIMEOUT", 0.1)
    asked = threading.Event()
    with Sink(script=Script(dot=lambda recipient: asked.wait(20) and None)) as sink:
        with session(sink) as line:
            assert submit(line).kind is Kind.IN_DOUBT
            assert not line.is_open
        asked.set()


# --- TLS ----------------------------------------------------------------------------------------


def protected(sink: Sink, security: str = "starttls") -> Session:
    return session(sink, security=security, user="u", password="secret")


def commands_with_secrets(sink: Sink) -> list[str]:
    return [command for command in sink.commands if command[:4] in {"AUTH", "MAIL", "RCPT"}]


@pytest.mark.parametrize(
    "script",
    [
        Script(password="secret"),  # the offer was stripped
        Script(["STARTTLS"], password="secret", tls=tls.context(), starttls="454 4.7.0 not now"),
        Script(
            ["STARTTLS"], password="secret", tls=tls.context(), starttls="220"
        ),  # bad certificate
        Script(["STARTTLS"], password="secret"),  # offered and not understood
    ],
    ids=["stripped", "refused", "certificate", "unknown"],
)
def test_without_tls_no_mail_and_no_password_leave(script):
    with Sink(script=script) as sink, pytest.raises(ServerUnavailable) as caught:
        protected(sink).open()

    assert caught.value.stage == "tls"
    assert commands_with_secrets(sink) == []


def test_a_certificate_for_another_name_is_none(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tls.CERTIFICATE))
    with Sink(script=Script(["STARTTLS"], password="secret", tls=tls.context())) as sink:
        server = SubmissionServer(
            "localhost", sink.port, security="starttls", user="u", password="secret"
        )
        with pytest.raises(ServerUnavailable):
            Session(server).open()

    assert commands_with_secrets(sink) == []


@pytest.mark.parametrize("cut", [lambda reply: [reply], byte_by_byte])
def test_behind_tls_messages_arrive_unchanged(monkeypatch, cut):
    monkeypatch.setenv("SSL_CERT_FILE", str(tls.CERTIFICATE))
    script = Script(["STARTTLS", "PIPELINING"], password="", tls=tls.context(), cut=cut)
    with Sink(script=script) as sink, session(sink, security="starttls") as line:
        assert [submit(line).kind for _ in range(3)] == [Kind.ACCEPTED] * 3

    assert [taken.raw for taken in sink.taken] == [MESSAGE] * 3


def test_what_tls_has_decrypted_already_is_received_at_once(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tls.CERTIFICATE))
    script = Script(["STARTTLS"], tls=tls.context(), mail=lambda sender: LONG)
    with Sink(script=script) as sink, session(sink, security="starttls") as line:
        begun = line.dialogue(sender="b@y.test", recipient="a@x.test", message=MESSAGE)
        assert isinstance(begun, Dialogue)
        line.socket.sendall(begun.outgoing)
        received = line.receive()

        assert len(received) == len(LONG) + 2
        assert line.socket.pending() == 0


# --- replies in all sizes -----------------------------------------------------------------------


@pytest.mark.parametrize("extensions", GROUPS)
@pytest.mark.parametrize("glue", [False, True])
@pytest.mark.parametrize("cut", [lambda reply: [reply], byte_by_byte, amid_the_line_end])
def test_replies_meet_their_recipients_however_they_are_cut(extensions, glue, cut):
    def rcpt(recipient: str) -> str:
        return "550 5.1.1 nobody" if recipient.startswith("bad") else "250 ok"

    # Without pipelining the client waits for what a server would hold back.
    glue = glue and extensions == ["PIPELINING"]
    script = Script(extensions, rcpt=rcpt, glue=glue, cut=cut)
    recipients = ["a@x.test", "bad1@x.test", "b@x.test", "bad2@x.test", "bad3@x.test", "c@x.test"]
    with Sink(script=script) as sink, session(sink) as line:
        kinds = [submit(line, recipient).kind for recipient in recipients]

    assert [taken.recipient for taken in sink.taken] == ["a@x.test", "b@x.test", "c@x.test"]
    good, bad = Kind.ACCEPTED, Kind.REFUSED
    assert kinds == [good, bad, good, bad, bad, good]
    assert sink.connections == 1


@pytest.mark.parametrize("data_after_refusal", [False, True])
def test_354_after_a_refused_recipient_delivers_nothing_and_breaks_nothing(data_after_refusal):
    script = Script(
        rcpt=lambda recipient: "550 5.1.1 no" if recipient == "a@x.test" else "250 ok",
        data_after_refusal=data_after_refusal,
    )
    with Sink(script=script) as sink, session(sink) as line:
        assert submit(line).enhanced == "5.1.1"
        assert submit(line, "b@x.test").kind is Kind.ACCEPTED

    assert [taken.recipient for taken in sink.taken] == ["b@x.test"]


@pytest.mark.parametrize("extensions", GROUPS)
def test_a_reply_of_10_kb_is_one_reply(extensions):
    replies = {"a@x.test": LONG, "b@x.test": LONG.replace("550", "250")}
    with Sink(script=Script(extensions, rcpt=replies.__getitem__)) as sink, session(sink) as line:
        refused, accepted = submit(line), submit(line, "b@x.test")

    assert len(LONG) > 10_000
    assert (refused.code, refused.enhanced) == (550, "5.1.1")
    assert 280 < len(refused.text) <= 300  # cut at a blank
    assert accepted.kind is Kind.ACCEPTED


def test_nul_bytes_in_a_reply_are_not_kept():
    script = Script(rcpt=lambda recipient: "550 5.1.1 no\0body \x07here")
    with Sink(script=script) as sink, session(sink) as line:
        result = submit(line)

    assert (result.code, result.text) == (550, "5.1.1 no body here")


# --- servers out of step ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "kind", "delivered"),
    [
        (Script(dot=lambda recipient: "250 2.0.0 ok\r\n250 once more"), Kind.ACCEPTED, 1),
        (Script(data="354 go on\r\n250 2.0.0 taken"), Kind.NOT_SENT, 0),
        (Script(mail=lambda sender: "250 ok\r\n250 ok"), Kind.NOT_SENT, 0),
        (Script(mail=lambda sender: "354 go on"), Kind.NOT_SENT, 0),
        (Script(data="250 ok"), Kind.NOT_SENT, 0),
        (Script(dot=lambda recipient: "354 go on", keep_unanswered=False), Kind.IN_DOUBT, 0),
        (Script(dot=lambda recipient: "taken", keep_unanswered=False), Kind.IN_DOUBT, 0),
        (Script(rcpt=lambda recipient: "\x00250 ok"), Kind.NOT_SENT, 0),
        (Script(rcpt=lambda recipient: "150 ok"), Kind.NOT_SENT, 0),
    ],
    ids=[
        "one-too-many",
        "yes-before-the-body",
        "two-for-mail",
        "354-for-mail",
        "250-for-data",
        "354-for-the-dot",
        "no-code",
        "nul-before-the-code",
        "code-of-1yz",
    ],
)
def test_a_server_out_of_step_is_left_and_never_given_a_group_again(
    script, kind, delivered, caplog
):
    with Sink(script=script) as sink, session(sink) as line:
        with caplog.at_level(logging.WARNING):
            assert submit(line).kind is kind
        assert not line.is_open
        assert len(sink.taken) == delivered
        assert "one command at a time until restart" in caplog.text

        sink.script = Script()
        sink.commands.clear()
        line.open()
        assert submit(line, "b@x.test").kind is Kind.ACCEPTED
        assert not pace.takes_groups(line.server)
        assert sink.taken[-1].recipient == "b@x.test"


def test_the_server_is_known_by_its_address_and_no_other_suffers():
    with Sink(script=Script(data="250 ok")) as liar, Sink() as honest:
        with session(liar) as line:
            submit(line)
        assert not pace.takes_groups(session(liar, user="another").server)
        assert pace.takes_groups(session(honest).server)


def test_a_server_that_drops_the_rest_of_a_group_gets_one_command_at_a_time(monkeypatch):
    monkeypatch.setattr(dialogue, "ENVELOPE_TIMEOUT", 0.2)
    with Sink(script=Script(drops_groups=True)) as sink, session(sink) as line:
        assert submit(line).kind is Kind.NOT_SENT
        line.open()
        assert submit(line).kind is Kind.ACCEPTED

    assert len(sink.taken) == 1


def test_421_after_the_last_reply_is_no_mismatch():
    script = Script(dot=lambda recipient: "250 2.0.0 ok\r\n421 4.4.2 closing")
    with Sink(script=script) as sink, session(sink) as line:
        assert submit(line).kind is Kind.ACCEPTED
        assert not line.is_open
        assert pace.takes_groups(line.server)


def test_a_refusal_during_a_long_body_ends_the_line_and_delivers_nothing():
    script = Script(data="354 go on\r\n552 5.3.4 too big")
    with Sink(script=script) as sink, session(sink) as line:
        assert submit(line, message=MESSAGE * 1000).kind in {Kind.REFUSED, Kind.NOT_SENT}
        assert not line.is_open
        assert sink.taken == []


def test_a_message_may_bring_its_final_dot():
    with Sink() as sink, session(sink) as line:
        assert submit(line, message=MESSAGE + smtp.END).kind is Kind.ACCEPTED
        assert submit(line, message=MESSAGE).kind is Kind.ACCEPTED

    assert [taken.raw for taken in sink.taken] == [MESSAGE, MESSAGE]


def test_an_unescaped_message_that_ends_like_one_keeps_its_last_line():
    with Sink() as sink, session(sink) as line:
        line.submit(sender="b@y.test", recipient="a@x.test", message=MESSAGE + smtp.END)

    assert sink.taken[0].raw == MESSAGE + smtp.END
