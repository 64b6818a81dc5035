"""Where a request may go, and one exchange with whoever is there.

The name is resolved once, every answer is checked, and the connection goes to an address that was
checked, so that a second answer cannot lead inside.
"""

import contextlib
import functools
import http.client
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from string import punctuation
from urllib.parse import SplitResult, quote, urlsplit

from iria_news.fetching.deadlines import Deadline, Response

PORTS = {None, 443, 8443}
# What Python 3.11 takes for public, and is not. IPv4 addresses in disguise: NAT64 (RFC 6052, 8215)
# and 6to4 with its relays (RFC 3056, 7526). Protocol assignments (RFC 6890). Documentation (RFC
# 9637).
NOT_PUBLIC = [
    ipaddress.ip_network(one)
    for one in (
        *("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "192.88.99.0/24"),
        "192.0.0.0/24",
        "3fff::/20",
    )
]

Connect = Callable[[str, int, Deadline], http.client.HTTPConnection]


class FetchFailed(Exception):
    """No answer that is of use. The message is a sentence that begins with the address.

    `reason` is the sentence without it, in our own words: an address may hold a secret, and what a
    server says may hold anything.
    """

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place} {reason}")
        self.reason = reason


def check(url: str) -> SplitResult:
    """Take an address apart, if a request may go there as far as its spelling tells.

    Raises FetchFailed. Where its name leads to is looked at when it is called.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise FetchFailed(url, f"is not an address: {error}.") from error
    if parts.scheme != "https" or not parts.hostname:
        raise FetchFailed(url, "does not start with https://, and nothing else is called.")
    if parts.username or parts.password:
        raise FetchFailed("An address", "with a user name or password in it is not called.")
    if port not in PORTS:
        raise FetchFailed(url, f"names port {port}; only 443 and 8443 are called.")
    return parts


def is_public(address: str) -> bool:
    """Say whether an IP address is one of the open internet, however it is written."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        elif ip.is_reserved or ip.is_site_local:
            return False
    if any(ip in network for network in NOT_PUBLIC):  # of the other version: in none of them
        return False
    return ip.is_global and not ip.is_multicast


def connect(host: str, port: int, deadline: Deadline) -> http.client.HTTPConnection:
    """Open a TLS connection to a public address of this host. Raises FetchFailed, OSError."""
    addresses = _public_addresses(host, port)
    context = _tls()
    connection = http.client.HTTPSConnection(host, port, context=context)
    with contextlib.ExitStack() as cleanup:
        plain = cleanup.enter_context(_reach(addresses, port, deadline))
        plain.settimeout(deadline.left())
        connection.sock = context.wrap_socket(plain, server_hostname=host)
        cleanup.pop_all()
    return connection


@contextlib.contextmanager
def exchange(
    method: str,
    parts: SplitResult,
    deadline: Deadline,
    connect: Connect,
    *,
    headers: Mapping[str, str],
    body: bytes | None = None,
) -> Iterator[http.client.HTTPResponse]:
    """Send one request, and give the answer with its body still to be read. Raises FetchFailed."""
    target = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), punctuation)
    headers = {"User-Agent": "IRIA-News", "Connection": "close", **headers}
    try:
        with contextlib.closing(
            connect(parts.hostname or "", parts.port or 443, deadline)
        ) as connection:
            connection.response_class = functools.partial(Response, deadline=deadline)  # type: ignore[assignment]  # called, never subclassed
            connection.request(method, target, body=body, headers=headers)
            with connection.getresponse() as response:
                yield response
    except (OSError, http.client.HTTPException) as error:
        raise FetchFailed(parts.geturl(), _reason(error, deadline)) from error


def _reason(error: Exception, deadline: Deadline) -> str:
    """In our words: what an exception says may quote the server."""
    words = (words for kinds, words in REASONS if isinstance(error, kinds))
    return next(words).format(seconds=f"{deadline.seconds:g}")


# The first that fits.
REASONS: list[tuple[tuple[type[Exception], ...], str]] = [
    ((TimeoutError,), "takes longer than {seconds} seconds."),
    ((ssl.SSLCertVerificationError,), "shows no certificate that we trust."),
    ((ConnectionRefusedError,), "refuses the connection."),
    ((ConnectionError, ssl.SSLEOFError), "ends the connection without an answer."),
    ((ssl.SSLError,), "speaks no TLS that we understand."),
    ((http.client.HTTPException,), "answers something that is not HTTP."),
    ((OSError,), "cannot be reached."),
]


@functools.cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()  # reads all certificates of the machine, so once


def _public_addresses(host: str, port: int) -> list[str]:
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FetchFailed(host, "is a name that nobody knows.") from error
    addresses = [str(answer[4][0]) for answer in answers]
    if not all(map(is_public, addresses)):
        raise FetchFailed(host, "is a private address, and those are not called.")
    return addresses


def _reach(addresses: list[str], port: int, deadline: Deadline) -> socket.socket:
    """Connect to the first that answers: a host may have an IPv6 address, and we no IPv6."""
    *first, last = addresses
    for address in first:
        with contextlib.suppress(OSError):
            return socket.create_connection((address, port), deadline.left() / len(addresses))
    return socket.create_connection((last, port), deadline.left())
