"""Test 2: death at each point of the crash matrix, under both policies, and what the rows show."""

import time
from collections import Counter
from dataclasses import dataclass

import pytest
from django.conf import settings

from mailer import production, tasks
from mailer.models import Batch, BatchState, Cohort, Delivery, DeliveryState, Edition
from subscribers.models import InDoubt
from tests.faults import audience, books, dying
from tests.faults.workers import CONNECTIONS, state
from tests.mailer.editions import frozen

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]

C = CONNECTIONS
ALL = 10**6


@dataclass(frozen=True)
class Shows:
    """Between death and restart, for a death at the first time: how many rows, as (least, most)."""

    sending: tuple[int, int]
    sent: tuple[int, int]
    accepted: tuple[int, int]  # by the sink


NOTHING = Shows((0, 0), (0, 0), (0, 0))
SHOWS = {
    "after the claim": NOTHING,
    "before the commit of intents": NOTHING,
    # SQLite rolls back. PostgreSQL has the statement and commits it, although nobody listens.
    "in the commit of intents": NOTHING if settings.IS_SQLITE else Shows((C, C), (0, 0), (0, 0)),
    "after the commit of intents": Shows((C, C), (0, 0), (0, 0)),
    "in a body": Shows((C, C), (0, 0), (0, C - 1)),
    "after the final dot": Shows((C, C), (0, 0), (1, C)),
    "before the commit of outcomes": Shows((C, C), (0, 0), (1, C)),
    "after the commit of outcomes": Shows((1, C), (1, C), (1, C)),
    "before the release": Shows((0, 0), (ALL, ALL), (ALL, ALL)),
}


def accepted_of(edition: Edition, sink) -> Counter:
    people = set(
        Delivery.objects.filter(edition=edition).values_list("subscriber__address", flat=True)
    )
    return Counter(mail.recipient for mail in sink.accepted if mail.recipient in people)


def rows(edition: Edition, wanted: DeliveryState) -> set[str]:
    found = Delivery.objects.filter(edition=edition, state=wanted)
    return set(found.values_list("subscriber__address", flat=True))


def settle_down(sink) -> None:
    """What a killed process had written is still read by the sink, and by PostgreSQL."""
    seen = -1
    while seen != sink.count():
        seen = sink.count()
        time.sleep(0.2)


def check_first_death(edition: Edition, point: str, accepted: Counter) -> None:
    shows, size = SHOWS[point], edition.candidates
    for (least, most), number in [
        (shows.sending, len(rows(edition, DeliveryState.SENDING))),
        (shows.sent, len(rows(edition, DeliveryState.SENT))),
        (shows.accepted, accepted.total()),
    ]:
        assert min(least, size) <= number <= most, f"{point}: {number} instead of {least} to {most}"


@pytest.mark.parametrize("policy", list(InDoubt))
def test_a_death_at_a_point_of_the_sending_loop(policy, pick, sink, workers, chance, note):
    found: dict[str, tuple[Edition, set[str], Counter]] = {}
    for place, point in enumerate(SHOWS):
        edition = audience.going_out(pick(20, 2_000), in_doubt=policy)
        Edition.objects.filter(pk=edition.pk).update(priority=place)  # to be claimed first
        call = 1 if point == "before the release" else pick(1, chance.randint(1, 10))
        workers.die_at(point, call=call, task=tasks.send, queue="send")
        settle_down(sink)

        leased = Batch.objects.filter(edition=edition, state=BatchState.LEASED)
        accepted = accepted_of(edition, sink)
        sending = rows(edition, DeliveryState.SENDING)
        tried = Delivery.objects.filter(edition=edition, state=DeliveryState.SENDING)
        assert set(tried.values_list("attempts", flat=True)) <= {1}
        assert len(sending) <= C
        assert set(leased.values_list("lease", flat=True)) == {1}
        if call == 1 and pick(True, False):
            check_first_death(edition, point, accepted)
        assert accepted.keys() <= sending | rows(edition, DeliveryState.SENT)
        found[point] = (edition, sending, accepted)

    workers.start()
    workers.start_beat()
    figures = {}
    for point, (edition, sending, accepted) in found.items():
        workers.wait_for_state(edition, seconds=pick(60, 300))
        figures[point] = books.check(edition, sink, copies_allowed=len(sending))
        if policy == InDoubt.HOLD:
            assert rows(edition, DeliveryState.UNCERTAIN) == sending
            assert figures[point].copies == 0
        else:  # each row that was found is sent again, and only those are
            assert rows(edition, DeliveryState.UNCERTAIN) == set()
            assert figures[point].in_doubt == len(sending)
            assert figures[point].copies == len(sending & accepted.keys())
    note({point: (f.in_doubt, f.copies) for point, f in figures.items()})


def test_a_death_while_rendering_leaves_the_message_open_and_no_mail(pick, sink, workers):
    edition = frozen(audience.newsletter_with(pick(20, 2_000)))
    workers.die_at("after the claim of a cohort", task=tasks.render, queue="render")

    cohort = Cohort.objects.get(edition=edition)
    assert cohort.message is None
    assert cohort.claimed_until is not None
    assert state(edition) == "rendering"

    cohort.claimed_until = None  # a minute later
    cohort.save(update_fields=["claimed_until"])
    workers.start()
    workers.start_beat()
    workers.wait_for_state(edition)
    assert production.CLAIM_SECONDS == 60
    books.check(edition, sink, copies_allowed=0)


def test_every_point_is_tried_somewhere():
    elsewhere = {
        "in a page of the freeze",
        "after a page of the freeze",
        "before the freeze is complete",
        "after the claim of a cohort",
    }
    assert dying.POINTS.keys() == SHOWS.keys() | elsewhere
