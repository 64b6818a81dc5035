"""What the page of an edition says about its way: state, bar, both sums of the ledger."""

from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count, Max, Min, Q
from django.db.models.functions import Now

from mailer import editions, ledger
from mailer.ledger import Ledger
from mailer.models import OPEN, Delivery, DeliveryState, Edition, EditionState

LARGE = 200_000  # deliveries; counting more takes long enough to ask less often
SECONDS, SECONDS_IF_LARGE = 5, 30
REASONS_AT_MOST = 8

STATE_SENTENCES = {
    EditionState.DRAFT: "It leaves when somebody with the right to do so approves it.",
    EditionState.APPROVED: "Its audience is written down next.",
    EditionState.FREEZING: "Its audience is being written down.",
    EditionState.RENDERING: "One message for each cohort is being built.",
    EditionState.READY: "It is complete and waits for its time.",
    EditionState.SENDING: "Workers are sending it.",
    EditionState.PAUSED: "Nothing leaves until somebody resumes it.",
    EditionState.DONE: "Every recipient is accounted for.",
    EditionState.CANCELLED: "Nothing more leaves. What had left stays sent.",
    EditionState.SKIPPED: "It was not sent to anybody.",
}
EXCLUDED_BECAUSE = {
    "suppressed": "we stopped writing to them",
    "no_articles": "nothing in it is on their topics",
    "nothing_new": "they have had it all",
    "paused": "they have paused their mails",
}


@dataclass(frozen=True)
class Waves:
    """The moments at which the parts of an edition are released, as readers chose their hours."""

    number: int
    released: int
    next_at: datetime | None  # None: all are released
    last_at: datetime


@dataclass(frozen=True)
class Totals:
    edition: Edition
    sentence: str
    ledger: Ledger
    excluded: list[tuple[str, int]]  # in words, how many
    reasons: list[tuple[str, str, int]] = field(default_factory=list)  # state, reason, how many
    waves: Waves | None = None  # before the freeze nobody knows them

    @property
    def left(self) -> int:
        """Deliveries that may still go out."""
        return sum(self.ledger.by_state[state] for state in OPEN)

    @property
    def settled(self) -> int:
        return self.ledger.deliveries - self.left

    @property
    def percent(self) -> int:
        """Rounded down, so that 100 means all."""
        return 100 * self.settled // self.ledger.deliveries if self.ledger.deliveries else 0

    @property
    def is_moving(self) -> bool:
        """Whether the numbers may be others in a few seconds without anybody's doing."""
        on_the_wire = self.ledger.by_state[DeliveryState.SENDING]
        still_closing = self.edition.state == EditionState.CANCELLED and self.left
        return bool(self.edition.state in editions.UNDER_WAY or on_the_wire or still_closing)

    @property
    def refresh_seconds(self) -> int:
        return SECONDS_IF_LARGE if self.ledger.deliveries > LARGE else SECONDS

    @property
    def excluded_total(self) -> int:
        return sum(self.ledger.excluded.values())

    @property
    def addends(self) -> list[tuple[str, int]]:
        return list(self.ledger.by_state.items())


def read(edition: Edition) -> Totals:
    """Count, in five statements whatever the number of deliveries."""
    books = ledger.read(edition.pk)
    excluded = [
        (EXCLUDED_BECAUSE.get(reason, reason), count) for reason, count in books.excluded.items()
    ]
    return Totals(
        edition=edition,
        sentence=STATE_SENTENCES[EditionState(edition.state)],
        ledger=books,
        excluded=excluded,
        reasons=_reasons(edition) if books.deliveries else [],
        waves=_waves(edition) if books.deliveries else None,
    )


def _waves(edition: Edition) -> Waves | None:
    ahead = Q(release_at__gt=Now())
    found = edition.waves.aggregate(
        number=Count("pk"),
        ahead=Count("pk", filter=ahead),
        next_at=Min("release_at", filter=ahead),
        last_at=Max("release_at"),
    )
    if not found["number"]:
        return None
    return Waves(
        found["number"], found["number"] - found["ahead"], found["next_at"], found["last_at"]
    )


def _reasons(edition: Edition) -> list[tuple[str, str, int]]:
    """Why deliveries failed, were skipped or are uncertain: the most frequent reasons."""
    rows = (
        Delivery.objects.filter(edition=edition)
        .filter(state__in=[DeliveryState.FAILED, DeliveryState.SKIPPED, DeliveryState.UNCERTAIN])
        .values_list("state", "reason")
        .annotate(number=Count("subscriber_id"))
        .order_by("-number", "state", "reason")
    )
    return list(rows[:REASONS_AT_MOST])
