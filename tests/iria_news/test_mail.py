"""One message: text in columns, headers, parts, inlining, service mails."""

import email
import email.policy
import quopri
import re
from email.header import decode_header, make_header
from email.utils import getaddresses

import css_inline
import lxml.html
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iria_news import keys, mail
from iria_news.mail import columns, filters, headers, parts
from tests import message_rules
from tests.factories import utc

AT = utc("2026-11-23 07:00")
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=200)
CONFIRMATION = mail.Body(
    "Please confirm",
    "Confirm by 25 November 2026.\n\nhttps://news.ir-ia.example/confirm/abc/\n",
    '<!DOCTYPE html>\n<html lang="en" dir="ltr"><body>'
    '<p>Confirm by 25 November 2026: <a href="https://news.ir-ia.example/confirm/abc/">yes</a></p>'
    "</body></html>\n",
)


def service_mail(body: mail.Body = CONFIRMATION, **changed: object) -> bytes:
    values = {"recipient": "reader@example.org", "key": keys.message_key(2, 0, 7), "at": AT}
    return mail.service_message(body=body, **{**values, **changed})


def read_field(field: str) -> str:
    """What a reader sees of a field, by Python's own parser."""
    value = re.sub(r"\r\n(?=[ \t])", "", field).partition(":")[2].strip()
    return str(make_header(decode_header(value)))


# --- columns --------------------------------------------------------------------------------------
def test_lines_have_at_most_72_columns_and_words_stay_whole():
    text = columns.wrap("Nearly all data between continents runs along the seabed. " * 5)

    assert max(map(columns.width, text.split("\n"))) <= 72
    assert (
        text.split() == ("Nearly all data between continents runs along the seabed. " * 5).split()
    )


def test_a_japanese_character_takes_two_columns_and_a_stop_never_begins_a_line():
    text = columns.wrap("測量は科学であり、同時に備えでもある。" * 9)

    lines = text.split("\n")
    assert max(map(columns.width, lines)) <= 72
    assert all(columns.width(line) >= 66 for line in lines[:-1])
    assert not any(line[0] in "、。" for line in lines)


def test_a_url_longer_than_a_line_is_not_broken():
    url = "https://news.ir-ia.example/preferences/" + "a" * 80 + "/"

    assert columns.wrap(f"Change it here: {url} or never") == f"Change it here:\n{url}\nor never"


def test_a_no_break_space_holds_its_words_together():
    text = columns.wrap("x" * 70 + " 4\N{NO-BREAK SPACE}min")

    assert text == "x" * 70 + "\n4\N{NO-BREAK SPACE}min"


def test_an_opening_bracket_never_ends_a_line():
    assert not re.search("（\n", columns.wrap("報告（概要）" * 30))


@given(TEXT)
def test_wrapping_changes_nothing_but_blanks(text):
    assert "".join(columns.wrap(text).split()) == "".join(text.split())


# --- headers --------------------------------------------------------------------------------------
@given(TEXT)
def test_a_subject_is_read_back_whatever_is_in_it(text):
    text = re.sub("[ \t]+", " ", f"x {text}").strip(" ")
    field = headers.unstructured("Subject", text)

    assert read_field(field) == text
    assert field.isascii()
    assert all(len(line) <= (76 if "=?" in line else 78) for line in field.split("\r\n"))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Mara Lind",
        "Lind, Mara",
        'Mara "Mo" Lind \\ Sons',
        "J. R. Tolkien",
        "a=b",
        "=?utf-8?q?trick?=",
        "山" * 64,
        "é" * 64,
        "Mara <mara@example.org>",
        "x" * 64,
        '"' * 64,
        "Zoë (Paris); list: a@b.example, c",
    ],
)
def test_a_display_name_is_read_back_beside_one_address(name):
    field = headers.mailbox("To", name, "reader@example.org")
    unfolded = field.removeprefix("To: ").replace("\r\n", "")
    [(phrase, address)] = getaddresses([unfolded])
    modern = email.message_from_string(field + "\r\n", policy=email.policy.SMTP)["To"].addresses

    assert address == "reader@example.org"
    assert str(make_header(decode_header(phrase))) == name
    assert [one.addr_spec for one in modern] == ["reader@example.org"]
    assert all(len(line) <= (76 if "=?" in line else 78) for line in field.split("\r\n"))


@pytest.mark.parametrize("length", [40, 57, 120, 300])
def test_a_uri_of_any_length_comes_out_unchanged_on_one_line(length):
    uri = "https://news.ir-ia.example/u/".ljust(length, "a")

    assert headers.raw("List-Unsubscribe", f"<{uri}>") == f"List-Unsubscribe: <{uri}>\r\n"


@pytest.mark.parametrize("sign", ["\r", "\n", "\r\nBcc: x@example.org", "\0", "\u2028", "\u2029"])
def test_what_could_begin_another_header_is_refused_everywhere(sign):
    for build in (
        lambda value: headers.unstructured("Subject", value),
        lambda value: headers.mailbox("To", value, "reader@example.org"),
        lambda value: headers.mailbox("To", "", f"reader@example.org{value}"),
        lambda value: headers.list_id("List-Id", value, "daily.ir-ia.example"),
        lambda value: headers.list_id("List-Id", "Daily", value),
        lambda value: headers.raw("Feedback-ID", value),
    ):
        with pytest.raises(headers.BadHeader):
            build(f"a{sign}b")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "reader",
        "a@b@c",
        "a b@example.org",
        "<a@example.org>",
        "mü@example.org",
        "a@exämple.org",
    ],
)
def test_only_what_every_server_takes_is_an_address(address):
    with pytest.raises(headers.BadHeader):
        headers.mailbox("To", "", address)


def test_the_date_has_a_numeric_zone():
    assert headers.date(AT) == "Mon, 23 Nov 2026 07:00:00 +0000"


# --- parts ----------------------------------------------------------------------------------------
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=400))
def test_quoted_printable_is_read_back_and_safe_on_the_way(text):
    encoded = parts.quoted_printable(text)

    normalised = re.sub("\r\n?", "\n", text)
    assert quopri.decodestring(encoded.replace(b"\r\n", b"\n")).decode() == normalised
    for line in encoded.split(b"\r\n"):
        assert len(line) <= 76
        assert not line.startswith((b".", b"From "))
        assert not line.endswith((b" ", b"\t"))
        assert message_rules.QP_LINE.fullmatch(line)


@pytest.mark.parametrize("text", [".\n.", "." * 200, "a\r\n.\r\nb", "x" * 75 + ".", "From " * 40])
def test_no_line_begins_with_a_dot_or_with_from(text):
    lines = parts.quoted_printable(text).split(b"\r\n")

    assert not any(line.startswith((b".", b"From ")) for line in lines)
    assert max(map(len, lines)) <= 76


def test_the_boundary_depends_on_the_content_alone_and_is_in_no_part():
    encoded = parts.quoted_printable("=_" + "a" * 40)

    assert parts.boundary(encoded) == parts.boundary(encoded) != parts.boundary(b"other")
    assert parts.boundary(encoded).encode() not in encoded


# --- bodies ---------------------------------------------------------------------------------------
def test_inlining_gives_what_css_inline_gives():
    source = (
        "<!DOCTYPE html>\n<html><head><style>"
        "p { color: #1b1b1b; margin: 0 } .small { font-size: 13px; color: #5a5a5a }"
        "b.mark { color: #7a1f2b }"
        '</style></head><body><p>a</p><p class="small">b <b class="mark">c</b></p></body></html>'
    )

    ours, theirs = mail.inline(source), css_inline.inline(source)

    for path in ("//p[1]", "//p[2]", "//b"):
        assert declarations(ours, path) == declarations(theirs, path)


def declarations(html: str, path: str) -> dict[str, str]:
    style = lxml.html.document_fromstring(html).xpath(path)[0].get("style")
    pairs = (declaration.split(":") for declaration in style.rstrip(";").split(";"))
    return {name.strip(): value.strip() for name, value in pairs}


def test_inlining_keeps_what_phones_and_outlook_need():
    source = (
        "<!DOCTYPE html>\n<html><head><style>img { width: 100% } td { vertical-align: top }</style>"
        '<style data-premailer="ignore">@media (max-width: 639px)'
        " { p { color: #000 !important } }</style>"
        "</head><body><!--[if mso]><table><tr><td><![endif]-->"
        '<table><tr><td><img src="https://a.example/b.png" width="600" alt=""></td></tr></table>'
        "</body></html>"
    )

    html = mail.inline(source)

    assert html.startswith("<!DOCTYPE html>")
    assert 'width="600"' in html
    assert "!important" in html
    assert "<!--[if mso]>" in html
    assert "valign" not in html


def test_another_doctype_is_an_error_as_premailer_would_drop_it():
    with pytest.raises(ValueError, match="DOCTYPE"):
        mail.inline("<!doctype html><html></html>")


def test_each_inlining_is_counted():
    before = mail.inlinings

    mail.inline("<!DOCTYPE html>\n<html><body><p>a</p></body></html>")

    assert mail.inlinings == before + 1


def test_the_dark_colours_of_all_clients_come_from_one_list():
    style = filters.dark("body, .page { background-color: #111 }\n.a, .b { color: #eee }")

    media, outlook = re.findall("<style data-premailer=.ignore.>(.*?)</style>", style, re.DOTALL)
    assert "@media (prefers-color-scheme: dark) {" in media
    assert "body, .page { background-color: #111 !important; }" in media
    assert ".a, .b { color: #eee !important; }" in media
    assert "[data-ogsb] .page { background-color: #111 !important; }" in outlook
    assert "[data-ogsc] .a, [data-ogsc] .b { color: #eee !important; }" in outlook
    assert "body" not in outlook


# --- service mails --------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["", "Mara Lind", "山田 太郎", 'a "b" \\ c', "é" * 64])
def test_a_service_mail_keeps_every_rule(name):
    raw = service_mail(recipient_name=name)

    assert (
        message_rules.broken_rules(
            raw,
            newsletter=False,
            recipient="reader@example.org",
            sender=mail.return_path(keys.message_key(2, 0, 7)),
            now=AT,
        )
        == []
    )


def test_the_same_service_mail_is_built_of_the_same_bytes():
    assert service_mail() == service_mail()


def test_a_service_mail_looks_as_agreed(snapshot):
    head = service_mail(recipient_name="Mara Lind").partition(b"\r\n\r\n")[0].decode()

    snapshot("service.eml-headers", head.replace("\r\n", "\n") + "\n")


def test_what_was_written_arrives(snapshot):
    text = "Dots:\n.\n..\nFrom here\nblanks \t \nエ = é\n" + "y" * 2000 + "\n"
    raw = service_mail(mail.Body("Tést", text, CONFIRMATION.html))

    parsed = email.message_from_bytes(raw, policy=email.policy.SMTP)
    assert parsed["Subject"] == "Tést"
    assert parsed.get_body(["plain"]).get_content().replace("\r\n", "\n") == text
    assert parsed.get_body(["html"]).get_content().replace("\r\n", "\n") == CONFIRMATION.html


def test_the_return_path_is_short_and_survives_lower_case():
    path = mail.return_path(keys.message_key(1, 2**31, 2**39))

    assert path == path.lower()
    assert len(path.partition("@")[0]) <= 64
    assert path.endswith("@ir-ia.example")
