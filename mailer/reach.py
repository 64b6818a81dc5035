"""How many readers an edition may reach, before its audience is frozen."""

from dataclasses import dataclass

from mailer import history
from mailer.models import Edition, EditionKind, EditionState
from subscribers.models import Newsletter, Subscription

COMPARED = 4  # editions; of a daily one nearly a week, of a weekly one a month


def expected_readers(newsletter: Newsletter) -> int:
    """How many readers follow the newsletter now. The freeze leaves out those with nothing new."""
    return Subscription.objects.active().filter(newsletter=newsletter).count()


def expected_readers_of(edition: Edition) -> int:
    """How many an edition may reach that is not frozen yet."""
    if edition.kind == EditionKind.CATCH_UP:
        return edition.catch_ups.count()
    if edition.kind == EditionKind.CORRECTION:
        return history.count_untold(edition)
    return expected_readers(edition.newsletter)


@dataclass(frozen=True)
class Usual:
    """What the latest editions of a newsletter had to do with."""

    editions: int
    readers: float  # candidates of one, on average


def usual(edition: Edition) -> Usual | None:
    """The mean of the last four editions that went out; None if there is none to compare with.

    Catch-ups and corrections go to a few readers each time, and to others.
    """
    if edition.kind != EditionKind.REGULAR:
        return None
    earlier = (
        edition.newsletter.editions.regular()
        .filter(state__in=[EditionState.SENDING, EditionState.DONE], candidates__gt=0)
        .exclude(pk=edition.pk)
        .order_by("-slot")
        .values_list("candidates", flat=True)[:COMPARED]
    )
    numbers = list(earlier)
    return Usual(len(numbers), sum(numbers) / len(numbers)) if numbers else None
