"""Readers whose mailbox is gone: nobody writes to them any more (requirement P3)."""

import logging
from collections.abc import Sequence

from django.db import DatabaseError, OperationalError, transaction

from mailer.deliveries.outcomes import Outcome
from mailer.throttle import guard, suppressions
from subscribers.models import Subscriber

log = logging.getLogger(__name__)


def suppress_gone(server: str, outcomes: Sequence[Outcome]) -> None:
    """Suppress the readers of the outcomes that say so, unless their lane says it of too many.

    For the transaction that settles these outcomes. A reader who was erased meanwhile has no
    address left to suppress.
    """
    gone = [outcome.subscriber_id for outcome in outcomes if outcome.suppress]
    if not gone:
        return
    found = Subscriber.objects.filter(pk__in=gone, address_key__isnull=False)
    by_domain: dict[str, list[str]] = {}
    for address_key, address_hash in found.values_list("address_key", "address_hash"):
        assert address_key is not None  # as filtered
        by_domain.setdefault(address_key.rpartition("@")[2], []).append(address_hash)
    # Two workers that suspend lanes lock their rows in one order, or they would wait for each
    # other.
    for domain in sorted(by_domain):
        if guard.allows_suppressions(server, domain):
            for address_hash in by_domain[domain]:
                _suppress(address_hash, server, domain)


def _suppress(address_hash: str, server: str, domain: str) -> None:
    """One reader alone: what is wrong with their rows must not undo the results of the others."""
    try:
        with transaction.atomic():
            suppressions.suppress_gone(address_hash, server=server, domain=domain)
    except OperationalError:
        raise
    except DatabaseError:
        log.exception("a reader whose mailbox is gone could not be suppressed")
