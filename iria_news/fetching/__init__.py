"""The one guarded client for every address that somebody gave us (W16).

Only https to public addresses, to the end of a deadline; knows neither feeds nor webhooks.
"""

from iria_news.fetching.deadlines import Deadline
from iria_news.fetching.getting import fetch, in_words
from iria_news.fetching.guard import Connect, FetchFailed, check, connect, is_public
from iria_news.fetching.looking import look
from iria_news.fetching.posting import post

__all__ = [
    "Connect",
    "Deadline",
    "FetchFailed",
    "check",
    "connect",
    "fetch",
    "in_words",
    "is_public",
    "look",
    "post",
]
