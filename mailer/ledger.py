"""The books of an edition, read from rows. Balanced or not is a matter of counting, not of hope."""

from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import Count, Q

from mailer.models import OPEN, Delivery, DeliveryState, Edition


@dataclass(frozen=True)
class Ledger:
    """Both sums of one edition.

    candidates = deliveries + excluded, and
    deliveries = pending + sending + sent + failed + skipped + cancelled + uncertain.
    """

    edition_id: int
    candidates: int
    excluded: dict[str, int]  # by reason
    deliveries: int
    by_state: dict[str, int] = field(default_factory=dict)  # every state, also those with 0

    @property
    def balanced(self) -> bool:
        return self.candidates == self.deliveries + sum(
            self.excluded.values()
        ) and self.deliveries == sum(self.by_state.values())

    @property
    def settled(self) -> bool:
        """Whether nobody is still to be sent to, and the books balance."""
        return self.balanced and not any(self.by_state[state] for state in OPEN)

    def __str__(self) -> str:
        states = " + ".join(f"{count} {state}" for state, count in self.by_state.items())
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.excluded.items())
        return (
            f"edition {self.edition_id}: {self.candidates} candidates = {self.deliveries} "
            f"deliveries + {sum(self.excluded.values())} excluded ({reasons or 'none'}); "
            f"{self.deliveries} deliveries = {states}; "
            f"{'balanced' if self.balanced else 'NOT BALANCED'}"
        )


def read(edition_id: int) -> Ledger:
    """Count the deliveries of an edition by state. One snapshot: the sums belong together.

    `deliveries` is counted apart from the states: a row in a state that nobody knows would
    otherwise hide in its own sum.
    """
    counts = {state.value: Count("subscriber_id", filter=Q(state=state)) for state in DeliveryState}
    with transaction.atomic():
        edition = Edition.objects.only("candidates", "excluded").get(pk=edition_id)
        rows = Delivery.objects.filter(edition_id=edition_id)
        found = rows.aggregate(all=Count("subscriber_id"), **counts)
    deliveries = found.pop("all")
    return Ledger(edition_id, edition.candidates, dict(edition.excluded), deliveries, found)
