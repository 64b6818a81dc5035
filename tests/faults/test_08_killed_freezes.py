"""Test 8: the audience is written down once, whoever dies over it and whoever comes and goes."""

import pytest
from django.db.models import Max

from mailer import editions, tasks
from mailer.models import Delivery, DeliveryState, Edition, EditionState
from subscribers import preferences
from subscribers.models import Subscription
from tests.faults import audience, books
from tests.faults.workers import state

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]

POINTS = ["in a page of the freeze", "after a page of the freeze"]


def pages_left(edition: Edition, page: int) -> int:
    cursor = Edition.objects.values_list("cursor", flat=True).get(pk=edition.pk)
    places = Subscription.objects.filter(newsletter=edition.newsletter, ended_at=None)
    return -(-places.filter(subscriber_id__gt=max(cursor, 0)).count() // page)


def come_and_go(edition: Edition, chance) -> None:
    """Readers leave, before the cursor and behind it; others join."""
    places = list(Subscription.objects.filter(newsletter=edition.newsletter, ended_at=None))
    for place in chance.sample(places, len(places) // 50):
        preferences.leave(place, source="test")
    audience.add_readers(edition.newsletter, edition.newsletter.topics.get(), 3)


def check_audience(edition: Edition, sink) -> books.Figures:
    figures = books.check(edition, sink, copies_allowed=0)
    frozen = set(Delivery.objects.filter(edition=edition).values_list("subscriber_id", flat=True))
    staying = Subscription.objects.filter(
        newsletter=edition.newsletter,
        ended_at=None,
        subscriber_id__lte=max(frozen),
    )
    assert set(staying.values_list("subscriber_id", flat=True)) <= frozen
    gone = Subscription.objects.filter(
        newsletter=edition.newsletter, ended_at__isnull=False, subscriber_id__in=frozen
    ).values_list("subscriber__address", flat=True)
    assert not set(gone) & {mail.recipient for mail in sink.accepted}
    skipped = Delivery.objects.filter(edition=edition, state=DeliveryState.SKIPPED).count()
    assert skipped == len(set(gone))
    return figures


def test_a_freeze_killed_at_random_pages_counts_everybody_once(pick, sink, workers, chance, note):
    page = pick(20, 500)
    pages = ("constants", {"mailer.cohorts:PAGE": page})
    edition = audience.approved(pick(200, 20_000))
    assert editions.begin_freezing(edition)
    arguments = (edition.pk,)
    for _ in range(pick(3, 10)):
        left = pages_left(edition, page)
        call = min(chance.randint(1, pick(3, 8)), left)
        workers.die_at(
            chance.choice(POINTS),
            task=tasks.freeze,
            queue="freeze",
            arguments=arguments,
            call=call,
            faults=(pages,),
        )
        assert state(edition) == EditionState.FREEZING
        come_and_go(edition, chance)
    workers.die_at(
        "before the freeze is complete",
        task=tasks.freeze,
        queue="freeze",
        arguments=arguments,
        faults=(pages,),
    )
    assert Edition.objects.get(pk=edition.pk).frozen_at is None
    come_and_go(edition, chance)

    workers.start(pages)
    workers.start_beat()
    workers.wait_for_state(edition, seconds=pick(60, 300))
    note((f"{workers.kills} kills", check_audience(edition, sink)))


def test_a_page_whose_commit_was_never_answered_is_not_written_again(pick, sink, workers, chance):
    page = pick(20, 500)
    edition = audience.approved(pick(100, 10_000))
    workers.start(
        ("constants", {"mailer.cohorts:PAGE": page}),
        ("cut", {"where": "mailer.cohorts:_freeze_page", "call": chance.randint(1, 4)}),
    )
    workers.start_beat()
    workers.wait_for_state(edition, seconds=pick(60, 300))
    figures = check_audience(edition, sink)
    assert figures.deliveries == pick(100, 10_000)
    last = Delivery.objects.filter(edition=edition).aggregate(Max("subscriber_id"))
    assert Edition.objects.get(pk=edition.pk).cursor == last["subscriber_id__max"]
