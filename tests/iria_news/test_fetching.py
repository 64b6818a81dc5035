"""W16: where a fetch may go, and when it ends. The server is real, on loopback and without TLS."""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from iria_news import fetching

LIMIT = 1_000_000


class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        hops = self.path.strip("/")
        if self.path == "/large":
            self.answer(200, b"x" * (LIMIT + 1))
        elif self.path == "/missing":
            self.answer(404, b"")
        elif self.path.startswith("/away?to="):
            self.answer(302, b"", Location=self.path.partition("=")[2])
        elif hops.isdigit():
            left = int(hops)
            self.answer(302, b"", Location=f"/{left - 1}" if left else "/feed")
        else:
            self.answer(200, b"<rss/>")

    def answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def connect():
    """To `https://feeds.example`, which leads to our server; other names as always."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def connect(host, port, deadline):
            if host == "feeds.example":
                return http.client.HTTPConnection(*server.server_address, timeout=5)
            return fetching.connect(host, port, deadline)

        yield connect
        server.shutdown()


@pytest.fixture
def fetch(connect):
    return lambda url: fetching.fetch(url, limit_bytes=LIMIT, connect=connect)


@pytest.fixture
def look(connect):
    return lambda url: fetching.look(url, within=5, connect=connect)


def test_what_is_there_is_fetched_also_after_three_redirects(fetch):
    assert fetch("https://feeds.example/feed") == b"<rss/>"
    assert fetch("https://feeds.example/2") == b"<rss/>"
    assert fetch("https://feeds.example/Kärnten?a=ö") == b"<rss/>"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("https://feeds.example/missing", "answers 404 Not Found"),
        ("https://feeds.example/large", "is larger than 1 MB"),
        ("https://feeds.example/3", "is redirected more than 3 times"),
        ("https://feeds.example/away?to=http://feeds.example/feed", "does not start with https"),
        ("https://feeds.example/away?to=file:///etc/passwd", "does not start with https"),
        ("https://feeds.example/away?to=https://127.0.0.1/", "127.0.0.1 is a private address"),
        ("https://localhost/feed", "localhost is a private address"),
        ("https://[::1]/feed", "::1 is a private address"),
        ("https://user:secret@feeds.example/", "user name or password"),
        ("https://feeds.example:22/", "names port 22"),
        ("https://feeds.example:99999/", "is not an address"),
        ("https:///feed", "does not start with https"),
    ],
)
def test_where_it_may_not_go_nothing_is_fetched(fetch, url, sentence):
    with pytest.raises(fetching.FetchFailed, match=sentence) as failed:
        fetch(url)
    assert "secret" not in str(failed.value)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("100.64.0.1", False),  # carrier-grade NAT
        ("127.0.0.1", False),
        ("169.254.169.254", False),  # where clouds keep credentials
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),  # mapped
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::a00:1", False),  # NAT64 of 10.0.0.1
        ("64:ff9b:1::1", False),
        ("2002:a00:1::1", False),  # 6to4 of 10.0.0.1
        ("fec0::1", False),  # site-local, as it was before RFC 3879
        ("::a00:1", False),  # 10.0.0.1 as it was before RFC 4291
        ("100::1", False),  # thrown away, RFC 6666
        ("192.0.0.8", False),  # for protocols, RFC 6890 and 7600
        ("192.0.0.192", False),  # RFC 8155 and clouds
        ("192.88.99.1", False),  # relays of 6to4, RFC 7526
        ("3fff::1", False),  # for documentation, RFC 9637
        ("192.0.1.1", True),
        ("4000::1", False),  # given to nobody yet
    ],
)
def test_only_addresses_of_the_open_internet_are_public(address, public):
    assert fetching.is_public(address) is public


def test_a_look_follows_redirects_and_says_what_the_address_answers(look):
    assert look("https://feeds.example/feed") == 200
    assert look("https://feeds.example/missing") == 404
    assert look("https://feeds.example/2") == 200
    assert look("https://feeds.example/large") == 200  # the body is nobody's concern
    with pytest.raises(fetching.FetchFailed, match="more than 3 times"):
        look("https://feeds.example/9")
    with pytest.raises(fetching.FetchFailed, match="private address"):
        look("https://feeds.example/away?to=https://localhost/")
