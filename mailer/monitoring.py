"""What an operator may ask: is mail flowing, what waits, do the books balance. Reads only.

Counts come from batches (1 row for 200 recipients); only the ledger counts deliveries.
"""

from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, Min, QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from redis.exceptions import RedisError

from mailer import ledger as books
from mailer.models import Batch, BatchState, Edition, EditionState, Pulse
from mailer.throttle import guard
from subscribers import service_mails

TICK_LATE_SECONDS = 60  # a tick comes every few seconds; a minute without one needs a person


def ledger(edition: Edition) -> books.Ledger:
    """Both sums of an edition, counted from rows."""
    return books.read(edition.pk)


@dataclass(frozen=True)
class QueueStatus:
    """What waits and what moves, now."""

    editions: dict[str, int]  # by state, those with any
    waiting_for_hours: int  # of those sending: nothing to do until the next readers' hour
    ready_batches: int  # due now, of editions that are sending
    leased_batches: int
    stuck_batches: int
    oldest_ready_seconds: float | None
    service_mails_due: int
    tick_age_seconds: float | None  # None: no tick was ever seen
    warnings: list[str]  # sentences: volumes and complaints that providers will not take for long
    at: datetime = field(default_factory=timezone.now)


def queue_status() -> QueueStatus:
    """A constant number of queries, whatever the number of recipients."""
    states = Edition.objects.order_by("state").values_list("state").annotate(count=Count("pk"))
    ready = _ready()
    oldest = ready.aggregate(at=Min("not_before"))["at"]
    now = timezone.now()
    return QueueStatus(
        editions=dict(states),
        waiting_for_hours=Edition.objects.waiting_for_hours().count(),
        ready_batches=ready.count(),
        leased_batches=Batch.objects.filter(state=BatchState.LEASED).count(),
        stuck_batches=Batch.objects.filter(state=BatchState.STUCK).count(),
        oldest_ready_seconds=(now - oldest).total_seconds() if oldest else None,
        service_mails_due=service_mails.number_due(),
        tick_age_seconds=tick_age(),
        warnings=_warnings(),
        at=now,
    )


def _warnings() -> list[str]:
    complaints = guard.complaint_warning()
    return [*map(str, guard.volume_warnings()), *([complaints] if complaints else [])]


def ready_batches() -> dict[str, int]:
    """How many batches a worker could claim now, by the submission server they are for."""
    found = _ready().values_list("edition__newsletter__server").order_by()
    return dict(found.annotate(count=Count("pk")))


def _ready() -> QuerySet[Batch]:
    return Batch.objects.filter(
        state=BatchState.READY, not_before__lte=Now(), edition__state=EditionState.SENDING
    )


def tick_age() -> float | None:
    """Seconds since a tick last ran to its end; None if none ever did."""
    pulse = Pulse.objects.filter(name="tick").first()
    return max(0.0, (timezone.now() - pulse.at).total_seconds()) if pulse else None


def readiness() -> dict[str, str]:
    """Part by part, "ok" or a sentence that says what is wrong. All ok: mail can flow."""
    parts = {"database": _database(), "redis": _redis()}
    if parts["database"] == "ok":
        parts["migrations"] = _migrations()
        if parts["migrations"] == "ok":
            parts["tick"] = _tick()
    return parts


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return f"The database does not answer: {type(error).__name__}."
    return "ok"


def _redis() -> str:
    try:
        cache.get("readyz")
    except (RedisError, OSError) as error:
        return f"Redis does not answer: {type(error).__name__}. Check REDIS_URL."
    return "ok"


def _migrations() -> str:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return "The database is older than the code. Run manage.py migrate."
    return "ok"


def _tick() -> str:
    age = tick_age()
    if age is None:
        return "No tick has been seen yet. Are beat and a worker running?"
    if age > max(TICK_LATE_SECONDS, 4 * settings.TICK_SECONDS):
        return f"The last tick was {age:.0f} seconds ago. Are beat and a worker running?"
    return "ok"
