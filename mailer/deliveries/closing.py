"""How an edition comes to rest: expired, cancelled or done, and only with balanced books."""

import logging

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from mailer import ledger
from mailer.deliveries import leases, reaping
from mailer.models import (
    Batch,
    BatchState,
    Delivery,
    DeliveryState,
    Edition,
    EditionQuerySet,
    EditionState,
)

log = logging.getLogger(__name__)

PER_TICK = 500  # batches closed at once, so that a tick stays short


def close_open_batches() -> int:
    """Settle what will never be sent: of cancelled and of expired editions, batch by batch.

    Batches on lease are left to their owners, who find no new intent and give them back.
    """
    cancelled = Edition.objects.filter(state=EditionState.CANCELLED)
    expired = Edition.objects.filter(
        state__in=[EditionState.SENDING, EditionState.PAUSED], expires_at__lt=Now()
    )
    return _close(cancelled, DeliveryState.CANCELLED, "") + _close(
        expired, DeliveryState.FAILED, "expired"
    )


def _close(editions: EditionQuerySet, state: DeliveryState, reason: str) -> int:
    batches = Batch.objects.filter(
        edition__in=editions, state__in=[BatchState.READY, BatchState.STUCK]
    )
    return sum(_close_batch(batch, state, reason) for batch in batches.order_by("pk")[:PER_TICK])


def _close_batch(batch: Batch, state: DeliveryState, reason: str) -> bool:
    with transaction.atomic():
        same = Batch.objects.filter(pk=batch.pk, lease=batch.lease, state=batch.state)
        if not same.update(state=BatchState.DONE):
            return False  # leased meanwhile
        rows = Delivery.objects.filter(edition_id=batch.edition_id, batch=batch)
        # No owner, so nothing is on the wire; but nobody knows what became of these.
        rows.filter(state=DeliveryState.SENDING).update(
            state=DeliveryState.UNCERTAIN, reason="worker lost", settled_at=Now()
        )
        rows.filter(state=DeliveryState.PENDING).update(
            state=state, reason=reason, settled_at=Now()
        )
        leases.recount(batch.pk, batch.edition_id)
    return True


def finish() -> int:
    """Call editions done whose every delivery is settled and whose books balance; return how many.

    "Nothing left to do" is no proof: a count of rows is. Books that do not balance, and batches
    that no worker survives, pause the edition with the reason.
    """
    unfinished = Batch.objects.filter(edition=OuterRef("pk")).exclude(
        state__in=[BatchState.DONE, BatchState.STUCK]
    )
    finished = 0
    for edition in Edition.objects.sending().exclude(Exists(unfinished)):
        finished += _finish(edition)
    return finished


def _finish(edition: Edition) -> bool:
    stuck = edition.batches.filter(state=BatchState.STUCK).count()
    if stuck:
        _pause(
            edition, f"{stuck} batches lost their worker {reaping.LOSSES_TO_STUCK} times running."
        )
        return False
    with transaction.atomic():
        books = ledger.read(edition.pk)
        if books.settled:
            sending = Edition.objects.filter(pk=edition.pk, state=EditionState.SENDING)
            return bool(sending.update(state=EditionState.DONE, finished_at=Now()))
    log.error("the ledger does not balance: %s", books)
    _pause(edition, "The ledger does not balance. Run verify_ledger and keep its output.")
    return False


def _pause(edition: Edition, reason: str) -> None:
    Edition.objects.filter(pk=edition.pk, state=EditionState.SENDING).update(
        state=EditionState.PAUSED, reason=reason
    )
