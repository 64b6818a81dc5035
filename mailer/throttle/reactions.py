"""What a server's answers do to its lanes: slower, suspended, recovering. Called by workers.

Each change is one transaction on one row, by the database's clock, so that workers who see the
same trouble at once react to it once. The numbers are of the design; see docs/throttling.md.
"""

from datetime import timedelta

from django.db import transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Least, Now

from mailer.models import Throttle
from mailer.throttle import hours, limits
from mailer.throttle.hours import WHOLE_SERVER
from mailer.throttle.rows import in_words, is_suspended, locked, say

CUT_AT_MOST_EVERY = timedelta(seconds=30)  # one wave of refusals is one reason to slow down
SLOWEST = 1 / 64
CUTS_WINDOW = timedelta(minutes=10)
CUTS_TO_SUSPEND = 3
SUSPENSION_MINUTES = (15, 30, 60)  # the first in a row, the second, and every later one
QUIET = timedelta(minutes=5)
STEP_UP = 0.1
ROUNDING = 1e-9  # or ten tenths would not quite be one
PAUSE_MINUTES = 60  # of a lane whose provider refuses us
REFUSED_AT_LEAST = 3  # and more than a tenth; see decision 0005
DEFERRED_AT_LEAST = 20
SHARE = 0.1
FIRST_BREAK = 30  # seconds, doubling
LONGEST_BREAK = 900
TRIAL = timedelta(seconds=30)  # how long one worker has for it before another may try


def slow_down(server: str, domain: str, reason: str) -> bool:
    """A throttle reply: halve the lane's speed; the third time in ten minutes suspend it.

    False if it was slowed within 30 s or is suspended anyway: then this reply says nothing new,
    and no row is locked for it.
    """
    if _has_been_told(server, domain, within=CUT_AT_MOST_EVERY):
        return False
    with locked(server, domain) as (row, now):
        recent = row.last_cut_at and now - row.last_cut_at < CUT_AT_MOST_EVERY
        if recent or is_suspended(row, now):
            return False
        row.factor = max(SLOWEST, row.factor / 2)
        row.last_cut_at = now
        if row.cuts_since is None or now - row.cuts_since > CUTS_WINDOW:
            row.cuts, row.cuts_since = 0, now
        row.cuts += 1
        row.reason = in_words(reason)
        if row.cuts < CUTS_TO_SUSPEND:
            say(server, domain, "slowed down to %.3f of its rate: %s", row.factor, row.reason)
        else:
            minutes = SUSPENSION_MINUTES[min(row.suspensions, len(SUSPENSION_MINUTES) - 1)]
            row.resume_at = now + timedelta(minutes=minutes)
            row.suspensions += 1
            row.cuts, row.cuts_since = 0, None
            say(server, domain, "suspended for %s minutes: %s", minutes, row.reason)
        row.save()
        return True


def transient(server: str, domain: str, reason: str) -> bool:
    """A refusal for now, such as greylisting: slow down where such are frequent.

    That is, at least 20 and more than a tenth of the lane's results of this hour. At most once in
    five minutes, for the hour remembers; it never suspends. True if it slowed the lane.
    """
    hour = hours.this_hour(server, domain)
    if hour.deferred < DEFERRED_AT_LEAST or hour.deferred <= SHARE * hour.results:
        return False
    if _has_been_told(server, domain, within=QUIET):
        return False
    with locked(server, domain) as (row, now):
        recent = row.last_cut_at and now - row.last_cut_at < QUIET
        if recent or is_suspended(row, now):
            return False
        row.factor = max(SLOWEST, row.factor / 2)
        row.last_cut_at = now
        row.reason = in_words(reason)
        row.save()
        say(server, domain, "slowed down to %.3f of its rate: %s", row.factor, row.reason)
        return True


def refuses_us(server: str, domain: str, reason: str) -> bool:
    """A refusal because of us (blocked, auth, protocol): pause the lane if it is not a single one.

    That is, at least 3 and more than a tenth of the lane's results of this hour (decision 0005).
    The caller has counted this refusal, and flushed it if it shall count now. True if it paused.
    """
    hour = hours.this_hour(server, domain)
    if hour.refused < REFUSED_AT_LEAST or hour.refused <= SHARE * hour.results:
        return False
    share = f"{hour.refused:,} of {hour.results:,} mails of this hour refused because of us"
    return pause(server, domain, f"{share}: {reason}")


def pause(server: str, domain: str, reason: str) -> bool:
    """Suspend a lane for an hour; False if it is suspended already."""
    with locked(server, domain) as (row, now):
        if is_suspended(row, now):
            return False
        row.resume_at = now + timedelta(minutes=PAUSE_MINUTES)
        row.last_cut_at = now
        row.reason = in_words(reason)
        row.save()
        say(server, domain, "suspended for %s minutes: %s", PAUSE_MINUTES, row.reason)
        return True


def session_failed(server: str, reason: str, *, on_trial: bool = False) -> bool:
    """No session could be opened. The fifth in a row, over all workers, opens the breaker.

    For 30 s; for twice as long after each trial that fails, up to 15 minutes. `on_trial` says
    that this worker has won `begin_trial`. True if the breaker opened. While it is open, failures
    of workers who were on their way already do not count.
    """
    with locked(server, WHOLE_SERVER) as (row, now):
        if is_suspended(row, now) and not (on_trial and not row.is_held):
            return False
        row.failures = min(row.failures + 1, 1000)
        opens = row.failures >= limits.BREAKER
        if opens:
            seconds = min(FIRST_BREAK * 2 ** min(row.failures - limits.BREAKER, 10), LONGEST_BREAK)
            row.resume_at = now + timedelta(seconds=seconds)
            row.reason = in_words(f"{row.failures} sessions in a row failed: {reason}")
            say(server, WHOLE_SERVER, "left alone for %s s: %s", seconds, row.reason)
        row.save()
        return opens


def session_worked(server: str) -> bool:
    """A session was opened: close the breaker and forget the failures. One query, often no write.

    `Gate.session_worked` saves even the query where no failure is known. False if there was none.
    """
    failed = Throttle.objects.filter(server=server, domain=WHOLE_SERVER, failures__gt=0)
    broken = failed.filter(failures__gte=limits.BREAKER, is_held=False)
    with transaction.atomic():
        closed = broken.update(failures=0, resume_at=None, reason="")
        if closed:
            say(server, WHOLE_SERVER, "works again")
        return bool(closed + failed.update(failures=0))


def begin_trial(server: str) -> bool:
    """Ask to be the one worker that tries a server again whose breaker was open; False: another is.

    Whoever wins sends one message and reports it. If they die, another may after 30 s.
    """
    waiting = Throttle.objects.filter(
        Q(resume_at__isnull=True) | Q(resume_at__lte=Now()),
        server=server,
        domain=WHOLE_SERVER,
        is_held=False,
        failures__gte=limits.BREAKER,
    )
    return bool(waiting.update(resume_at=Now() + TRIAL))


def recover() -> int:
    """Let slowed lanes speed up, and forget what is over; return how many rows. For the tick.

    Five quiet minutes, not suspended, give back a tenth of the rate. A lane at its full rate has
    its cuts and suspensions forgotten; a row that says nothing any more goes. `last_cut_at` moves
    along with each step, so that the next takes another five minutes however often this is called.
    """
    with transaction.atomic():
        quiet = Throttle.objects.filter(
            Q(resume_at__isnull=True) | Q(resume_at__lte=Now() - QUIET),
            is_held=False,
            last_cut_at__lte=Now() - QUIET,
        )
        stepped = quiet.filter(factor__lt=1).update(
            factor=Least(F("factor") + STEP_UP + ROUNDING, Value(1.0)),
            last_cut_at=F("last_cut_at") + QUIET,
        )
        whole = quiet.filter(factor=1, failures__lt=limits.BREAKER)
        nothing_left = whole.exclude(domain=WHOLE_SERVER).filter(
            rate_limit=None, connection_limit=None, daily_limit=None
        )
        forgotten, _ = nothing_left.delete()
        forgotten += whole.update(
            cuts=0, cuts_since=None, suspensions=0, resume_at=None, reason="", last_cut_at=None
        )
    return stepped + forgotten


def _has_been_told(server: str, domain: str, *, within: timedelta) -> bool:
    """Whether the lane was cut so recently, or is suspended: one query and no lock."""
    lane = Throttle.objects.filter(server=server, domain=domain)
    recently = Q(last_cut_at__gt=Now() - within)
    return lane.filter(recently | Q(resume_at__gt=Now()) | Q(is_held=True)).exists()
