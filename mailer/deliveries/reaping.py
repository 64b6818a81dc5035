"""Workers that fell silent: their batches are taken back, and what was in doubt is dealt with."""

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from mailer import dialect
from mailer.deliveries.exchanging import settle
from mailer.deliveries.leases import times_resent
from mailer.deliveries.outcomes import SAME_MAIL_LIMIT, Outcome
from mailer.models import Batch, BatchState, Delivery, DeliveryState, EventKind
from subscribers.models import InDoubt

LOSSES_TO_STUCK = 5  # leases lost in a row before a person must look


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
    settle(outcomes)
