"""Readers who chose an hour get an edition when their clock shows it; the others at once."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mailer import cohorts, editions, ledger, monitoring, opening, production
from mailer.admin import totals
from mailer.deliveries import closing, leases, watching
from mailer.models import (
    Batch,
    BatchState,
    Cohort,
    Delivery,
    DeliveryState,
    Edition,
    EditionState,
    Throttle,
    Wave,
)
from subscribers.models import Cadence, Subscriber
from tests import factories
from tests.mailer.editions import frozen, open_now, sending

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def reader_at(newsletter, hour: int | None, zone: str = "", **fields) -> Subscriber:
    subscriber = factories.make_subscriber(hour=hour, zone=zone, **fields)
    topics = [factories.make_topic("Security")]
    return factories.make_subscription(newsletter, subscriber=subscriber, topics=topics).subscriber


def newsletter_with_an_article(**fields):
    topic = factories.make_topic("Security")
    newsletter = factories.make_newsletter(**fields)
    factories.make_article(topics=[topic])
    return newsletter


def in_hours(number: float) -> int:
    """The hour that clocks in UTC show that much later."""
    return (timezone.now() + timedelta(hours=number)).hour


def release_of(subscriber: Subscriber, edition: Edition):
    delivery = Delivery.objects.select_related("batch__wave").get(
        edition=edition, subscriber=subscriber
    )
    assert delivery.batch.not_before == delivery.batch.wave.release_at
    return delivery.batch.wave.release_at


def open_at(newsletter, slot: datetime) -> Edition:
    edition = opening.open_edition(newsletter, slot=slot)
    assert editions.begin_freezing(edition)
    assert cohorts.freeze(edition.pk)
    edition.refresh_from_db()
    return edition


def test_each_hour_and_zone_has_its_wave_and_equal_instants_are_one():
    newsletter = newsletter_with_an_article(zone="Europe/Berlin")
    at_once = reader_at(newsletter, None, "Asia/Tokyo")
    berlin, paris = (reader_at(newsletter, 9, zone) for zone in ("Europe/Berlin", "Europe/Paris"))
    tokyo = reader_at(newsletter, 9, "Asia/Tokyo")
    lost = [reader_at(newsletter, 9, zone) for zone in ("", "Mars/Olympus_Mons")]
    slot = timezone.now().replace(hour=0, minute=30, second=0, microsecond=0)

    edition = open_at(newsletter, slot)

    assert release_of(at_once, edition) == slot
    nine = slot.astimezone(ZoneInfo("Europe/Berlin")).replace(hour=9, minute=0)
    assert {release_of(one, edition) for one in [berlin, paris, *lost]} == {nine}
    assert release_of(tokyo, edition) == slot.replace(minute=0) + 24 * HOUR
    assert Wave.objects.filter(edition=edition).count() == 3
    assert ledger.read(edition.pk).balanced


def test_what_goes_out_at_once_waits_for_no_hour():
    newsletter = newsletter_with_an_article(cadence=Cadence.AT_ONCE, wall_time=None)
    readers = [reader_at(newsletter, hour, "Asia/Tokyo") for hour in (None, 3, 15)]

    edition = frozen(newsletter)

    assert {release_of(reader, edition) for reader in readers} == {edition.due_at}


def test_the_last_wave_has_as_much_time_as_an_only_one():
    newsletter = newsletter_with_an_article()
    reader_at(newsletter, None)
    edition = frozen(newsletter)
    alone = edition.expires_at - edition.due_at
    Edition.objects.filter(pk=edition.pk).update(state=EditionState.CANCELLED)
    Delivery.objects.update(state=DeliveryState.CANCELLED)
    late = reader_at(newsletter, in_hours(20), "UTC")

    edition = frozen(newsletter)

    assert edition.expires_at - release_of(late, edition) == alone == editions.EXPIRES_AFTER


def shape(edition: Edition) -> list[tuple]:
    """Waves, batches and readers, without the numbers of rows."""
    rows = Delivery.objects.filter(edition=edition).order_by("subscriber_id")
    return list(
        rows.values_list(
            "subscriber_id", "batch__first", "batch__size", "batch__wave__release_at",
            "cohort__list", "cohort__is_text",
        )
    )  # fmt: skip


def test_an_interrupted_freeze_gives_the_same_waves_and_batches(monkeypatch):
    monkeypatch.setattr(cohorts, "PAGE", 7)
    monkeypatch.setattr(cohorts, "BATCH", 2)
    newsletter = newsletter_with_an_article()
    for number in range(24):
        zone = ["Europe/Berlin", "Asia/Tokyo", ""][number % 3]
        reader_at(newsletter, [None, 6, 18][number // 3 % 3], zone, wants_text=number % 2 == 0)
    edition = open_now(newsletter)
    editions.begin_freezing(edition)
    assert cohorts.freeze(edition.pk)
    whole = shape(edition)
    assert len(whole) == 24
    Edition.objects.filter(pk=edition.pk).update(
        state=EditionState.FREEZING, cursor=-1, frozen_at=None
    )
    calls = iter(range(100))
    original = cohorts._write_deliveries

    def die(edition) -> None:
        original(edition)
        if next(calls) in (1, 3):
            raise KeyboardInterrupt

    monkeypatch.setattr(cohorts, "_write_deliveries", die)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            cohorts.freeze(edition.pk)

    assert cohorts.freeze(edition.pk)

    assert shape(edition) == whole
    assert ledger.read(edition.pk).balanced


def test_a_page_takes_the_same_statements_for_any_number_of_readers_zones_and_cohorts():
    counts = []
    for readers in (3, 60):
        newsletter = newsletter_with_an_article()
        for number in range(readers):
            zone = ["Europe/Berlin", "Asia/Tokyo", "America/New_York"][number % 3]
            reader_at(newsletter, number % 24, zone, wants_text=number % 2 == 0)
        edition = open_now(newsletter)
        editions.begin_freezing(edition)
        with CaptureQueriesContext(connection) as captured:
            assert cohorts.freeze(edition.pk)
        counts.append(len(captured))
        Edition.objects.filter(pk=edition.pk).update(state=EditionState.CANCELLED)
    assert counts[0] == counts[1]


# --- an edition whose last wave is still to come --------------------------------------------------
def waiting_edition() -> Edition:
    """One reader's mail has been sent, the other waits for a later hour."""
    newsletter = newsletter_with_an_article()
    reader_at(newsletter, None)
    reader_at(newsletter, in_hours(10), "UTC")
    edition = sending(newsletter)
    now = Batch.objects.get(edition=edition, not_before__lte=timezone.now())
    Delivery.objects.filter(batch=now).update(state=DeliveryState.SENT)
    Batch.objects.filter(pk=now.pk).update(state=BatchState.DONE)
    return edition


def later_batch(edition: Edition) -> Batch:
    return edition.batches.get(not_before__gt=timezone.now())


def test_no_worker_gets_a_batch_before_its_wave():
    edition = waiting_edition()

    assert leases.claim("w") is None
    assert monitoring.ready_batches() == {}
    assert monitoring.queue_status().ready_batches == 0
    Batch.objects.filter(edition=edition).update(not_before=timezone.now() - HOUR)
    assert leases.claim("w") is not None


def test_an_edition_is_not_done_before_its_last_wave():
    edition = waiting_edition()

    closing.close_open_batches()

    assert closing.finish() == 0
    edition.refresh_from_db()
    assert edition.state == EditionState.SENDING
    assert ledger.read(edition.pk).balanced


def test_the_next_edition_goes_out_while_the_last_wave_of_the_one_before_still_waits():
    edition = waiting_edition()
    factories.make_article("next", topics=[factories.make_topic("Security")])

    assert opening.why_not_now(edition.newsletter) == ""
    following = sending(edition.newsletter)

    assert [cohort.list for cohort in following.cohorts.all()] == [1]  # the next article alone
    assert Delivery.objects.filter(edition=following).count() == 2


def test_nothing_is_sent_by_hand_while_a_released_wave_is_on_its_way():
    newsletter = newsletter_with_an_article()
    reader_at(newsletter, None)
    reader_at(newsletter, in_hours(10), "UTC")
    sending(newsletter)
    factories.make_article("next", topics=[factories.make_topic("Security")])

    assert "under way" in opening.why_not_now(newsletter)


def test_a_stuck_batch_is_told_before_the_later_waves():
    edition = waiting_edition()
    Batch.objects.filter(edition=edition, state=BatchState.DONE).update(state=BatchState.STUCK)

    closing.finish()

    edition.refresh_from_db()
    assert edition.state == EditionState.PAUSED
    assert "lost their worker" in edition.reason


def test_a_stuck_batch_waits_until_its_own_wave_has_nothing_else_to_do():
    newsletter = newsletter_with_an_article()
    edition = None
    for _ in range(2):
        reader_at(newsletter, None)
    reader_at(newsletter, in_hours(10), "UTC")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cohorts, "BATCH", 1)
        edition = sending(newsletter)
    first = edition.batches.filter(not_before__lte=timezone.now()).first()
    Batch.objects.filter(pk=first.pk).update(state=BatchState.STUCK)

    closing.finish()

    edition.refresh_from_db()
    assert edition.state == EditionState.SENDING


def test_an_edition_that_only_waits_for_an_hour_has_not_tried_in_vain():
    edition = waiting_edition()
    two_hours_ago = timezone.now() - 2 * HOUR
    Edition.objects.filter(pk=edition.pk).update(started_at=two_hours_ago)
    Throttle.objects.create(
        server="default", failures=20, resume_at=timezone.now() + HOUR, reason="No answer."
    )

    assert watching.pause_what_cannot_go_on() == 0
    late = later_batch(edition).wave_id
    Wave.objects.filter(pk=late).update(release_at=two_hours_ago)
    assert watching.pause_what_cannot_go_on() == 1


def test_pausing_and_resuming_leave_the_hours_as_they_were():
    edition = waiting_edition()
    waits = later_batch(edition).not_before

    assert editions.pause(edition, reason="lunch")
    assert editions.resume(edition)
    production.release_rendered()
    production.start_due()

    edition.refresh_from_db()
    assert edition.state == EditionState.SENDING
    assert later_batch(edition).not_before == waits


def test_cancelling_stops_the_waves_to_come_and_gives_their_articles_back():
    edition = waiting_edition()

    editions.cancel(edition, reason="wrong")
    closing.close_open_batches()

    books = ledger.read(edition.pk)
    assert (books.by_state["sent"], books.by_state["cancelled"]) == (1, 1)
    following = frozen(edition.newsletter)
    assert Delivery.objects.filter(edition=following).count() == 1


def test_the_page_of_an_edition_says_when_the_next_wave_leaves():
    edition = waiting_edition()

    waves = totals.read(edition).waves

    assert (waves.number, waves.released) == (2, 1)
    assert waves.next_at == waves.last_at == later_batch(edition).not_before


# --- text only ------------------------------------------------------------------------------------
def test_readers_who_want_text_only_form_cohorts_of_their_own_and_cost_no_premailer():
    newsletter = newsletter_with_an_article()
    wants = reader_at(newsletter, None, wants_text=True)
    reader_at(newsletter, None)

    edition = sending(newsletter)

    text, with_html = Cohort.objects.filter(edition=edition).order_by("-is_text")
    assert (text.is_text, text.size, text.inlinings) == (True, 1, 0)
    assert (with_html.is_text, with_html.size, with_html.inlinings) == (False, 1, 1)
    assert text.list == with_html.list
    assert b"text/html" not in bytes(text.message)
    assert Delivery.objects.get(subscriber=wants).cohort == text
