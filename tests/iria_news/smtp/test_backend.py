"""Backends as the second transport, against a real SMTP server and a real HTTP interface."""

import threading

import pytest
from django.core import mail as django_mail

from iria_news.backend import BackendSession, open_session
from iria_news.environment import SubmissionServer
from iria_news.smtp import Kind, ServerUnavailable, Session
from tests.iria_news.smtp.messages import (
    HTML,
    RECIPIENT,
    SENDER,
    TEXT,
    newsletter_message,
    uri,
)
from tests.iria_news.smtp.provider import CUT, TAKEN, Provider
from tests.sink import Script, Sink

POSTMARK = "anymail.backends.postmark.EmailBackend"
DJANGO = "django.core.mail.backends"


def server(path: str) -> SubmissionServer:
    return SubmissionServer("localhost", 0, backend=path)


def submit(session: BackendSession, message: bytes | None = None, **more):
    values = {"sender": SENDER, "recipient": RECIPIENT, "key": "k1", "escaped": True}
    return session.submit(message=message or newsletter_message(), **{**values, **more})


@pytest.fixture
def provider(settings):
    with Provider() as started:
        settings.ANYMAIL = started.anymail()
        yield started


@pytest.fixture
def line(provider):
    with BackendSession(server(POSTMARK)) as opened:
        yield opened


@pytest.fixture
def sink_by_django(settings):
    with Sink() as started:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", started.port
        yield started


def test_the_url_decides_which_session_is_used():
    assert isinstance(open_session(server(POSTMARK)), BackendSession)
    assert isinstance(open_session(SubmissionServer("localhost", 25)), Session)


# --- what is handed over ----------------------------------------------------------------------


def test_a_provider_gets_the_message_with_all_its_fields(provider, line):
    assert submit(line).kind is Kind.ACCEPTED

    (asked,) = provider.asked
    assert asked["From"] == "IRIA News <news@ir-ia.example>"
    assert asked["To"] == '"Mara Ünal, of the press" <mara@example.org>'
    assert asked["Subject"].startswith("Die Straße von Malakka: wer sie offen hält Die")
    assert (asked["TextBody"], asked["HtmlBody"]) == (TEXT, HTML)
    fields = {each["Name"]: each["Value"] for each in asked["Headers"]}
    assert fields == {
        "Date": "Sun, 22 Nov 2026 07:00:00 +0000",
        "Message-ID": "<k@ir-ia.example>",
        "List-Unsubscribe": f"<{uri(57)}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "List-Id": "=?utf-8?q?IRIA_Weekly_f=C3=BCr_alle?= <iria-weekly.ir-ia.example>",
        "Feedback-ID": "iria-weekly:2026-11-22:digest:irianews",
    }


def test_the_key_is_metadata_and_a_return_path_that_a_provider_lacks_is_left_out(provider, line):
    submit(line)
    submit(line)

    assert [asked["Metadata"] for asked in provider.asked] == [{"key": "k1"}] * 2
    assert provider.connections == 1  # asked once for what it lacks, and without the network


def test_a_provider_that_takes_a_return_path_gets_ours():
    with BackendSession(server("anymail.backends.test.EmailBackend")) as session:
        submit(session)

    assert django_mail.outbox[0].anymail_test_params["envelope_sender"] == SENDER


@pytest.mark.parametrize("length", [40, 57, 120, 300])
def test_one_click_stays_intact_over_djangos_smtp_backend(sink_by_django, length):
    message = newsletter_message(uri(length))
    with BackendSession(server(f"{DJANGO}.smtp.EmailBackend")) as session:
        assert submit(session, message).kind is Kind.ACCEPTED

    (taken,) = sink_by_django.taken
    assert taken.raw == message
    assert (taken.sender, taken.recipient) == (SENDER, RECIPIENT)
    assert f"List-Unsubscribe: <{uri(length)}>\r\n".encode() in taken.raw


@pytest.mark.parametrize("length", [57, 300])
def test_one_click_stays_intact_in_files_and_on_the_console(settings, tmp_path, capsys, length):
    settings.EMAIL_FILE_PATH = str(tmp_path)
    for path in (f"{DJANGO}.filebased.EmailBackend", f"{DJANGO}.console.EmailBackend"):
        with BackendSession(server(path)) as session:
            assert submit(session, newsletter_message(uri(length))).kind is Kind.ACCEPTED

    (file,) = tmp_path.iterdir()
    expected = newsletter_message(uri(length)).replace(b"\r\n", b"\n")
    assert expected in file.read_bytes()
    assert expected.decode() in capsys.readouterr().out


@pytest.mark.parametrize("length", [57, 300])
def test_one_click_stays_intact_where_a_provider_takes_raw_mime_and_adds_fields(length):
    """As anymail does for Amazon SES, which asks the email for its MIME."""
    from iria_news.backend.wrapping import as_email

    message = newsletter_message(uri(length))
    mime = as_email(message, recipient=RECIPIENT, escaped=True).message()
    mime["X-Metadata"] = '{"key": "k1"}'
    head, _, body = message.partition(b"\r\n\r\n")

    assert mime.as_bytes(linesep="\r\n") == head + b'\r\nX-Metadata: {"key": "k1"}\r\n\r\n' + body


def test_a_message_that_brings_its_final_dot_loses_it(sink_by_django):
    with BackendSession(server(f"{DJANGO}.smtp.EmailBackend")) as session:
        submit(session, newsletter_message() + b".\r\n")

    assert sink_by_django.taken[0].raw == newsletter_message()


# --- what answers mean ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind", "stage", "code"),
    [
        ((401, {"Message": "no such token"}), Kind.NOT_SENT, "auth", 535),
        ((403, {"Message": "not you"}), Kind.NOT_SENT, "auth", 535),
        ((404, {}), Kind.NOT_SENT, "connect", 0),
        ((413, {"Message": "too big"}), Kind.REFUSED, "dot", 554),
        ((429, {"Message": "slow down"}), Kind.DEFERRED, "mail", 450),
        ((400, {"Message": "The sender is not verified"}), Kind.REFUSED, "mail", 550),
        ((500, {"Message": "oops"}), Kind.IN_DOUBT, "dot", 0),
        ((503, {}), Kind.IN_DOUBT, "dot", 0),
        ((200, "not json"), Kind.IN_DOUBT, "dot", 0),
        (CUT, Kind.IN_DOUBT, "dot", 0),
        (
            (422, {"ErrorCode": 406, "Message": "Found inactive addresses: mara@example.org. "
                   "Inactive recipients are ones that have generated a hard bounce"}),
            Kind.REFUSED, "rcpt", 550,
        ),
        (
            (422, {"ErrorCode": 300, "Message": "Invalid 'From' address: 'x'."}),
            Kind.REFUSED, "mail", 550,
        ),
    ],
)  # fmt: skip
def test_only_an_answer_of_4xx_says_that_a_message_was_not_taken(
    provider, line, answer, kind, stage, code
):
    provider.answer = lambda asked: answer
    result = submit(line)

    assert (result.kind, result.stage, result.code) == (kind, stage, code)
    assert len(provider.asked) == 1  # nobody tries again behind our back
    assert line.is_open is (kind not in {Kind.NOT_SENT, Kind.IN_DOUBT})


def test_the_providers_words_are_kept(provider, line):
    provider.answer = lambda asked: (429, {"Message": "slow down, please"})

    assert submit(line).text.startswith("HTTP 429 Too Many Requests")
    assert "slow down, please" in submit(line).text


def test_a_provider_that_does_not_answer_leaves_the_message_in_doubt(provider, settings):
    released = threading.Event()
    provider.answer = lambda asked: (released.wait(20) and TAKEN) or CUT
    settings.ANYMAIL = provider.anymail(REQUESTS_TIMEOUT=0.2)
    with BackendSession(server(POSTMARK)) as session:
        result = submit(session)
        released.set()

    assert (result.kind, len(provider.asked)) == (Kind.IN_DOUBT, 1)


def test_a_provider_that_cannot_be_reached_got_nothing(settings):
    with Provider() as gone:
        settings.ANYMAIL = gone.anymail()
    with BackendSession(server(POSTMARK)) as session:
        result = submit(session)

    assert (result.kind, result.stage) == (Kind.NOT_SENT, "connect")


def test_a_name_that_nobody_knows_got_nothing(settings):
    settings.ANYMAIL = {
        "POSTMARK_SERVER_TOKEN": "t",
        "POSTMARK_API_URL": "http://nowhere.invalid/",
    }
    with BackendSession(server(POSTMARK)) as session:
        assert submit(session).kind is Kind.NOT_SENT


@pytest.mark.parametrize("path", ["no.such.module.EmailBackend", POSTMARK, "iria_news.keys.secret"])
def test_a_backend_that_cannot_be_made_is_a_server_that_is_away(settings, path):
    settings.ANYMAIL = {}
    with pytest.raises(ServerUnavailable) as caught:
        BackendSession(server(path)).open()

    assert caught.value.stage == "connect"


# --- Django's SMTP backend --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "kind", "stage", "enhanced"),
    [
        (Script(mail=lambda sender: "550 5.7.1 not you"), Kind.REFUSED, "mail", "5.7.1"),
        (Script(rcpt=lambda recipient: "550 5.1.1 nobody"), Kind.REFUSED, "rcpt", "5.1.1"),
        (Script(dot=lambda recipient: "452 4.3.1 full"), Kind.DEFERRED, "dot", "4.3.1"),
        (Script(dot=lambda recipient: None), Kind.IN_DOUBT, "dot", ""),
    ],
)
def test_replies_of_an_smtp_server_keep_their_meaning(
    sink_by_django, script, kind, stage, enhanced
):
    sink_by_django.script = script
    with BackendSession(server(f"{DJANGO}.smtp.EmailBackend")) as session:
        result = submit(session)

    assert (result.kind, result.stage, result.enhanced) == (kind, stage, enhanced)


def test_a_line_that_was_closed_between_two_messages_sent_nothing(sink_by_django):
    sink_by_django.script = Script(close_after=1)
    with BackendSession(server(f"{DJANGO}.smtp.EmailBackend")) as session:
        assert submit(session).kind is Kind.ACCEPTED
        second = submit(session)

    assert (second.kind, second.messages_before) == (Kind.NOT_SENT, 1)
    assert len(sink_by_django.taken) == 1


def test_a_server_that_refuses_our_password_is_away(sink_by_django, settings):
    sink_by_django.script = Script(password="right")
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "u", "wrong"
    with pytest.raises(ServerUnavailable) as caught:
        BackendSession(server(f"{DJANGO}.smtp.EmailBackend")).open()

    assert (caught.value.stage, caught.value.code) == ("auth", 535)


# --- what cannot be handed over ---------------------------------------------------------------


@pytest.mark.parametrize("recipient", ["a@x.test>\r\nRCPT TO:<b@x.test", "no-at-sign", ""])
def test_an_address_that_could_carry_a_command_goes_nowhere(provider, line, recipient):
    assert submit(line, recipient=recipient).stage == "address"
    assert submit(line).kind is Kind.ACCEPTED
    assert len(provider.asked) == 1


def test_bytes_that_are_no_message_of_ours_fail_alone(provider, line):
    assert submit(line, b"Subject: x\r\n\r\nno parts\r\n").stage == "address"
    assert submit(line).kind is Kind.ACCEPTED


@pytest.mark.parametrize(("sent", "kind"), [(0, Kind.NOT_SENT), (None, Kind.IN_DOUBT)])
def test_a_backend_that_counts_nothing_is_not_believed(line, sent, kind):
    line._backend.send_messages = lambda emails: sent

    assert submit(line).kind is kind
