"""The SMTP session against a real server that refuses, cuts and lies."""

import pytest

from iria_news.environment import SubmissionServer
from iria_news.smtp import Kind, ServerUnavailable, Session, escape_dots, xtext
from tests.sink import Script, Sink

MESSAGE = b"Subject: x\r\n\r\n.a dot first\r\nfar.\r\n..two\r\n"
PLAIN_AND_PIPELINED = [["PIPELINING"], ["8BITMIME"]]


def session(sink: Sink, **more: str) -> Session:
    return Session(SubmissionServer("127.0.0.1", sink.port, **more))


def submit(line: Session, recipient: str = "a@x.test", **more: str):
    return line.submit(sender="bounce@y.test", recipient=recipient, message=MESSAGE, **more)


@pytest.mark.parametrize("extensions", PLAIN_AND_PIPELINED)
def test_a_message_arrives_unchanged_and_the_line_is_used_again(extensions):
    with Sink(script=Script(extensions=extensions)) as sink, session(sink) as line:
        assert submit(line).kind is Kind.ACCEPTED
        assert submit(line, "b@x.test").kind is Kind.ACCEPTED

        assert [taken.raw for taken in sink.taken] == [MESSAGE, MESSAGE]
        assert [taken.recipient for taken in sink.taken] == ["a@x.test", "b@x.test"]
        assert sink.connections == 1


def test_a_unix_socket_is_a_server_like_any_other(tmp_path):
    with Sink(tmp_path / "s") as sink:
        with Session(SubmissionServer("localhost", 0, unix_socket=str(sink.path))) as line:
            assert submit(line).kind is Kind.ACCEPTED
        assert len(sink.taken) == 1


@pytest.mark.parametrize("extensions", PLAIN_AND_PIPELINED)
@pytest.mark.parametrize("data_after_refusal", [False, True])
@pytest.mark.parametrize(
    ("reply", "kind", "enhanced"),
    [
        ("550 5.1.1 nobody here", Kind.REFUSED, "5.1.1"),
        ("450 4.2.1 too quickly", Kind.DEFERRED, "4.2.1"),
        ("550 go away", Kind.REFUSED, ""),
    ],
)
def test_a_refused_recipient_leaves_the_line_good(
    extensions, data_after_refusal, reply, kind, enhanced
):
    def rcpt(recipient: str) -> str:
        return reply if recipient == "a@x.test" else "250 ok"

    script = Script(extensions=extensions, rcpt=rcpt, data_after_refusal=data_after_refusal)
    with Sink(script=script) as sink, session(sink) as line:
        refused = submit(line)
        assert (refused.kind, refused.stage, refused.enhanced) == (kind, "rcpt", enhanced)
        assert submit(line, "b@x.test").kind is Kind.ACCEPTED

        assert [taken.recipient for taken in sink.taken] == ["b@x.test"]
        assert sink.connections == 1


@pytest.mark.parametrize("extensions", PLAIN_AND_PIPELINED)
def test_a_refused_sender_is_told_apart_from_a_refused_recipient(extensions):
    script = Script(extensions=extensions, mail=lambda sender: "550 5.7.1 not you")
    with Sink(script=script) as sink, session(sink) as line:
        result = submit(line)

    assert (result.kind, result.stage, result.enhanced) == (Kind.REFUSED, "mail", "5.7.1")


def test_a_refusal_after_the_dot_is_final_for_the_message_only():
    script = Script(dot=lambda recipient: "552 5.3.4 too big")
    with Sink(script=script) as sink, session(sink) as line:
        result = submit(line)
        assert (result.kind, result.stage, result.code) == (Kind.REFUSED, "dot", 552)
        assert line.is_open


def test_no_reply_to_the_dot_leaves_the_message_in_doubt():
    with Sink(script=Script(dot=lambda recipient: None)) as sink, session(sink) as line:
        assert submit(line).kind is Kind.IN_DOUBT
        assert not line.is_open
        assert len(sink.taken) == 1  # the server had it: that is why nobody can know


def test_a_line_that_ends_between_messages_sent_nothing():
    with Sink(script=Script(close_after=1)) as sink, session(sink) as line:
        assert submit(line).kind is Kind.ACCEPTED
        assert submit(line).kind is Kind.NOT_SENT
        assert len(sink.taken) == 1


def test_421_closes_the_line_and_is_not_the_recipients_fault():
    script = Script(rcpt=lambda recipient: "421 4.7.0 enough")
    with Sink(script=script) as sink, session(sink) as line:
        result = submit(line)
        assert (result.kind, result.code) == (Kind.DEFERRED, 421)
        assert not line.is_open


def test_without_starttls_neither_mail_nor_password_leaves():
    with Sink(script=Script(password="secret")) as sink:
        line = session(sink, security="starttls", user="u", password="secret")
        with pytest.raises(ServerUnavailable) as caught:
            line.open()

        assert caught.value.stage == "tls"
        assert not [command for command in sink.commands if command.startswith(("AUTH", "MAIL"))]


def test_nobody_listening_is_a_sentence_and_not_a_crash(tmp_path):
    gone = SubmissionServer("localhost", 0, unix_socket=str(tmp_path / "nothing"))
    with pytest.raises(ServerUnavailable) as caught:
        Session(gone).open()

    assert caught.value.stage == "connect"


@pytest.mark.parametrize(
    "address",
    ["a@x.test>\r\nRCPT TO:<b@x.test", "a b@x.test", "no-at-sign", "a@x.test\n", "<a@x.test>", ""],
)
def test_an_address_cannot_carry_a_command(address):
    with Sink() as sink, session(sink) as line:
        assert submit(line, address).stage == "address"
        assert submit(line).kind is Kind.ACCEPTED
        assert sink.connections == 1


def test_an_international_address_needs_the_servers_consent():
    with Sink() as sink, session(sink) as line:
        assert submit(line, "üser@x.test").enhanced == "5.6.7"
    with Sink(script=Script(extensions=["SMTPUTF8", "PIPELINING"])) as sink:
        with session(sink) as line:
            assert submit(line, "üser@x.test").kind is Kind.ACCEPTED
        assert sink.taken[0].recipient == "üser@x.test"


def test_delivery_status_notices_are_asked_for_where_offered():
    with Sink(script=Script(extensions=["DSN", "PIPELINING"])) as sink, session(sink) as line:
        submit(line, "a+b@x.test", key="k=1")
        assert sink.taken[0].params == (
            "RET=HDRS ENVID=k+3D1 NOTIFY=FAILURE ORCPT=rfc822;a+2Bb@x.test"
        )


def test_xtext_and_dots_follow_their_rfcs():
    assert xtext("a+b=c d") == "a+2Bb+3Dc+20d"
    assert escape_dots(b".a\r\n.\r\nb.\r\n") == b"..a\r\n..\r\nb.\r\n"


def test_a_server_that_speaks_out_of_turn_is_not_believed():
    script = Script(dot=lambda recipient: "250 2.0.0 taken\r\n250 2.0.0 and once more")
    with Sink(script=script) as sink, session(sink) as line:
        assert submit(line).kind is Kind.ACCEPTED
        assert not line.is_open  # its replies would be taken for those to the next message
        assert len(sink.taken) == 1


def test_a_yes_to_a_message_that_has_not_left_is_not_believed():
    script = Script(data="354 go on\r\n250 2.0.0 taken")
    with Sink(script=script) as sink, session(sink) as line:
        assert submit(line).kind is Kind.NOT_SENT
        assert not line.is_open
        assert sink.taken == []


def test_a_refusal_in_the_middle_of_the_body_is_one_and_ends_the_line():
    script = Script(data="354 go on\r\n552 5.3.4 too big")
    with Sink(script=script) as sink, session(sink) as line:
        assert submit(line).enhanced == "5.3.4"
        assert not line.is_open
        assert sink.taken == []


def test_a_password_that_smtp_cannot_carry_is_a_sentence_and_not_a_crash():
    with Sink(script=Script(password="x")) as sink:
        line = session(sink, user="u", password="p\u00e4ss")
        with pytest.raises(ServerUnavailable) as caught:
            line.open()
        assert caught.value.stage == "auth"


@pytest.mark.parametrize("reply", ["what", "2x0 ok", "9" * 70_000])
def test_nonsense_for_a_reply_ends_the_line_and_leaves_the_message_in_doubt(reply):
    with Sink(script=Script(dot=lambda recipient: reply)) as sink, session(sink) as line:
        assert submit(line).kind is Kind.IN_DOUBT
        assert not line.is_open


def test_a_reply_of_many_lines_is_one_reply():
    script = Script(rcpt=lambda recipient: "550-5.1.1 nobody\r\n550-of that name\r\n550 here")
    with Sink(script=script) as sink, session(sink) as line:
        result = submit(line)
        assert (result.code, result.enhanced) == (550, "5.1.1")
        assert "of that name" in result.text
        assert submit(line, "b@x.test").kind is Kind.REFUSED
        assert sink.connections == 1
