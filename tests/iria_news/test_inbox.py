"""The local inbox: what it shows, and that nothing in a message can hurt."""

import html
import re
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from iria_news.embedded.catcher import Keeper
from iria_news.inbox import keeping

pytestmark = pytest.mark.django_db

NEWSLETTER = b"""From: IRIA Daily <news@ir-ia.example>\r
To: Mara <mara@example.org>\r
Subject: =?utf-8?q?Caf=C3=A9_diplomacy?=\r
List-Id: IRIA Daily <daily.ir-ia.example>\r
List-Unsubscribe: <https://news.ir-ia.example/u/abc>, <mailto:u@ir-ia.example>\r
List-Unsubscribe-Post: List-Unsubscribe=One-Click\r
MIME-Version: 1.0\r
Content-Type: multipart/alternative; boundary="b"\r
\r
--b\r
Content-Type: text/plain; charset=utf-8\r
\r
Plain words\r
--b\r
Content-Type: text/html; charset=utf-8\r
\r
<!DOCTYPE html><html><head><title>x</title></head><body><p class="a">Rich words</p></body></html>\r
--b--\r
"""


@pytest.fixture
def keeper(settings, tmp_path: Path) -> Keeper:
    settings.INBOX_DIR = tmp_path / "inbox"
    return Keeper(settings.INBOX_DIR)


def keep(keeper: Keeper, content: bytes = NEWSLETTER, to: str = "mara@example.org") -> str:
    return keeper.keep(content, "bounce+1@ir-ia.example", [to])


def page(client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def test_an_empty_inbox_says_what_will_arrive_and_when(client, keeper):
    shown = page(client, "/inbox/")

    assert "Confirmations arrive within seconds of a sign-up" in shown
    assert 'http-equiv="refresh" content="10"' in shown


def test_the_newest_message_comes_first(client, keeper):
    keep(keeper, b"Subject: older\r\n\r\n")
    keep(keeper)

    shown = page(client, "/inbox/")

    assert shown.index("Café diplomacy") < shown.index("older")
    assert "To mara@example.org" in shown


def test_a_page_with_mail_reloads_only_when_asked_to(client, keeper):
    keep(keeper)

    assert "http-equiv" not in page(client, "/inbox/")
    assert 'http-equiv="refresh" content="10"' in page(client, "/inbox/?refresh=on")


def test_there_are_fifty_on_a_page(client, keeper):
    for number in range(51):
        keep(keeper, f"Subject: number {number:02}\r\n\r\n".encode())

    assert "number 00" not in page(client, "/inbox/")
    assert "number 00" in page(client, "/inbox/?page=2")
    assert page(client, "/inbox/?page=nonsense")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=MARA", True),
        ("q=caf%C3%A9", True),
        ("q=nobody", False),
        ("kind=newsletters", True),
        ("kind=service", False),
        ("kind=newsletters&q=mara", True),
        ("kind=nonsense", True),
    ],
)
def test_words_and_kind_narrow_the_list(query, found, client, keeper):
    keep(keeper)

    shown = page(client, f"/inbox/?{query}")

    assert ("Café diplomacy" in shown) is found
    assert ("No message matches" in shown) is not found


def test_a_search_says_that_it_reads_the_newest_only(client, keeper, monkeypatch):
    monkeypatch.setattr(keeping, "SEARCH_LIMIT", 2)
    keep(keeper)
    keep(keeper, b"Subject: middle\r\n\r\n", "a@example.org")
    keep(keeper, b"Subject: newest\r\n\r\n", "b@example.org")

    shown = page(client, "/inbox/?q=mara")

    assert "No message matches among the newest 2 of 3" in shown


def test_a_list_of_thousands_opens_only_what_it_shows(client, settings, keeper):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(3_000):
        stamp = start + timedelta(seconds=number)
        name = f"{stamp:%Y%m%d-%H%M%S-%f}-{secrets.token_hex(4)}.eml"
        (settings.INBOX_DIR / name).touch(mode=0o000)
    for _ in range(50):
        keep(keeper)

    assert page(client, "/inbox/").count("Café diplomacy") == 50


def test_the_html_stands_in_a_frame_where_nothing_runs(client, keeper):
    shown = page(client, f"/inbox/{keep(keeper)}/")

    frame = re.search(r"<iframe[^>]*>", shown)
    assert frame is not None
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in frame[0]
    inside = html.unescape(re.search(r'srcdoc="([^"]*)"', frame[0])[1])
    assert inside.startswith("<!DOCTYPE html><html><head><meta http-equiv")
    assert "default-src 'none'" in inside
    assert '<base target="_blank">' in inside
    assert "Rich words" in inside


def test_only_the_page_of_a_message_allows_inline_styles(client, keeper):
    one = client.get(f"/inbox/{keep(keeper)}/").headers["Content-Security-Policy"]
    all_of_them = client.get("/inbox/").headers["Content-Security-Policy"]

    assert "style-src 'self' 'unsafe-inline'" in one
    assert "script-src 'none'" in one
    assert "unsafe" not in all_of_them


def test_a_message_cannot_break_out_of_its_frame(client, keeper):
    content = (
        b'Subject: "><script>1</script>\r\nContent-Type: text/html\r\n\r\n'
        b'"></iframe><script>alert(1)</script>'
    )
    identifier = keep(keeper, content, '"><mark>@example.org')

    for view in ("html", "phone", "text", "headers", "source"):
        shown = page(client, f"/inbox/{identifier}/?view={view}")
        assert "<script" not in shown
        assert "<mark>" not in shown
    assert "<script" not in page(client, "/inbox/")


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ("text", "Plain words"),
        ("headers", "&lt;daily.ir-ia.example&gt;"),
        ("source", "=?utf-8?q?Caf=C3=A9_diplomacy?="),
        ("nonsense", "Rich words"),
    ],
)
def test_the_other_views_are_links_away(view, words, client, keeper):
    assert words in page(client, f"/inbox/{keep(keeper)}/?view={view}")


def test_the_button_unsubscribes_as_a_mailbox_would(client, keeper):
    shown = page(client, f"/inbox/{keep(keeper)}/")

    assert '<form method="post" action="https://news.ir-ia.example/u/abc">' in shown
    assert '<input type="hidden" name="List-Unsubscribe" value="One-Click">' in shown
    assert "Unsubscribe, as a mailbox would" in shown


@pytest.mark.parametrize(
    ("header", "value"),
    [
        (b"https://news.ir-ia.example/u/", b"https://elsewhere.example/u/"),
        (b"https://news.ir-ia.example/u/", b"https://news.ir-ia.example.evil.example/u/"),
        (b"List-Unsubscribe=One-Click", b"yes"),
    ],
)
def test_there_is_no_button_for_what_a_mailbox_would_not_post_to_us(header, value, client, keeper):
    shown = page(client, f"/inbox/{keep(keeper, NEWSLETTER.replace(header, value))}/")

    assert "Unsubscribe, as a mailbox would" not in shown


def test_the_download_is_byte_for_byte(client, keeper):
    answer = client.get(f"/inbox/{keep(keeper)}/message.eml")

    assert b"".join(answer.streaming_content) == NEWSLETTER
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment")


MALFORMED = {
    "empty": b"",
    "no header end": b"Subject: x",
    "binary": bytes(range(256)) * 40,
    "boundary missing": b"Content-Type: multipart/mixed\r\n\r\nwords",
    "never closed": b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nwords',
    "unknown charset": b"Content-Type: text/html; charset=klingon\r\n\r\n\xff\xfe words",
    "wrong charset": b"Content-Type: text/plain; charset=utf-8\r\n\r\n\xff\xfe words",
    "charset that is no text": b"Content-Type: text/plain; charset=hex\r\n\r\n\xff words",
    "bad base64": b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n=A=!\xff",
    "bad encoded-words": b"Subject: =?utf-8?b?A?= =?x?q?=FF?= =?utf-8?z?x?=\r\nFrom: \xff\r\n\r\n",
    "encoded-word of surrogates": b"Subject: =?utf-8?b?7aCA?= =?utf-7?q?+2AA-?=\r\n\r\n",
    "nested deeply": b"".join(
        b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(400)
    ),
    "bad file name": b"Content-Disposition: attachment; filename*=x'y'%FF\r\n\r\n",
    "long": b"Content-Type: text/html\r\n\r\n" + b"<p>words</p>\r\n" * 200_000,
    "many headers": b"X-A: b\r\n" * 20_000 + b"\r\n",
    "header without end": b"Subject: " + b"x" * 500_000,
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED.keys())
def test_no_message_is_too_malformed_to_be_shown(content, client, keeper):
    identifier = keep(keeper, content)

    assert identifier in page(client, "/inbox/?q=example.org")
    for view in ("", "html", "text", "headers", "source"):
        page(client, f"/inbox/{identifier}/?view={view}")


def test_what_is_wrong_with_a_message_is_said(client, keeper):
    shown = page(client, f"/inbox/{keep(keeper, MALFORMED['unknown charset'])}/")

    assert "The text/html part is not in its charset, &quot;klingon&quot;." in shown


def test_a_message_without_its_envelope_is_shown_all_the_same(client, settings, keeper):
    identifier = keep(keeper)
    (settings.INBOX_DIR / f"{identifier}.json").write_text("[")

    assert "(envelope not kept)" in page(client, f"/inbox/{identifier}/")


@pytest.mark.parametrize(
    "identifier",
    ["20260101-000000-000000-abcdef01", "20261399-000000-000000-abcdef01", "x", "..", "%2e%2e%2fx"],
)
def test_what_is_no_message_is_404(identifier, client, keeper):
    assert client.get(f"/inbox/{identifier}/").status_code == 404
    assert client.get(f"/inbox/{identifier}/message.eml").status_code == 404


def test_there_is_no_inbox_where_mail_leaves_for_real(client, settings, keeper):
    identifier = keep(keeper)
    settings.USES_MAIL_CATCHER = False

    for address in ("/inbox/", f"/inbox/{identifier}/", f"/inbox/{identifier}/message.eml"):
        assert client.get(address).status_code == 404


def test_reading_is_all_that_can_be_done(client, keeper):
    identifier = keep(keeper)

    assert client.post("/inbox/").status_code == 405
    assert client.post(f"/inbox/{identifier}/").status_code == 405
