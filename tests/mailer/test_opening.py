"""What becomes of each slot: met, late, missed, a holiday, or too early for more than a draft."""

from datetime import date, datetime, time, timedelta

import pytest
from django.utils import timezone

from iria_news.articles.models import Topic
from mailer import approving, opening
from mailer.models import Edition, EditionState, Pulse
from subscribers.models import Approval, Cadence, Holiday, Missed, Newsletter
from tests import factories
from tests.factories import utc

pytestmark = pytest.mark.django_db
WEDNESDAY = utc("2027-03-03 06:00")
OFF = "Missed: the service was off at its time."


def daily(**fields) -> Newsletter:
    """Every day at 06:00 UTC since long ago, with a reader and an article."""
    topic = factories.make_topic("Security")
    newsletter = factories.make_newsletter(topics=[topic], created_at=utc("2020-01-01"), **fields)
    factories.make_subscription(newsletter, topics=[topic])
    publish()
    return newsletter


def publish(title: str = "") -> None:
    factories.make_article(title, topics=[Topic.objects.get(slug="security")])


def slots(newsletter: Newsletter) -> dict[datetime, tuple[str, str]]:
    found = newsletter.editions.order_by("slot")
    return {edition.slot: (edition.state, edition.reason) for edition in found}


def since(newsletter: Newsletter, instant: datetime) -> Newsletter:
    """With no business before an instant."""
    newsletter.scheduled_since = instant
    newsletter.save()
    return newsletter


def titles(edition: Edition) -> list[str]:
    return list(edition.items.order_by("bit").values_list("article__title", flat=True))


# --- missed slots -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("missed", "hours", "late_by", "state"),
    [
        (Missed.LATE, 6, timedelta(hours=3), EditionState.APPROVED),
        (Missed.LATE, 6, timedelta(hours=5, minutes=59), EditionState.APPROVED),
        (Missed.LATE, 6, timedelta(hours=6), EditionState.SKIPPED),
        (Missed.LATE, 1, timedelta(minutes=59), EditionState.APPROVED),
        (Missed.LATE, 1, timedelta(hours=1), EditionState.SKIPPED),
        (Missed.SKIP, 6, timedelta(minutes=9), EditionState.APPROVED),
        (Missed.SKIP, 6, timedelta(minutes=10), EditionState.SKIPPED),
    ],
)
def test_a_missed_slot_is_sent_late_or_skipped_as_its_newsletter_has_it(
    missed, hours, late_by, state
):
    newsletter = since(daily(missed=missed, late_hours=hours), WEDNESDAY - timedelta(hours=1))

    opening.open_due(now=WEDNESDAY + late_by)

    reason = OFF if state == EditionState.SKIPPED else ""
    assert slots(newsletter) == {WEDNESDAY: (state, reason)}


def test_after_days_without_a_tick_one_edition_catches_up_and_the_others_are_recorded():
    newsletter = daily()

    opened = opening.open_due(now=WEDNESDAY + timedelta(minutes=30))

    found = slots(newsletter)
    assert [edition.slot for edition in opened] == [WEDNESDAY]
    assert found.pop(WEDNESDAY) == (EditionState.APPROVED, "")
    assert set(found) == {WEDNESDAY - timedelta(days=days) for days in range(1, 7)}
    assert set(found.values()) == {(EditionState.SKIPPED, OFF)}


def test_nothing_is_recorded_from_before_a_newsletter_was_made():
    newsletter = daily()
    Newsletter.objects.filter(pk=newsletter.pk).update(created_at=WEDNESDAY - timedelta(hours=1))

    opening.open_due(now=WEDNESDAY + timedelta(days=1))

    assert list(slots(newsletter)) == [WEDNESDAY, WEDNESDAY + timedelta(days=1)]


def test_a_newsletter_made_or_moved_at_noon_does_not_send_this_mornings_edition():
    newsletter = since(daily(), WEDNESDAY + timedelta(hours=2))

    opening.open_due(now=WEDNESDAY + timedelta(hours=3))

    assert slots(newsletter) == {}


def test_a_late_edition_has_as_much_time_as_one_in_time():
    newsletter = since(daily(late_hours=36), WEDNESDAY - timedelta(hours=1))
    now = WEDNESDAY + timedelta(hours=20)

    [edition] = opening.open_due(now=now)

    assert edition.slot == edition.due_at == WEDNESDAY
    assert edition.expires_at == now + timedelta(hours=36)
    assert edition.newsletter == newsletter


def test_the_reason_tells_a_service_that_was_off_from_one_that_could_not():
    Pulse.objects.create(name="tick", at=WEDNESDAY - timedelta(minutes=1))
    off = since(daily(missed=Missed.SKIP), WEDNESDAY - timedelta(hours=1))
    opening.open_due(now=WEDNESDAY + timedelta(hours=1))
    Pulse.objects.update(at=WEDNESDAY + timedelta(hours=1))
    could_not = since(daily(missed=Missed.SKIP), WEDNESDAY - timedelta(hours=1))

    opening.open_due(now=WEDNESDAY + timedelta(hours=2))

    assert slots(off)[WEDNESDAY][1] == OFF
    assert slots(could_not)[WEDNESDAY][1] == (
        "Missed: its edition could not be opened, the log says why."
    )


def test_an_alert_that_is_too_late_by_its_newsletters_rule_does_not_go_out():
    now = timezone.now()
    fields = {"cadence": Cadence.AT_ONCE, "wall_time": None, "created_at": utc("2020-01-01")}
    late = factories.make_newsletter(late_hours=2, **fields)
    never_late = factories.make_newsletter(missed=Missed.SKIP, **fields)
    factories.make_article("an hour ago", published_at=now - timedelta(hours=1))
    factories.make_article("before", published_at=now - timedelta(hours=3))
    factories.make_article("just now", published_at=now - timedelta(minutes=5))

    opening.open_due(now=now)

    of = {each: sorted(titles(e)[0] for e in each.editions.all()) for each in (late, never_late)}
    assert of == {late: ["an hour ago", "just now"], never_late: ["just now"]}


# --- ticks --------------------------------------------------------------------------------------


def test_two_beats_make_one_row_of_each_slot():
    newsletter = daily()

    for _ in range(3):
        opening.open_due(now=WEDNESDAY)
        opening.open_due(now=WEDNESDAY + timedelta(seconds=5))

    found = list(newsletter.editions.values_list("slot", flat=True))
    assert len(found) == len(set(found)) == 7


def test_without_a_beat_for_three_hours_there_is_one_late_edition():
    newsletter = since(daily(), WEDNESDAY - timedelta(days=1))
    opening.open_due(now=WEDNESDAY - timedelta(minutes=1))

    opening.open_due(now=WEDNESDAY + timedelta(hours=2, minutes=59))
    opening.open_due(now=WEDNESDAY + timedelta(hours=3))

    assert slots(newsletter) == {WEDNESDAY: (EditionState.APPROVED, "")}


def test_a_slot_that_another_tick_has_recorded_meanwhile_is_left_to_it():
    newsletter = since(daily(missed=Missed.SKIP), WEDNESDAY - timedelta(hours=1))
    slot = opening.Slot(WEDNESDAY, WEDNESDAY.date())

    for _ in range(2):
        opening._record(newsletter, slot, OFF)

    assert slots(newsletter) == {WEDNESDAY: (EditionState.SKIPPED, OFF)}


def test_a_zone_has_the_same_slots_under_its_old_and_its_new_name():
    old, new = (
        since(daily(zone=zone, wall_time=time(8)), WEDNESDAY - timedelta(hours=1))
        for zone in ("Europe/Kiev", "Europe/Kyiv")
    )

    opening.open_due(now=WEDNESDAY + timedelta(minutes=1))

    assert list(slots(old)) == list(slots(new)) == [WEDNESDAY]


def test_in_a_zone_that_is_gone_the_wall_time_counts_as_utc():
    newsletter = since(daily(zone="Europe/Atlantis"), WEDNESDAY - timedelta(hours=1))

    opening.open_due(now=WEDNESDAY)

    assert slots(newsletter) == {WEDNESDAY: (EditionState.APPROVED, "")}


# --- holidays -----------------------------------------------------------------------------------


def test_a_holiday_is_no_slot_but_it_is_recorded():
    mine = since(daily(), WEDNESDAY - timedelta(hours=1))
    other = since(daily(), WEDNESDAY - timedelta(hours=1))
    Holiday.objects.create(newsletter=mine, day=WEDNESDAY.date(), name="Founders’ Day")
    Holiday.objects.create(day=WEDNESDAY.date() + timedelta(days=1), name="Easter Monday")

    opening.open_due(now=WEDNESDAY)
    opening.open_due(now=WEDNESDAY + timedelta(days=1))

    next_day = (EditionState.SKIPPED, "Holiday: Easter Monday.")
    assert list(slots(mine).values()) == [
        (EditionState.SKIPPED, "Holiday: Founders’ Day."),
        next_day,
    ]
    assert list(slots(other).values()) == [(EditionState.APPROVED, ""), next_day]


def test_a_holiday_is_a_day_of_the_newsletters_zone():
    zone = "Pacific/Kiritimati"  # 14 hours ahead: its 4 March begins on the 3rd in UTC
    newsletter = since(daily(zone=zone, wall_time=time(6)), WEDNESDAY - timedelta(hours=1))
    Holiday.objects.create(day=date(2027, 3, 4), name="There")

    opening.open_due(now=utc("2027-03-03 16:00"))

    assert slots(newsletter) == {utc("2027-03-03 16:00"): (EditionState.SKIPPED, "Holiday: There.")}


def test_a_slot_that_was_missed_is_not_sent_late_on_a_holiday():
    newsletter = since(daily(late_hours=36), WEDNESDAY - timedelta(hours=1))
    tomorrow = WEDNESDAY + timedelta(days=1)
    Holiday.objects.create(day=tomorrow.date(), name="Easter Monday")

    opening.open_due(now=tomorrow + timedelta(minutes=1))

    assert slots(newsletter) == {
        WEDNESDAY: (EditionState.SKIPPED, OFF),
        tomorrow: (EditionState.SKIPPED, "Holiday: Easter Monday."),
    }


# --- drafts made ahead --------------------------------------------------------------------------


def ahead(**fields) -> Newsletter:
    """With drafts made twelve hours before their slots."""
    return since(daily(draft_hours=12, **fields), WEDNESDAY - timedelta(hours=23))


def only_edition(newsletter: Newsletter) -> Edition:
    return newsletter.editions.get(slot=WEDNESDAY)


def test_a_draft_is_made_ahead_of_its_slot_and_not_before():
    newsletter = ahead()

    opening.open_due(now=WEDNESDAY - timedelta(hours=12, seconds=1))
    before = slots(newsletter)
    opening.open_due(now=WEDNESDAY - timedelta(hours=12))

    assert before == {}
    assert slots(newsletter) == {WEDNESDAY: (EditionState.DRAFT, "")}


def test_an_untouched_draft_follows_the_news_and_leaves_when_it_is_due():
    newsletter = ahead()
    opening.open_due(now=WEDNESDAY - timedelta(hours=11))
    publish("Late news")
    opening.open_due(now=WEDNESDAY - timedelta(hours=1))
    in_time = titles(only_edition(newsletter))
    publish("Last minute")

    opening.open_due(now=WEDNESDAY)

    edition = only_edition(newsletter)
    assert "Late news" in in_time
    assert "Last minute" in titles(edition)
    assert edition.state == EditionState.APPROVED
    assert edition.due_at == WEDNESDAY
    assert edition.content_hash == approving.content_hash(edition)


def test_what_a_person_has_chosen_stays_chosen():
    newsletter = ahead()
    opening.open_due(now=WEDNESDAY - timedelta(hours=11))
    Edition.objects.filter(newsletter=newsletter).update(version=1)
    before = titles(only_edition(newsletter))
    publish("Late news")

    opening.open_due(now=WEDNESDAY)

    edition = only_edition(newsletter)
    assert titles(edition) == before
    assert edition.state == EditionState.APPROVED


def test_an_article_that_changes_after_the_draft_was_touched_does_not_keep_it_back():
    newsletter = ahead()
    opening.open_due(now=WEDNESDAY - timedelta(hours=11))
    Edition.objects.filter(newsletter=newsletter).update(version=1)
    article = only_edition(newsletter).items.get().article
    article.title = "Another title"
    article.save()

    opening.open_due(now=WEDNESDAY)

    assert only_edition(newsletter).state == EditionState.APPROVED


def test_a_draft_with_too_little_news_is_skipped_when_it_is_due_and_not_before():
    newsletter = ahead(min_articles=3)
    opening.open_due(now=WEDNESDAY - timedelta(hours=11))
    early = only_edition(newsletter).state

    opening.open_due(now=WEDNESDAY)

    assert early == EditionState.DRAFT
    assert slots(newsletter) == {WEDNESDAY: (EditionState.SKIPPED, "1 new article, minimum 3")}


def test_what_needs_a_person_waits_for_one_and_is_skipped_when_it_is_no_news_any_more():
    newsletter = ahead(approval=Approval.PERSON)
    opening.open_due(now=WEDNESDAY - timedelta(hours=11))
    opening.open_due(now=WEDNESDAY)
    opening.open_due(now=WEDNESDAY + timedelta(hours=23))  # long after its time
    waiting = only_edition(newsletter).state

    opening.open_due(now=WEDNESDAY + timedelta(hours=36))

    edition = only_edition(newsletter)
    assert waiting == EditionState.DRAFT
    assert (edition.state, edition.reason) == (
        EditionState.SKIPPED,
        "Nobody approved it in time.",
    )
    assert edition.finished_at is not None


def test_an_approval_that_was_taken_back_is_not_given_again_by_the_clock(admin_user):
    newsletter = ahead()
    opening.open_due(now=WEDNESDAY - timedelta(hours=11))
    edition = only_edition(newsletter)
    read = approving.content_hash(edition)
    assert approving.approve(edition, content_hash=read, by=admin_user)
    assert approving.undo(edition, by=admin_user)

    opening.open_due(now=WEDNESDAY)

    assert only_edition(newsletter).state == EditionState.DRAFT


def test_a_draft_approved_early_waits_for_its_slot(admin_user):
    newsletter = ahead()
    opening.open_due(now=WEDNESDAY - timedelta(hours=11))
    edition = only_edition(newsletter)

    assert approving.approve(edition, content_hash=approving.content_hash(edition), by=admin_user)

    edition.refresh_from_db()
    assert edition.due_at == WEDNESDAY
    assert opening.why_not_now(newsletter) == ""  # what waits for its slot is not under way
    opening.open_due(now=WEDNESDAY)
    assert slots(newsletter) == {WEDNESDAY: (EditionState.APPROVED, "")}


def test_a_holiday_named_after_the_draft_was_made_takes_its_slot():
    untouched, touched = ahead(), ahead()
    opening.open_due(now=WEDNESDAY - timedelta(hours=11))
    touched.editions.update(version=1)
    Holiday.objects.create(day=WEDNESDAY.date(), name="Easter Monday")

    opening.open_due(now=WEDNESDAY - timedelta(hours=10))
    before = slots(untouched), slots(touched)
    for _ in range(2):
        opening.open_due(now=WEDNESDAY)

    reason = "Holiday: Easter Monday."
    assert before == ({}, {WEDNESDAY: (EditionState.DRAFT, "")})
    assert slots(untouched) == {WEDNESDAY: (EditionState.SKIPPED, reason)}
    assert slots(touched) == {
        WEDNESDAY: (EditionState.DRAFT, f"{reason} Approve it to send it all the same.")
    }


def test_a_draft_goes_with_the_slot_that_its_newsletter_has_no_more():
    newsletter = ahead()
    opening.open_due(now=WEDNESDAY - timedelta(hours=11))
    newsletter.wall_time = time(7)
    newsletter.save()

    opening.open_due(now=WEDNESDAY - timedelta(hours=10))

    assert slots(newsletter) == {WEDNESDAY + timedelta(hours=1): (EditionState.DRAFT, "")}


def test_a_draft_held_back_by_hand_is_never_sent_by_the_clock():
    newsletter = daily()
    now = timezone.now()
    edition = opening.open_edition(newsletter, slot=now, hold=True)

    for minutes in (1, 60, 24 * 60):
        opening.open_due(now=now + timedelta(minutes=minutes))

    edition.refresh_from_db()
    assert edition.state == EditionState.DRAFT


def test_a_tick_with_nothing_to_do_takes_few_statements(django_assert_max_num_queries):
    ahead()
    opening.open_due(now=WEDNESDAY)

    with django_assert_max_num_queries(4):  # holidays, newsletters, its editions, what expired
        opening.open_due(now=WEDNESDAY + timedelta(seconds=5))
