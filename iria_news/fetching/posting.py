"""Handing something over to an address, once."""

from collections.abc import Mapping

from iria_news.fetching import guard
from iria_news.fetching.deadlines import Deadline


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    within: float,
    connect: guard.Connect = guard.connect,
) -> int:
    """Send one POST to an https address and return the status of the answer, whatever it is.

    `within` is in seconds, for everything from the name to the last header. A redirect is an
    answer like any other and is not followed; of the body nothing is looked at. Raises FetchFailed
    when there is no answer; it may have arrived nevertheless.
    """
    parts = guard.check(url)
    deadline = Deadline(within)
    with guard.exchange("POST", parts, deadline, connect, headers=headers, body=body) as response:
        return response.status
