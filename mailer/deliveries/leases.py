"""Who may send a batch: claim it, see what waits in it, give it back.

Each write proves its lease and is compare-and-set. Times are the database's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.conf import settings

from mailer import dialect
from mailer.deliveries.outcomes import Outcome
from mailer.models import (
    OPEN,
    Batch,
    DeliveryEvent,
    DeliveryState,
    EventKind,
)

EARLY = 60  # seconds: rows whose time is that near go along, so that a batch comes back once
DELIVERY = {"edition_id": "bigint", "subscriber_id": "bigint"}  # columns of its key
COUNTED = [
    DeliveryState.SENT,
    DeliveryState.FAILED,
    DeliveryState.SKIPPED,
    DeliveryState.UNCERTAIN,
]  # in the order of the batch's counters


@dataclass(frozen=True, slots=True)
class Lease:
    """A batch that is ours until its lease number changes."""

    batch_id: int
    edition_id: int
    number: int
    losses: int  # leases of this batch that were lost in a row before ours


class Waiting(NamedTuple):
    """A pending delivery of a leased batch."""

    edition_id: int
    subscriber_id: int
    batch_id: int
    cohort_id: int
    attempts: int
    suspect: bool  # it may be what killed the batch's last owner
    domain: str  # of the address, as its key spells it: with the server, its lane


def claim(worker: str, *, server: str = "default") -> Lease | None:
    """Take the most urgent ready batch of a submission server; None when nobody needs us."""
    # The condition on the edition stands inside the row-locking sub-select: PostgreSQL checks the
    # locked row again after waiting, but never a sub-select of the outer WHERE.
    sql = f"""
        UPDATE mailer_batch SET state = 'leased', lease = lease + 1, leased_by = %s,
            leased_until = {dialect.now(plus_seconds=settings.LEASE_SECONDS)}
        WHERE id = (
            SELECT b.id FROM mailer_batch b
            JOIN mailer_edition e ON e.id = b.edition_id
            JOIN subscribers_newsletter n ON n.id = e.newsletter_id AND n.server = %s
            WHERE e.state = 'sending' AND e.expires_at > {dialect.now()}
                AND b.state = 'ready' AND b.not_before <= {dialect.now()}
            ORDER BY e.priority DESC, e.due_at, e.id, b.not_before, b.id
            LIMIT 1 {dialect.skip_locked("b")}
        )
        RETURNING id, edition_id, lease, losses
    """  # noqa: S608  # fragments of ours
    claimed = dialect.fetch(sql, [worker[:80], server], often=True)
    return Lease(*claimed[0]) if claimed else None


def waiting(lease: Lease) -> list[Waiting]:
    """The pending deliveries of a batch whose time has come; suspects of a loss come first.

    Suspects are those that may have killed the batch's last owner.
    """
    rows = dialect.fetch(
        f"""
        SELECT d.subscriber_id, d.cohort_id, d.attempts, COALESCE(r.address_key, '')
        FROM mailer_delivery d JOIN subscribers_subscriber r ON r.id = d.subscriber_id
        WHERE d.edition_id = %s AND d.batch_id = %s AND d.state = 'pending'
            AND (d.retry_at IS NULL OR d.retry_at <= {dialect.now(plus_seconds=EARLY)})
        """,  # noqa: S608  # fragments of ours
        [lease.edition_id, lease.batch_id],
        often=True,
    )
    found = [
        Waiting(
            lease.edition_id,
            subscriber,
            lease.batch_id,
            cohort,
            attempts,
            suspect=lease.losses > 0 and attempts > 0,
            domain=address_key.rpartition("@")[2],
        )
        for subscriber, cohort, attempts, address_key in rows
    ]
    return sorted(found, key=lambda row: (not row.suspect, row.subscriber_id))


def refusals(wanted: Sequence[Waiting]) -> list[Outcome]:
    """Why these got no intent although their edition is sending: they become skipped.

    Rows that could leave after all (their edition was paused and is sending again) are left out.
    """
    if not wanted:
        return []
    rows = dialect.fetch(
        f"""
        SELECT d.edition_id, d.subscriber_id, d.batch_id,
            CASE
                WHEN r.state <> 'active' THEN 'erased'
                WHEN EXISTS (
                    SELECT 1 FROM subscribers_suppression x WHERE x.address_hash = r.address_hash
                ) THEN 'suppressed'
                WHEN NOT EXISTS (
                    SELECT 1 FROM subscribers_subscription s
                    WHERE s.newsletter_id = e.newsletter_id AND s.subscriber_id = r.id
                        AND s.ended_at IS NULL AND s.confirmed_at IS NOT NULL
                ) THEN 'unsubscribed'
                ELSE ''
            END
        FROM {dialect.table(**DELIVERY)}
        JOIN mailer_delivery d ON d.edition_id = w.edition_id
            AND d.subscriber_id = w.subscriber_id AND d.state = 'pending'
        JOIN mailer_edition e ON e.id = d.edition_id AND e.state = 'sending'
        JOIN subscribers_subscriber r ON r.id = d.subscriber_id
        """,  # noqa: S608  # fragments of ours
        dialect.table_params([(row.edition_id, row.subscriber_id) for row in wanted]),
    )
    return [
        Outcome(edition, subscriber, batch, DeliveryState.SKIPPED, reason)
        for edition, subscriber, batch, reason in rows
        if reason
    ]


def release(lease: Lease, *, wait_seconds: float = 0.0) -> bool:
    """Give the batch back: done if nothing in it is open, else ready when its first row is due.

    Rows with a retry time wait until then, all others `wait_seconds`. Only when none of its
    messages is on the wire: rows still in SENDING then never reached a connection (a commit whose
    answer was lost) and are pending again. False when the lease was lost. The counters become
    exact.
    """
    of_batch = [lease.edition_id, lease.batch_id]
    with dialect.short_transaction():
        if not _hold(lease):
            return False
        dialect.execute(
            """
            UPDATE mailer_delivery SET state = 'pending'
            WHERE edition_id = %s AND batch_id = %s AND state = 'sending'
            """,
            of_batch,
            often=True,
        )
        counts = ", ".join(f"COUNT(*) FILTER (WHERE state = '{s.value}') AS {s}" for s in COUNTED)
        sql = f"""
            UPDATE mailer_batch SET
                state = CASE WHEN of_rows.pending > 0 THEN 'ready' ELSE 'done' END,
                leased_until = NULL, losses = 0, not_before = COALESCE(due, {dialect.now()}),
                {", ".join(f"{s.value} = of_rows.{s.value}" for s in COUNTED)}
            FROM (
                SELECT {counts}, COUNT(*) FILTER (WHERE state = 'pending') AS pending,
                    MIN(COALESCE(retry_at, {dialect.now(plus_column="%s")}))
                        FILTER (WHERE state = 'pending') AS due
                FROM mailer_delivery WHERE edition_id = %s AND batch_id = %s
            ) AS of_rows
            WHERE id = %s
        """  # noqa: S608  # fragments of ours
        wait = round(wait_seconds, 3)
        dialect.execute(sql, [wait, *of_batch, lease.batch_id], often=True)
    return True


def _hold(lease: Lease) -> bool:
    """Lock the batch until the end of the transaction, if it is still ours."""
    sql = f"""
        SELECT id FROM mailer_batch b WHERE id = %s AND lease = %s AND state = 'leased'
        {dialect.locked("b")}
    """  # noqa: S608  # fragments of ours
    return bool(dialect.fetch(sql, [lease.batch_id, lease.number], often=True))


def recount(batch_id: int, edition_id: int) -> int:
    """Make a batch's counters exact, from its rows; return how many are still open."""
    found = dialect.fetch(
        """
        SELECT state, COUNT(*) FROM mailer_delivery WHERE edition_id = %s AND batch_id = %s
        GROUP BY state
        """,
        [edition_id, batch_id],
        often=True,
    )
    counts = dict(found)
    Batch.objects.filter(pk=batch_id).update(
        **{state.value: counts.get(state, 0) for state in COUNTED}
    )
    return sum(counts.get(state, 0) for state in OPEN)


def times_resent(edition_id: int, subscribers: Sequence[int]) -> dict[int, int]:
    """How often each of these was sent again in doubt; absent means never."""
    counts: dict[int, int] = {}
    events = DeliveryEvent.objects.filter(
        edition_id=edition_id, subscriber_id__in=subscribers, kind=EventKind.RESENT
    )
    for subscriber in events.values_list("subscriber_id", flat=True):
        counts[subscriber] = counts.get(subscriber, 0) + 1
    return counts
