"""One commit for several messages: it settles what finished and announces what leaves next.

Here it is a short transaction, on both databases; `exchanger` has a quicker way on PostgreSQL.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from django.conf import settings
from django.db import transaction

from mailer import dialect
from mailer.deliveries.leases import COUNTED, DELIVERY, Lease, Waiting
from mailer.deliveries.outcomes import Outcome
from mailer.deliveries.suppressing import suppress_gone
from mailer.models import DeliveryEvent

# Who may get the message of a row `w` (edition_id, subscriber_id) at this moment (G5). The one
# text of this rule: the statement that contains it records the intent to send.
PERMITTED = """
    JOIN mailer_edition e ON e.id = w.edition_id AND e.state = 'sending'
    JOIN subscribers_subscriber r ON r.id = w.subscriber_id AND r.state = 'active'
    JOIN subscribers_subscription s ON s.newsletter_id = e.newsletter_id
        AND s.subscriber_id = r.id AND s.ended_at IS NULL AND s.confirmed_at IS NOT NULL
    WHERE NOT EXISTS (
        SELECT 1 FROM subscribers_suppression x WHERE x.address_hash = r.address_hash
    )
"""


class Accepted(NamedTuple):
    """A message that the submission server took."""

    edition_id: int
    subscriber_id: int
    batch_id: int


class Intent(NamedTuple):
    """A delivery whose intent to send is committed, with the address read in the same commit."""

    edition_id: int
    subscriber_id: int
    address: str
    name: str


@dataclass
class Request:
    """What a commit shall do."""

    leases: Sequence[Lease]  # to renew
    accepted: Sequence[Accepted] = ()
    outcomes: Sequence[Outcome] = ()  # of everything that was not accepted
    wanted: Sequence[Waiting] = ()
    # Batches whose suspects have passed: what killed their last owner was not in them, and they
    # are no longer on the way to being stuck.
    proven: frozenset[int] = frozenset()
    server: str = "default"


@dataclass
class Exchange:
    """What a commit did."""

    request: Request
    held: set[int] = field(default_factory=set)  # batches that are still ours
    intents: list[Intent] = field(default_factory=list)


def exchange(request: Request) -> Exchange:
    """Renew the leases, settle what finished and record the intents for what is next: one commit.

    For a lease that was lost only accepted messages are recorded: a 250 is true whoever asked.
    Permission and the edition's state are read in the statement that records the intent (G5), so
    `intents` holds only what may leave now.
    """
    done = Exchange(request)
    with transaction.atomic() if request.outcomes else dialect.short_transaction():
        for lease in request.leases:
            if _renew(lease, request):
                done.held.add(lease.batch_id)
        _settle_accepted(request.accepted)
        settled = [outcome for outcome in request.outcomes if outcome.batch_id in done.held]
        settle(settled)
        suppress_gone(request.server, settled)
        done.intents = _intend([row for row in request.wanted if row.batch_id in done.held])
    return done


def settle(outcomes: Sequence[Outcome]) -> None:
    """Write down what became of deliveries that were not accepted. `sent` is never overwritten."""
    if not outcomes:
        return
    rows = [
        (
            o.edition_id,
            o.subscriber_id,
            o.state.value,
            o.reason[:40],
            o.rule,
            int(not o.counts_as_attempt),
            o.retry_minutes * 60,
        )
        for o in outcomes
    ]
    columns = dialect.table(
        **DELIVERY, state="text", reason="text", rule="text", uncounted="int", wait="float8"
    )
    sql = f"""
        UPDATE mailer_delivery AS d SET state = w.state, reason = w.reason, rule = w.rule,
            attempts = CASE WHEN d.state = 'sending' THEN d.attempts - w.uncounted
                ELSE d.attempts END,
            retry_at = CASE WHEN w.wait > 0 THEN {dialect.now(plus_column="w.wait")} END,
            settled_at = CASE WHEN w.state = 'pending' THEN NULL ELSE {dialect.now()} END
        FROM {columns}
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


def _renew(lease: Lease, request: Request) -> bool:
    mine = [o.state for o in request.outcomes if o.batch_id == lease.batch_id]
    counts = [mine.count(state) for state in COUNTED]
    counts[0] += sum(row.batch_id == lease.batch_id for row in request.accepted)
    is_proven = int(lease.batch_id in request.proven)
    sql = f"""
        UPDATE mailer_batch SET leased_until = {dialect.now(plus_seconds=settings.LEASE_SECONDS)},
            sent = sent + %s, failed = failed + %s, skipped = skipped + %s,
            uncertain = uncertain + %s, losses = CASE WHEN %s = 1 THEN 0 ELSE losses END
        WHERE id = %s AND lease = %s AND state = 'leased'
    """  # noqa: S608  # fragments of ours
    params = [*counts, is_proven, lease.batch_id, lease.number]
    return dialect.execute(sql, params, often=True) == 1


def _settle_accepted(accepted: Sequence[Accepted]) -> None:
    if not accepted:
        return
    sql = f"""
        UPDATE mailer_delivery AS d SET {sent_values()}
        FROM {dialect.table(**DELIVERY)}
        WHERE d.edition_id = w.edition_id AND d.subscriber_id = w.subscriber_id
            AND d.state <> 'sent'
    """  # noqa: S608  # fragments of ours
    keys = [(row.edition_id, row.subscriber_id) for row in accepted]
    dialect.execute(sql, dialect.table_params(keys), often=True)


def sent_values() -> str:
    """SQL for the columns of a delivery that was accepted."""
    return f"state = 'sent', reason = '', rule = '', retry_at = NULL, settled_at = {dialect.now()}"


def _intend(wanted: Sequence[Waiting]) -> list[Intent]:
    if not wanted:
        return []
    sql = f"""
        UPDATE mailer_delivery SET state = 'sending', attempts = attempts + 1
        FROM (
            SELECT w.edition_id AS edition, r.id AS subscriber
            FROM {dialect.table(**DELIVERY)} {PERMITTED}
        ) AS may
        WHERE mailer_delivery.edition_id = may.edition
            AND mailer_delivery.subscriber_id = may.subscriber
            AND mailer_delivery.state = 'pending'
        RETURNING edition_id, subscriber_id
    """  # noqa: S608  # fragments of ours
    keys = [(row.edition_id, row.subscriber_id) for row in wanted]
    announced = dialect.fetch(sql, dialect.table_params(keys), often=True)
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
