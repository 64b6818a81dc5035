"""How an edition comes to rest: expired, cancelled or done, and only with balanced books."""

import logging

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from mailer import ledger
from mailer.deliveries import leases, reaping
from mailer.models import (
    OPEN,
    Batch,
    BatchState,
    Delivery,
    DeliveryState,
    Edition,
    EditionQuerySet,
    EditionState,
)
from subscribers.models import EventKind
from subscribers.webhooks import events

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
    that no worker survives, pause the edition with the reason. For the latter the waves that are
    still to come are not waited for: a person has that much longer to look.
    """
    batches = Batch.objects.filter(edition=OuterRef("pk"))
    stuck = Exists(batches.filter(state=BatchState.STUCK))
    sending = Edition.objects.sending()
    for edition in sending.filter(stuck, ~Exists(batches.unfinished().released())):
        _pause_stuck(edition)
    return sum(_finish(edition) for edition in sending.filter(~Exists(batches.unfinished())))


def _pause_stuck(edition: Edition) -> None:
    stuck = edition.batches.filter(state=BatchState.STUCK).count()
    _pause(edition, f"{stuck} batches lost their worker {reaping.LOSSES_TO_STUCK} times running.")


def _finish(edition: Edition) -> bool:
    with transaction.atomic():
        books = ledger.read(edition.pk)
        if books.settled:
            sending = Edition.objects.filter(pk=edition.pk, state=EditionState.SENDING)
            if not sending.update(state=EditionState.DONE, finished_at=Now()):
                return False
            _tell(edition, books)
            return True
    log.error("the ledger does not balance: %s", books)
    _pause(edition, "The ledger does not balance. Run verify_ledger and keep its output.")
    return False


def _tell(edition: Edition, books: ledger.Ledger) -> None:
    """Let the endpoints know that it is done, and what became of its deliveries."""
    settled = {state: n for state, n in books.by_state.items() if state not in OPEN}
    events.emit(
        EventKind.EDITION_SENT,
        newsletter=edition.newsletter,
        edition={"slug": edition.slug, "subject": edition.subject},
        deliveries=settled,
    )


def _pause(edition: Edition, reason: str) -> None:
    Edition.objects.filter(pk=edition.pk, state=EditionState.SENDING).update(
        state=EditionState.PAUSED, reason=reason
    )
