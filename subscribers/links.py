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
NEW_ADDRESS_WITHIN = timedelta(days=3)
FRESH = timedelta(hours=1)  # a preferences link that may hand out or erase everything (W4)
# Clocks of two machines differ a little. A time further ahead was not written by us.
SKEW = timedelta(minutes=5)
UNSUBSCRIBE_MAILBOX = "unsubscribe"
# The number in the links of a test mail: no row has it. They are signed as any other, so that their
# pages open; there is nothing that they could change.
NOBODY = 0


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


def unsubscribe_address(subscription_id: int) -> str:
    """Where a mail ends the same subscription, by its token alone (RFC 2369). Never runs out."""
    token = keys.short_token("unsubscribe", subscription_id)
    return f"{UNSUBSCRIBE_MAILBOX}+{token}@{settings.BOUNCE_DOMAIN}"


def preferences_url(subscriber_id: int, at: datetime) -> str:
    token = keys.dated_token("preferences", subscriber_id, at)
    return f"{settings.SITE_URL}/preferences/{token}/"


def read_preferences(token: str, *, within: timedelta = PREFERENCES_FOR) -> int:
    """Return the number of a subscriber. Raises BadLink, also if older than `within`."""
    return _read_dated("preferences", token, within)


def preferences_issued_at(token: str) -> datetime:
    """When a preferences link was made, in whole seconds. Raises BadLink, whatever its age."""
    return _issued_at("preferences", token)


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


def undo_issued_at(token: str) -> datetime:
    """When the newsletter was left that this link brings back, in whole seconds. Raises BadLink."""
    return _issued_at("undo", token)


def less_url(subscription_id: int, at: datetime, what: str) -> str:
    """One of the offers (`what`) on the page after a newsletter was left at `at`."""
    return f"{settings.SITE_URL}/less/{keys.dated_token('less', subscription_id, at)}/{what}/"


def read_less(token: str) -> int:
    """Return the number of a subscription. Raises BadLink, also a day after it ended."""
    return _read_dated("less", token, UNDO_WITHIN)


def less_issued_at(token: str) -> datetime:
    """When the newsletter was left that this offer follows, in whole seconds. Raises BadLink."""
    return _issued_at("less", token)


def new_address_url(service_mail_id: int, at: datetime) -> str:
    """For the mail to a new address. `at` is when the change was asked for."""
    return f"{settings.SITE_URL}/address/{keys.dated_token('address', service_mail_id, at)}/"


def read_new_address(token: str) -> int:
    """Return the number of the mail to a new address; its row knows of its use. Raises BadLink."""
    return _read_dated("address", token, NEW_ADDRESS_WITHIN)


def edition_url(edition_id: int) -> str:
    """The page of an edition of a private newsletter, for whoever has the mail. Never runs out."""
    return f"{settings.SITE_URL}/editions/private/{keys.short_token('edition', edition_id)}/"


def read_edition(token: str) -> int:
    """Return the number of an edition, which may be gone by now. Raises BadLink."""
    try:
        return keys.read_short_token("edition", token)
    except keys.BadKey as error:
        raise BadLink from error


def _issued_at(purpose: str, token: str) -> datetime:
    try:
        issued_at = keys.read_dated_token(purpose, token).issued_at
    except keys.BadKey as error:
        raise BadLink from error
    if issued_at is None:
        raise BadLink
    return issued_at


def _read_dated(purpose: str, token: str, within: timedelta) -> int:
    try:
        read = keys.read_dated_token(purpose, token)
    except keys.BadKey as error:
        raise BadLink from error
    if read.issued_at is None or not -SKEW <= timezone.now() - read.issued_at < within:
        raise BadLink
    return read.number
