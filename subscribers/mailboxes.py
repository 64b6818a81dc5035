"""How many mails one mailbox may get that anybody can cause, by whatever form and spelling (W6).

Rows about people are forgotten early; these counts are not, and name nobody.
"""

from datetime import datetime, timedelta

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from iria_news import keys
from subscribers import limits
from subscribers.models import Mailbox

PERIOD = timedelta(days=1)  # in which three may come: the row keeps the times of three
UNANSWERED = 5  # mails that ask for a press of a button, until one is pressed
KEPT_FOR = timedelta(days=365)  # after the last mail


def has_room(address_key: str, *, asks: bool) -> bool:
    """Whether one more mail may go there; one that `asks` wants a button to be pressed."""
    here = Mailbox.objects.filter(mark=_mark(address_key))
    return not here.exists() or _with_room(here, asks=asks).exists()


def take(address_key: str, *, asks: bool) -> bool:
    """Count one mail; False, and nothing is counted, if the mailbox had enough.

    Two at once are counted one after the other: the condition names columns of this row only, and
    is checked again by whoever had to wait for it.
    """
    here, created = Mailbox.objects.get_or_create(
        mark=_mark(address_key), defaults={"unanswered": int(asks)}
    )
    if created:
        return True
    free = _with_room(Mailbox.objects.filter(pk=here.pk), asks=asks)
    return bool(
        free.update(
            unanswered=F("unanswered") + int(asks),
            third_last_at=F("second_last_at"),
            second_last_at=F("last_at"),
            last_at=Now(),
        )
    )


def answered(address_key: str) -> None:
    """Somebody pressed the button in a mail of ours: they read them, and want them."""
    Mailbox.objects.filter(mark=_mark(address_key)).update(unanswered=0)


def forget(now: datetime) -> int:
    """Delete the counts of mailboxes that had no such mail for a year; return how many."""
    return Mailbox.objects.filter(last_at__lt=now - KEPT_FOR).delete()[0]


def _with_room(mailboxes: QuerySet[Mailbox], *, asks: bool) -> QuerySet[Mailbox]:
    few = Q(third_last_at__isnull=True) | Q(third_last_at__lt=Now() - PERIOD)
    return mailboxes.filter(few, Q(unanswered__lt=UNANSWERED) if asks else Q())


def _mark(address_key: str) -> str:
    return keys.keyed_hash("mailbox", limits.mailbox(address_key))
