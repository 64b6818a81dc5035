"""One guarded request to an address somebody gave us (W16); knows nothing of feeds.

Only https to public addresses: the name is resolved once, every answer is checked, and the
connection goes to the address that was checked, so that a second answer cannot lead inside.
"""

import contextlib
import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable
from http import HTTPStatus
from string import punctuation
from urllib.parse import SplitResult, quote, urljoin, urlsplit

TIME_LIMIT = 20  # seconds for the whole body, and for each wait before it
REDIRECT_LIMIT = 3
CHUNK = 65_536  # bytes
REDIRECTS = {301, 302, 303, 307, 308}
# IPv4 addresses in disguise, which Python 3.11 takes for public: NAT64 (RFC 6052, 8215) and 6to4.
DISGUISES = [ipaddress.ip_network(one) for one in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16")]

Connect = Callable[[str, int], http.client.HTTPConnection]


class FetchFailed(Exception):
    """Nothing was fetched. The message is a sentence that begins with the address."""


def connect(host: str, port: int) -> http.client.HTTPConnection:
    """Open a TLS connection to a public address of this host. Raises FetchFailed."""
    address = _public_address(host, port)
    context = ssl.create_default_context()
    connection = http.client.HTTPSConnection(host, port, timeout=TIME_LIMIT, context=context)
    with contextlib.ExitStack() as cleanup:
        plain = cleanup.enter_context(socket.create_connection((address, port), TIME_LIMIT))
        connection.sock = context.wrap_socket(plain, server_hostname=host)
        cleanup.pop_all()
    return connection


def fetch(url: str, *, limit_bytes: int, connect: Connect = connect) -> bytes:
    """Return what is at an https address, after at most 3 redirects, each checked as the first.

    Raises FetchFailed when it is not reachable, not public, not there, too large or too slow.
    """
    deadline = time.monotonic() + TIME_LIMIT
    for _ in range(1 + REDIRECT_LIMIT):
        parts = _checked(url)
        try:
            body, location = _answer(parts, limit_bytes, deadline, connect)
        except (OSError, http.client.HTTPException) as error:
            raise FetchFailed(f"{url} cannot be reached: {error}.") from error
        if not location:
            return body
        url = urljoin(url, location)
    raise FetchFailed(f"{url} is redirected more than {REDIRECT_LIMIT} times.")


def is_public(address: str) -> bool:
    """Say whether an IP address is one of the open internet, however it is written."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        elif any(ip in network for network in DISGUISES):
            return False
    return ip.is_global and not ip.is_multicast


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise FetchFailed(f"{url} is not an address: {error}.") from error
    if parts.scheme != "https" or not parts.hostname:
        raise FetchFailed(f"{url} does not start with https://, and nothing else is fetched.")
    if parts.username or parts.password:
        raise FetchFailed("An address with a user name or password in it is not fetched.")
    if port not in {None, 443, 8443}:
        raise FetchFailed(f"{url} names port {port}; only 443 and 8443 are fetched from.")
    return parts


def _public_address(host: str, port: int) -> str:
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FetchFailed(f"{host} is not known: {error}.") from error
    addresses = [str(answer[4][0]) for answer in answers]
    if not all(map(is_public, addresses)):
        raise FetchFailed(f"{host} is a private address, and those are not fetched from.")
    return addresses[0]


def _answer(
    parts: SplitResult, limit_bytes: int, deadline: float, connect: Connect
) -> tuple[bytes, str]:
    """Return the body, or where it has moved to."""
    url = parts.geturl()
    target = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), punctuation)
    with contextlib.closing(connect(parts.hostname or "", parts.port or 443)) as connection:
        connection.request("GET", target, headers={"User-Agent": "IRIA-News", "Accept": "*/*"})
        with connection.getresponse() as response:
            location = response.headers.get("Location", "")
            if response.status in REDIRECTS and location:
                return b"", location
            if response.status != HTTPStatus.OK:
                raise FetchFailed(f"{url} answers {response.status} {response.reason}.")
            return _body(response, url, limit_bytes, deadline), ""


def _body(response: http.client.HTTPResponse, url: str, limit_bytes: int, deadline: float) -> bytes:
    body = bytearray()
    while chunk := response.read1(CHUNK):  # what is there; read() would wait for all of it
        body += chunk
        if len(body) > limit_bytes:
            raise FetchFailed(f"{url} is larger than {limit_bytes // 1_000_000} MB.")
        if time.monotonic() > deadline:
            raise FetchFailed(f"{url} takes longer than {TIME_LIMIT} seconds.")
    return bytes(body)
