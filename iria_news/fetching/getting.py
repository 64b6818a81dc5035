"""What is at an address, whole or not at all."""

import http.client
from http import HTTPStatus
from urllib.parse import SplitResult, urljoin

from iria_news.fetching import guard
from iria_news.fetching.deadlines import Deadline
from iria_news.fetching.guard import FetchFailed

TIME_LIMIT = 20  # seconds, for all redirects and the whole body
REDIRECT_LIMIT = 3
CHUNK = 65_536  # bytes
REDIRECTS = {301, 302, 303, 307, 308}


def fetch(url: str, *, limit_bytes: int, connect: guard.Connect = guard.connect) -> bytes:
    """Return what is at an https address, after at most 3 redirects, each checked as the first.

    Raises FetchFailed when it is not reachable, not public, not there, too large or too slow.
    """
    deadline = Deadline(TIME_LIMIT)
    for _ in range(1 + REDIRECT_LIMIT):
        body, location = _answer(guard.check(url), limit_bytes, deadline, connect)
        if not location:
            return body
        url = urljoin(url, location)
    raise FetchFailed(url, f"is redirected more than {REDIRECT_LIMIT} times.")


def _answer(
    parts: SplitResult, limit_bytes: int, deadline: Deadline, connect: guard.Connect
) -> tuple[bytes, str]:
    """Return the body, or where it has moved to."""
    with guard.exchange("GET", parts, deadline, connect, headers={"Accept": "*/*"}) as response:
        location = response.headers.get("Location", "")
        if response.status in REDIRECTS and location:
            return b"", location
        if response.status != HTTPStatus.OK:
            raise FetchFailed(parts.geturl(), f"answers {in_words(response.status)}.")
        return _body(response, parts.geturl(), limit_bytes), ""


def _body(response: http.client.HTTPResponse, url: str, limit_bytes: int) -> bytes:
    body = bytearray()
    while chunk := response.read1(CHUNK):  # what is there; read() would wait for all of it
        body += chunk
        if len(body) > limit_bytes:
            raise FetchFailed(url, f"is larger than {limit_bytes // 1_000_000} MB.")
    return bytes(body)


def in_words(status: int) -> str:
    """A status with the phrase of its RFC: the phrase in an answer is whatever the server likes."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
