"""Watches over many results at once: what one mail says may be a fault of its provider, or ours.

Sentences are for the reason of a pause and name no reader; an empty one means that all is well.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Sum
from django.db.models.functions import Now

from mailer.models import LaneHour, Throttle
from mailer.throttle import clock, hours, reactions
from mailer.throttle.hours import WHOLE_SERVER
from subscribers.models import Suppression, SuppressionReason

GONE_AT_LEAST = 20  # and more than a tenth of the lane's results in an hour
GONE_SHARE = 0.1
COMPLAINTS_AT_LEAST = 3
COMPLAINTS_PAUSE = 0.003  # of what was sent in 24 hours: what Gmail and Yahoo tolerate at most
COMPLAINTS_WARN = 0.001
VOLUME_WARNS = 4_000  # a day to one domain; from 5,000 on a sender is bulk for large providers
BREAKER_TRIES = 11  # failed sessions: the waits between them come to more than 30 minutes
WINDOW = 500  # results of an edition
FAILED_AT_MOST = 50  # of them
EDITIONS = 8  # whose results are remembered


def allows_suppressions(server: str, domain: str) -> bool:
    """Whether "this mailbox is gone" may be believed of this lane now.

    Large providers have said so of good mailboxes during faults of theirs. From 20 in an hour on,
    if they are more than a tenth of the lane's results, the lane is suspended for an hour and
    False says to suppress nobody. Flush the gate first, so that the latest results count.
    """
    hour = hours.this_hour(server, domain)
    if hour.gone < GONE_AT_LEAST or hour.gone <= GONE_SHARE * hour.results:
        return True
    reactions.pause(
        server,
        domain,
        f"{hour.gone:,} of {hour.results:,} mailboxes of this hour are said to be gone: "
        "perhaps a fault of the provider. Nobody more is suppressed; those who were can be undone.",
    )
    return False


def breaker_open_too_long(server: str) -> str:
    """Why editions of this server should pause: half an hour without one session."""
    row = Throttle.objects.filter(
        server=server, domain=WHOLE_SERVER, failures__gte=BREAKER_TRIES
    ).first()
    if row is None:
        return ""
    return f"The submission server {server} has not been reached for half an hour. {row.reason}"


def complaint_rate_too_high(server: str) -> str:
    """Why editions of this server should pause: 3 complaints and 0.3 % of 24 hours' mail.

    A complaint does not say which server its mail went through, so the complaints of all are
    compared with what all have sent; a server that sent nothing has no part in it.
    """
    complaints, sent = _complaints(), _sent_in_a_day()
    if not sent.get(server) or complaints < COMPLAINTS_AT_LEAST:
        return ""
    total = sum(sent.values())
    if complaints < COMPLAINTS_PAUSE * total:
        return ""
    return (
        f"{complaints:,} of {total:,} mails of the last 24 hours were reported as spam "
        f"({_percent(complaints, total)}). "
        f"From {_percent(COMPLAINTS_PAUSE, 1)} on, providers refuse all."
    )


def complaint_warning() -> str:
    """What the console should say from 0.1 % complaints on."""
    complaints, total = _complaints(), sum(_sent_in_a_day().values())
    if not total or not complaints or complaints < COMPLAINTS_WARN * total:
        return ""
    return (
        f"{complaints:,} of {total:,} mails of the last 24 hours were reported as spam "
        f"({_percent(complaints, total)})."
    )


@dataclass(frozen=True)
class Volume:
    """What one domain was sent today, through all servers together."""

    domain: str
    sent: int

    def __str__(self) -> str:
        return f"{self.domain}: {self.sent:,} mails today; from 5,000 a day on a sender is bulk."


def volume_warnings() -> list[Volume]:
    """The domains that were sent 4,000 mails or more today (UTC), the largest first. One query
    besides that for the time."""
    today = LaneHour.objects.filter(hour__gte=clock.day_of(clock.now()))
    sums = today.exclude(domain=WHOLE_SERVER).values("domain").annotate(total=Sum("sent"))
    large = sums.filter(total__gte=VOLUME_WARNS).order_by("-total", "domain")
    return [Volume(domain, total) for domain, total in large.values_list("domain", "total")]


class FailureWindow:
    """The latest results of each edition that this process sends; rates, never lifetime counts."""

    def __init__(self) -> None:
        self._results: OrderedDict[int, deque[bool]] = OrderedDict()

    def note(self, edition_id: int, *, failed: bool) -> None:
        results = self._results.setdefault(edition_id, deque(maxlen=WINDOW))
        results.append(failed)
        self._results.move_to_end(edition_id)
        if len(self._results) > EDITIONS:
            self._results.popitem(last=False)

    def forget(self, edition_id: int) -> None:
        """Begin anew: a person has looked, and resumed it."""
        self._results.pop(edition_id, None)

    def too_many_failures(self, edition_id: int) -> str:
        """Why the edition should pause: more than 50 of its last 500 results were failures.

        It is said as soon as there are 51, and of 500 results at the most.
        """
        results = self._results.get(edition_id, ())
        failed = sum(results)
        if failed <= FAILED_AT_MOST:
            return ""
        return (
            f"{failed:,} of the last {len(results):,} mails failed. "
            "Look at the reasons on this page, then resume or cancel."
        )


def _complaints() -> int:
    return Suppression.objects.filter(
        reason=SuppressionReason.COMPLAINT, created_at__gt=Now() - timedelta(hours=24)
    ).count()


def _sent_in_a_day() -> dict[str, int]:
    """Messages of the last 24 hours by server."""
    rows = LaneHour.objects.filter(domain=WHOLE_SERVER, hour__gt=Now() - timedelta(hours=24))
    return dict(rows.values_list("server").annotate(total=Sum("sent")))


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.2f} %"
