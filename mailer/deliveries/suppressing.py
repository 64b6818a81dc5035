"""Readers whose mailbox is gone: nobody writes to them any more (requirement P3)."""

from collections.abc import Sequence

from mailer.deliveries.outcomes import Outcome
from mailer.throttle import guard, suppressions
from subscribers.models import Subscriber


def suppress_gone(server: str, outcomes: Sequence[Outcome]) -> None:
    """Suppress the readers of the outcomes that say so, unless their lane says it of too many.

    For the transaction that settles these outcomes. A reader who was erased meanwhile has no
    address left to suppress.
    """
    gone = [outcome.subscriber_id for outcome in outcomes if outcome.suppress]
    if not gone:
        return
    found = Subscriber.objects.filter(pk__in=gone, address_key__isnull=False)
    for address_key, address_hash in found.values_list("address_key", "address_hash"):
        assert address_key is not None  # as filtered
        domain = address_key.rpartition("@")[2]
        if guard.allows_suppressions(server, domain):
            suppressions.suppress_gone(address_hash, server=server, domain=domain)
