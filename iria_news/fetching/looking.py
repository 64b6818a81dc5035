"""Whether anything is at an address: the head of the answer, and nothing of what is behind it."""

from urllib.parse import urljoin

from iria_news.fetching import guard
from iria_news.fetching.deadlines import Deadline
from iria_news.fetching.getting import REDIRECT_LIMIT, REDIRECTS
from iria_news.fetching.guard import FetchFailed


def look(url: str, *, within: float, connect: guard.Connect = guard.connect) -> int:
    """Return the status that an https address answers with, after at most 3 redirects.

    `within` is in seconds, for all of them. Asks with GET, as many servers know no HEAD, and hangs
    up before the body. Raises FetchFailed when there is no answer.
    """
    deadline = Deadline(within)
    for _ in range(1 + REDIRECT_LIMIT):
        parts = guard.check(url)
        asked = guard.exchange("GET", parts, deadline, connect, headers={"Accept": "*/*"})
        with asked as response:
            location = response.headers.get("Location", "")
            if response.status not in REDIRECTS or not location:
                return response.status
        url = urljoin(url, location)
    raise FetchFailed(url, f"is redirected more than {REDIRECT_LIMIT} times.")
