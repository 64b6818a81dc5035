"""Who may send a batch, and what is written about its deliveries.

Each write proves its lease and is compare-and-set. No transaction here is open while a message is
on the wire. Times are the database's.
"""

import random
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from mailer import dialect
from mailer.deliveries.outcomes import SAME_MAIL_LIMIT, Outcome
from mailer.models import (
    OPEN,
    Batch,
    BatchState,
    Delivery,
    DeliveryEvent,
    DeliveryState,
    EventKind,
)
from subscribers.models import InDoubt

LOSSES_TO_STUCK = 5  # leases lost in a row before a person must look
JITTER = 0.2  # of a retry's wait, so that deferred batches do not come back in step
DELIVERY = {"edition_id": "bigint", "subscriber_id": "bigint"}  # columns of its key
COUNTED = [
    DeliveryState.SENT,
    DeliveryState.FAILED,
    DeliveryState.SKIPPED,
    DeliveryState.UNCERTAIN,
]  # in the order of the batch's counters


@dataclass(frozen=True)
class Lease:
    """A batch that is ours until its lease number changes."""

    batch_id: int
    edition_id: int
    number: int
    losses: int  # leases of this batch that were lost in a row before ours


@dataclass(frozen=True)
class Waiting:
    """A pending delivery of a leased batch."""

    edition_id: int
    subscriber_id: int
    batch_id: int
    cohort_id: int
    attempts: int
    suspect: bool  # it may be what killed the batch's last owner


@dataclass(frozen=True)
class Intent:
    """A delivery whose intent to send is committed, with the address read in the same commit."""

    edition_id: int
    subscriber_id: int
    address: str
    name: str


@dataclass
class Exchange:
    """What one commit did."""

    held: set[int] = field(default_factory=set)  # batches that are still ours
    intents: list[Intent] = field(default_factory=list)


def claim(worker: str) -> Lease | None:
    """Take the most urgent ready batch; None when nobody needs us."""
    # The condition on the edition stands inside the row-locking sub-select: PostgreSQL checks the
    # locked row again after waiting, but never a sub-select of the outer WHERE.
    sql = f"""
        UPDATE mailer_batch SET state = 'leased', lease = lease + 1, leased_by = %s,
            leased_until = {dialect.now(plus_seconds=settings.LEASE_SECONDS)}
        WHERE id = (
            SELECT b.id FROM mailer_batch b JOIN mailer_edition e ON e.id = b.edition_id
            WHERE e.state = 'sending' AND e.expires_at > {dialect.now()}
                AND b.state = 'ready' AND b.not_before <= {dialect.now()}
            ORDER BY e.priority DESC, e.due_at, e.id, b.not_before, b.id
            LIMIT 1 {dialect.skip_locked("b")}
        )
        RETURNING id, edition_id, lease, losses
    """  # noqa: S608  # fragments of ours
    claimed = dialect.fetch(sql, [worker[:80]])
    return Lease(*claimed[0]) if claimed else None


def waiting(lease: Lease) -> list[Waiting]:
    """The pending deliveries of a batch; those that may have killed its last owner come first."""
    rows = Delivery.objects.filter(
        edition_id=lease.edition_id, batch_id=lease.batch_id, state=DeliveryState.PENDING
    ).values_list("subscriber_id", "cohort_id", "attempts")
    found = [
        Waiting(
            lease.edition_id,
            subscriber,
            lease.batch_id,
            cohort,
            attempts,
            suspect=lease.losses > 0 and attempts > 0,
        )
        for subscriber, cohort, attempts in rows
    ]
    return sorted(found, key=lambda row: (not row.suspect, row.subscriber_id))


def exchange(
    leases: Iterable[Lease],
    outcomes: Sequence[Outcome],
    wanted: Sequence[Waiting],
    *,
    proven: Container[int] = (),
) -> Exchange:
    """Renew the leases, settle what finished and record the intents for what is next: one commit.

    `proven` are batches whose suspects have passed: what killed their last owner was not in them,
    and they are no longer on the way to being stuck.
    For a lease that was lost only accepted messages are recorded: a 250 is true whoever asked.
    Permission and the edition's state are read in the statement that records the intent (G5), so
    `intents` holds only what may leave now.
    """
    done = Exchange()
    with transaction.atomic():
        for lease in leases:
            if _renew(lease, outcomes, is_proven=lease.batch_id in proven):
                done.held.add(lease.batch_id)
        _settle([o for o in outcomes if o.batch_id in done.held or o.state == DeliveryState.SENT])
        done.intents = _intend([row for row in wanted if row.batch_id in done.held])
    return done


def _renew(lease: Lease, outcomes: Sequence[Outcome], *, is_proven: bool) -> bool:
    mine = [outcome.state for outcome in outcomes if outcome.batch_id == lease.batch_id]
    sql = f"""
        UPDATE mailer_batch SET leased_until = {dialect.now(plus_seconds=settings.LEASE_SECONDS)},
            sent = sent + %s, failed = failed + %s, skipped = skipped + %s,
            uncertain = uncertain + %s{", losses = 0" if is_proven else ""}
        WHERE id = %s AND lease = %s AND state = 'leased'
    """  # noqa: S608  # fragments of ours
    counts = [mine.count(state) for state in COUNTED]
    return dialect.execute(sql, [*counts, lease.batch_id, lease.number], often=True) == 1


def _settle(outcomes: Sequence[Outcome]) -> None:
    if not outcomes:
        return
    rows = [
        (o.edition_id, o.subscriber_id, o.state.value, o.reason[:40], int(not o.counts_as_attempt))
        for o in outcomes
    ]
    result = dialect.table(
        edition_id="bigint", subscriber_id="bigint", state="text", reason="text", uncounted="int"
    )
    sql = f"""
        UPDATE mailer_delivery AS d SET state = w.state, reason = w.reason,
            attempts = CASE WHEN d.state = 'sending' THEN d.attempts - w.uncounted
                ELSE d.attempts END,
            settled_at = CASE WHEN w.state = 'pending' THEN NULL ELSE {dialect.now()} END
        FROM {result}
        WHERE d.edition_id = w.edition_id AND d.subscriber_id = w.subscriber_id
            AND d.state <> 'sent'
    """  # noqa: S608  # fragments of ours
    dialect.execute(sql, dialect.table_params(rows), often=True)
    DeliveryEvent.objects.bulk_create(
        DeliveryEvent(
            edition_id=o.edition_id,
            subscriber_id=o.subscriber_id,
            kind=o.event,
            code=o.reason[:40],
            text=o.text[:300],
        )
        for o in outcomes
        if o.event
    )


def _intend(wanted: Sequence[Waiting]) -> list[Intent]:
    if not wanted:
        return []
    pairs = [(row.edition_id, row.subscriber_id) for row in wanted]
    sql = f"""
        UPDATE mailer_delivery SET state = 'sending', attempts = attempts + 1
        FROM (
            SELECT e.id AS edition, r.id AS subscriber
            FROM {dialect.table(**DELIVERY)}
            JOIN mailer_edition e ON e.id = w.edition_id AND e.state = 'sending'
            JOIN subscribers_subscriber r ON r.id = w.subscriber_id AND r.state = 'active'
            JOIN subscribers_subscription s ON s.newsletter_id = e.newsletter_id
                AND s.subscriber_id = r.id AND s.ended_at IS NULL AND s.confirmed_at IS NOT NULL
            WHERE NOT EXISTS (
                SELECT 1 FROM subscribers_suppression x WHERE x.address_hash = r.address_hash
            )
        ) AS may
        WHERE mailer_delivery.edition_id = may.edition
            AND mailer_delivery.subscriber_id = may.subscriber
            AND mailer_delivery.state = 'pending'
        RETURNING edition_id, subscriber_id
    """  # noqa: S608  # fragments of ours
    announced = dialect.fetch(sql, dialect.table_params(pairs), often=True)
    if not announced:
        return []
    # A second statement of the same transaction: SQLite's RETURNING sees only the changed table.
    addresses = dialect.fetch(
        f"""
        SELECT w.edition_id, r.id, r.address, r.name
        FROM {dialect.table(**DELIVERY)}
        JOIN subscribers_subscriber r ON r.id = w.subscriber_id
        """,  # noqa: S608  # fragments of ours
        dialect.table_params(announced),
        often=True,
    )
    return [Intent(*row) for row in addresses]


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


def release(lease: Lease, *, retry_minutes: float = 0.0) -> bool:
    """Give the batch back: done if nothing in it is open, else ready after a wait.

    Only when none of its messages is on the wire. Rows still in SENDING then never reached a
    connection (a commit whose answer was lost) and are pending again. False when the lease was
    lost. The counters become exact.
    """
    with transaction.atomic():
        mine = Batch.objects.filter(pk=lease.batch_id, lease=lease.number, state=BatchState.LEASED)
        if not mine.select_for_update().exists():
            return False
        rows = Delivery.objects.filter(edition_id=lease.edition_id, batch_id=lease.batch_id)
        rows.filter(state=DeliveryState.SENDING).update(state=DeliveryState.PENDING)
        new_state = (
            BatchState.READY if recount(lease.batch_id, lease.edition_id) else BatchState.DONE
        )
        seconds = retry_minutes * 60 * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
        sql = f"""
            UPDATE mailer_batch SET state = %s, leased_until = NULL, losses = 0,
                not_before = {dialect.now(plus_seconds=round(seconds, 3))}
            WHERE id = %s
        """  # noqa: S608  # fragments of ours
        dialect.execute(sql, [new_state.value, lease.batch_id])
    return True


def recount(batch_id: int, edition_id: int) -> int:
    """Make a batch's counters exact, from its rows; return how many are still open."""
    rows = Delivery.objects.filter(edition_id=edition_id, batch_id=batch_id)
    states = list(rows.values_list("state", flat=True))
    counts = {state.value: states.count(state) for state in COUNTED}
    Batch.objects.filter(pk=batch_id).update(**counts)
    return sum(state in OPEN for state in states)


def reap() -> int:
    """Take back the batches of workers that fell silent; return how many.

    A row found in SENDING follows its newsletter's policy: `resend` makes it pending, with the
    same Message-ID, at most twice; `hold` makes it uncertain. From the second loss in a row on, a
    batch waits 1, 2, 4 times the length of a lease; after the fifth it is stuck.
    """
    expired = Batch.objects.filter(state=BatchState.LEASED, leased_until__lt=Now())
    taken = 0
    for batch in expired.select_related("edition__newsletter"):
        taken += _take_back(batch)
    return taken


def _take_back(batch: Batch) -> bool:
    losses = batch.losses + 1
    wait = 0 if losses == 1 else settings.LEASE_SECONDS * 2 ** (losses - 2)
    state = BatchState.STUCK if losses >= LOSSES_TO_STUCK else BatchState.READY
    sql = f"""
        UPDATE mailer_batch SET state = %s, losses = %s, leased_until = NULL,
            not_before = {dialect.now(plus_seconds=wait)}
        WHERE id = %s AND lease = %s AND state = 'leased' AND leased_until < {dialect.now()}
    """  # noqa: S608  # fragments of ours
    with transaction.atomic():
        # Frozen in mid-transaction, an owner holds the row's lock; the tick must not wait for it.
        free = Batch.objects.select_for_update(skip_locked=True).filter(pk=batch.pk)
        if not free.exists():
            return False
        if not dialect.execute(sql, [state.value, losses, batch.pk, batch.lease]):
            return False  # its owner woke up and renewed it
        _resolve_found(batch)
    return True


def _resolve_found(batch: Batch) -> None:
    found = list(
        Delivery.objects.filter(
            edition_id=batch.edition_id, batch=batch, state=DeliveryState.SENDING
        ).values_list("subscriber_id", flat=True)
    )
    resent = times_resent(batch.edition_id, found)
    hold = batch.edition.newsletter.in_doubt == InDoubt.HOLD
    outcomes = []
    for subscriber in found:
        give_up = hold or resent.get(subscriber, 0) >= SAME_MAIL_LIMIT
        outcomes.append(
            Outcome(
                batch.edition_id,
                subscriber,
                batch.pk,
                DeliveryState.UNCERTAIN if give_up else DeliveryState.PENDING,
                "worker lost",
                EventKind.UNCERTAIN if give_up else EventKind.RESENT,
            )
        )
    _settle(outcomes)


def times_resent(edition_id: int, subscribers: Sequence[int]) -> dict[int, int]:
    """How often each of these was sent again in doubt; absent means never."""
    counts: dict[int, int] = {}
    events = DeliveryEvent.objects.filter(
        edition_id=edition_id, subscriber_id__in=subscribers, kind=EventKind.RESENT
    )
    for subscriber in events.values_list("subscriber_id", flat=True):
        counts[subscriber] = counts.get(subscriber, 0) + 1
    return counts
