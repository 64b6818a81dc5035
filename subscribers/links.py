"""The links we mail: one purpose each, signed, readable by nobody. Knows numbers, not rows.

A link never gives its holder a younger link to something greater: an unsubscribe link, which
lives forever and is forwarded with every mail, must not become a fresh preferences link.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from iria_news import keys

CONFIRM_WITHIN = timedelta(days=3)
# Every mail has a new one, so half a year also serves those who dig out an old mail. Older, and
# the page offers to mail a fresh one.
PREFERENCES_FOR = timedelta(days=180)
UNDO_WITHIN = timedelta(days=1)
# Clocks of two machines differ a little. A time further ahead was not written by us.
SKEW = timedelta(minutes=5)


class BadLink(Exception):
    """Not ours, for another purpose, cut off or too old. A reader is told all of it in one."""


def unsubscribe_url(subscription_id: int) -> str:
    """RFC 8058. Never runs out. 57 characters on a host of 20: a header line need not fold."""
    return f"{settings.SITE_URL}/u/{keys.short_token('unsubscribe', subscription_id)}"


def read_unsubscribe(token: str) -> int:
    """Return the number of a subscription, which may be gone by now. Raises BadLink."""
    try:
        return keys.read_short_token("unsubscribe", token)
    except keys.BadKey as error:
        raise BadLink from error


def preferences_url(subscriber_id: int, at: datetime) -> str:
    token = keys.dated_token("preferences", subscriber_id, at)
    return f"{settings.SITE_URL}/preferences/{token}/"


def read_preferences(token: str, *, within: timedelta = PREFERENCES_FOR) -> int:
    """Return the number of a subscriber. Raises BadLink, also if older than `within`."""
    return _read_dated("preferences", token, within)


def confirm_url(service_mail_id: int, at: datetime) -> str:
    """`at` is when the reader asked, so that a second try of the same mail has the same link."""
    return f"{settings.SITE_URL}/confirm/{keys.dated_token('confirm', service_mail_id, at)}/"


def read_confirm(token: str) -> int:
    """Return the number of a confirmation mail; its row knows of its use. Raises BadLink."""
    return _read_dated("confirm", token, CONFIRM_WITHIN)


def undo_url(subscription_id: int, at: datetime) -> str:
    """To come back to a newsletter that was left at `at`."""
    return f"{settings.SITE_URL}/undo/{keys.dated_token('undo', subscription_id, at)}/"


def read_undo(token: str) -> int:
    """Return the number of a subscription. Raises BadLink, also a day after it ended."""
    return _read_dated("undo", token, UNDO_WITHIN)


def _read_dated(purpose: str, token: str, within: timedelta) -> int:
    try:
        read = keys.read_dated_token(purpose, token)
    except keys.BadKey as error:
        raise BadLink from error
    if read.issued_at is None or not -SKEW <= timezone.now() - read.issued_at < within:
        raise BadLink
    return read.number
