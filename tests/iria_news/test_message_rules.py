"""The checker itself: each kind of damage is named by the id of its rule."""

import pytest

from iria_news import keys, mail
from iria_news.mail import parts
from tests import message_rules
from tests.factories import utc
from tests.iria_news.test_mail import AT, service_mail

GOOD = service_mail()
KEY = keys.message_key(2, 0, 7)


def rules(raw: bytes, **known: object) -> set[str]:
    broken = message_rules.broken_rules(raw, newsletter=False, **known)
    return {sentence.partition(":")[0] for sentence in broken}


@pytest.mark.parametrize(
    ("rule", "old", "new"),
    [
        ("M1", b"MIME-Version: 1.0\r\n", b""),
        ("M1", b"Subject: Please", b"Subject: Second\r\nSubject: Please"),
        ("M1", b"To: reader@example.org", b"To: reader@example.org, other@example.org"),
        ("M1", b"MIME-Version", b"Bcc: other@example.org\r\nMIME-Version"),
        ("M1", b"+0000", b"GMT"),
        ("M2", b"Message-ID: <ai", b"Message-ID: <aj"),
        ("M2", b"@ir-ia.example>\r\nMIME", b"@elsewhere.example>\r\nMIME"),
        ("M3", b"Auto-Submitted: auto-generated\r\n", b"Auto-Submitted: auto-generated\n"),
        ("M3", b"Confirm by", b"Confirm\0by"),
        ("M3", b"Confirm by", b".Confirm by"),
        ("M3", b"Subject: Please confirm", b"Subject: " + b"Please confirm " * 9),
        ("M3", b"Subject: Please confirm", b"Subject: Please\r\n  \r\n confirm"),
        ("M4", b"Subject: Please", b"Subject: Pl\xc3\xa9ase"),
        ("M4", b"Subject: Please", b"Subject: =?utf-8?b?w6k=?= =?utf-8?b?ww==?= =?utf-8?b?qQ==?="),
        ("M4", b"auto-generated", b"=?utf-8?q?auto-generated?="),
        ("M4", b"From: IRIA News", b'From: "=?utf-8?q?IRIA?= News"'),
        ("M4", b"Subject: Please", b"Subject: =?utf-8?q?" + b"a" * 70 + b"?="),
        ("M6", b"multipart/alternative", b"multipart/mixed"),
        ("M6", b"text/plain", b"text/enriched"),
        ("M6", b"Confirm by", b"Confirm " + b"a" * 80 + b" by"),
        ("M6", b"Confirm by", b"Confirm =by"),
        ("M6", b"November 2026.", b"November 2026. "),
        ("M6", b"Confirm by", b"From now by"),
        ("M7", b"Confirm by", b"Confirm {{ button_url }} by"),
        ("M7", b"Confirm by", b"Confirm {% if x %} by"),
        ("M7", b"Please confirm", b"https://0123456789abcdef0123.invalid/why/"),
        ("M8", b"/confirm/abc/\r\n", b"/confirm/other/\r\n"),
        ("M9", b"<!DOCTYPE", b"<!doctype"),
        ("M9", b'lang=3D"en"', b""),
        ("M9", b"<p>", b"<p onclick=3D1><script></script>"),
        ("M9", b"<p>", b"<form></form><p>"),
        ("M9", b"</body>", b"x" * 60 + (b"=\r\n" + b"x" * 70) * 1500 + b"</body>"),
        ("M11", b"Auto-Submitted", b"Reply-To: a@ir-ia.example\r\n" * 2 + b"Auto-Submitted"),
        ("M13", b"OOF, AutoReply", b"All"),
        ("M13", b"Auto-Submitted: auto-generated\r\n", b""),
        ("M16", b"<p>", b"<img src=3D'https://news.ir-ia.example/a.png' alt=3D''><p>"),
        ("M16", b"Auto-Submitted", b"List-Id: <a.ir-ia.example>\r\nAuto-Submitted"),
        ("M16", b"25 November", b"soon"),
        ("M20", b"<p>", b"<img src=3D'https://pixel.example/a' width=3D1 height=3D1>="),
        ("M20", b"<p>", b"<a href=3D'https://click.example/?u=3D1'>a</a>"),
    ],
)
def test_damage_is_named(rule, old, new):
    assert old in GOOD

    assert rule in rules(GOOD.replace(old, new))


def test_an_undamaged_message_breaks_nothing():
    assert message_rules.broken_rules(GOOD, newsletter=False) == []


def test_the_envelope_must_fit_the_message():
    path = mail.return_path(KEY)

    assert rules(GOOD, recipient="reader@example.org", sender=path, now=AT) == set()
    assert rules(GOOD, recipient="other@example.org") == {"M1"}
    assert rules(GOOD, now=utc("2026-11-24 07:01")) == {"M1"}
    assert rules(GOOD, sender="bounce@ir-ia.example") == {"M17"}
    assert rules(GOOD, sender=mail.return_path(keys.message_key(2, 0, 8))) == {"M17"}
    assert rules(GOOD, sender=path.replace("ir-ia", "elsewhere")) == {"M17"}


def test_a_service_mail_does_not_pass_as_a_newsletter():
    broken = message_rules.broken_rules(GOOD, newsletter=True)

    named = {sentence.partition(":")[0] for sentence in broken}
    assert named == {"M10", "M12", "M13", "M14", "M15"}


def test_an_unreadable_message_gets_sentences_and_no_traceback():
    for raw in (b"", b"\r\n\r\n", b"\xff" * 50, parts.quoted_printable("nothing")):
        assert message_rules.broken_rules(raw, newsletter=True)
