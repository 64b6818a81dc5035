"""Whether the links to other sites that an edition's own texts name lead anywhere.

Asked by a person's press, never while an edition is on its way: other people's servers are slow.
"""

import logging
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

from django.conf import settings
from django.core.cache import cache
from redis.exceptions import RedisError

from iria_news import fetching
from iria_news.fetching import FetchFailed
from mailer.models import Edition

log = logging.getLogger(__name__)

MOST_LINKS = 20  # of one edition; more than that its texts do not hold
AT_ONCE = 5
SECONDS = 8  # for each; a browser's user would have gone by then
KEPT_SECONDS = 3_600
# Servers that want no programs answer so, and readers still get there.
ANSWERS_PEOPLE_ONLY = {401, 403, 405, 406, 429}
URL = re.compile(r"https?://[^\s<>\"']+")


def links_in(*texts: str) -> list[str]:
    """The addresses of other sites in these texts, each once, without what ends a sentence."""
    found = [url.rstrip(".,;:!?)") for text in texts for url in URL.findall(text)]
    ours = (settings.SITE_URL + "/", settings.SITE_URL + "?")
    others = [url for url in found if not f"{url}/".startswith(ours)]
    return list(dict.fromkeys(others))[:MOST_LINKS]


def of(edition: Edition) -> list[str]:
    blurbs = edition.items.exclude(blurb="").values_list("blurb", flat=True)
    return links_in(edition.introduction, edition.note, *blurbs)


def check(urls: Sequence[str]) -> dict[str, str]:
    """Call these addresses, several at once; what is wrong with each, "" if nothing is.

    Takes at most some ten seconds for each five of them. The answers are known for an hour.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = dict(zip(urls, pool.map(_wrong_with, urls), strict=True))
    try:
        cache.set_many({_key(url): said for url, said in answers.items()}, KEPT_SECONDS)
    except RedisError as error:
        log.warning("answers of links are not kept: %s", type(error).__name__)
    return answers


def known(urls: Sequence[str]) -> dict[str, str]:
    """The answers of the last hour; addresses that nobody has asked are missing."""
    try:
        kept = cache.get_many([_key(url) for url in urls])
    except RedisError as error:
        log.warning("answers of links are not known: %s", type(error).__name__)
        return {}
    return {url: kept[_key(url)] for url in urls if _key(url) in kept}


def _wrong_with(url: str) -> str:
    try:
        status = fetching.look(url, within=SECONDS)
    except FetchFailed as error:
        return error.reason
    is_there = status < 400 or status in ANSWERS_PEOPLE_ONLY
    return "" if is_there else f"answers {fetching.in_words(status)}."


def _key(url: str) -> str:
    return f"link:{sha256(url.encode()).hexdigest()}"
