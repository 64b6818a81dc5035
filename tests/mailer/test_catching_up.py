"""One mail with the best of a pause, for each reader once, and never an article they had."""

from datetime import date, datetime, time, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from iria_news.articles.models import ArticleState
from mailer import (
    approving,
    catching_up,
    cohorts,
    contents,
    editions,
    ledger,
    messages,
    opening,
    production,
    wording,
)
from mailer.models import CatchUp, Delivery, DeliveryState, Edition, EditionKind, EditionState
from subscribers import preferences
from subscribers.models import Approval, Cadence, Look, Newsletter, Subscriber, Weekday
from tests import factories, message_rules
from tests.mailer.editions import frozen
from tests.mailer.test_pauses import titles

pytestmark = pytest.mark.django_db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def now() -> datetime:
    """A moment just behind the wall time of every newsletter here."""
    return timezone.now()


def daily(now: datetime, name: str = "", **fields) -> Newsletter:
    wall = (now - timedelta(minutes=1)).time().replace(second=0, microsecond=0)
    return factories.make_newsletter(name, wall_time=wall, **fields)


def back(now: datetime, newsletter: Newsletter, *, topics=None, days: int = 10, **fields):
    """A reader whose pause of so many days ended two hours ago."""
    reader = factories.make_subscriber(
        **{"paused_from": now - days * DAY, "paused_until": now - 2 * HOUR, **fields}
    )
    since = now - 300 * DAY
    factories.make_subscription(newsletter, subscriber=reader, topics=topics, since=since)
    return reader


def published(now: datetime, days: float, title: str, topics) -> None:
    factories.make_article(title, topics=topics, published_at=now - days * DAY)


def catch_up(now: datetime) -> list[Edition]:
    """What the tick does, up to the end of the freeze."""
    opened = catching_up.open_due(now=now)
    for edition in opened:
        if editions.begin_freezing(edition):
            assert cohorts.freeze(edition.pk)
        edition.refresh_from_db()
        assert ledger.read(edition.pk).balanced
    return opened


def test_who_is_back_gets_the_five_newest_of_the_pause_in_one_dated_mail(now):
    topic = factories.make_topic()
    newsletter = daily(now)
    for days in range(1, 9):
        published(now, days, f"{days} days ago", [topic])
    published(now, 20, "before the pause", [topic])
    published(now, 0.01, "after the pause", [topic])
    reader = back(now, newsletter)
    factories.make_subscription(newsletter)  # never away

    [edition] = catch_up(now)

    assert titles(reader) == {f"{days} days ago" for days in range(1, 6)}
    assert Delivery.objects.filter(edition=edition).count() == 1
    first, last = (now - 10 * DAY).date(), (now - 2 * HOUR).date()
    assert edition.subject == wording.while_away(first, last)
    assert (edition.kind, edition.approved_by) == (EditionKind.CATCH_UP, None)
    facts, _ = contents.load(edition.pk, 1)
    assert facts.title == f"{newsletter.name}: {edition.subject}"
    assert facts.browser_url == ""


def test_nobody_is_caught_up_with_twice_and_what_came_counts_as_received(now):
    topic = factories.make_topic()
    newsletter = daily(now)
    published(now, 3, "of the pause", [topic])
    reader = back(now, newsletter)

    assert len(catch_up(now)) == 1
    assert catching_up.open_due(now=now) == []
    assert catching_up.open_due(now=now + DAY) == []
    Subscriber.objects.filter(pk=reader.pk).update(paused_from=None, paused_until=None)

    assert frozen(newsletter).excluded == {"nothing_new": 1}
    assert Delivery.objects.filter(subscriber=reader).count() == 1


def test_a_second_pause_is_caught_up_with_as_well(now):
    topic = factories.make_topic()
    newsletter = daily(now)
    published(now, 30, "of the first", [topic])
    reader = back(now - 25 * DAY, newsletter)
    catch_up(now - 25 * DAY)
    published(now, 3, "of the second", [topic])
    Subscriber.objects.filter(pk=reader.pk).update(
        paused_from=now - 5 * DAY, paused_until=now - 2 * HOUR
    )

    catch_up(now)

    assert CatchUp.objects.filter(subscriber=reader).count() == 2
    assert titles(reader) == {"of the first", "of the second"}


def test_an_article_that_a_reader_had_is_never_in_it(now):
    topic = factories.make_topic()
    newsletter, alerts = daily(now), factories.make_newsletter(cadence=Cadence.AT_ONCE)
    published(now, 3, "had as an alert", [topic])
    reader = back(now, newsletter)
    factories.make_subscription(alerts, subscriber=reader, topics=[topic], since=now - 9 * DAY)
    Subscriber.objects.update(paused_from=None, paused_until=None)
    frozen(alerts)
    Subscriber.objects.update(paused_from=now - 10 * DAY, paused_until=now - 2 * HOUR)
    published(now, 4, "not had", [topic])

    [edition] = catch_up(now)

    delivery = Delivery.objects.get(edition=edition, subscriber=reader)
    items = edition.items.select_related("article")
    got = {item.article.title for item in items if item.bit & delivery.cohort.list}
    assert got == {"not had"}


def test_who_has_nothing_left_gets_no_mail_and_is_not_asked_about_again(now):
    here, elsewhere = factories.make_topic(), factories.make_topic()
    newsletter = daily(now)
    published(now, 3, "elsewhere", [elsewhere])
    back(now, newsletter, topics=[here])

    [edition] = catch_up(now)

    assert edition.state == EditionState.SKIPPED
    assert edition.excluded == {"no_articles": 1}
    assert catching_up.open_due(now=now) == []


def test_a_pause_in_which_nothing_was_published_is_recorded_as_skipped(now):
    factories.make_topic()
    back(now, daily(now))

    [edition] = catch_up(now)

    assert (edition.state, edition.reason) == (
        EditionState.SKIPPED,
        "Nothing was published in these days.",
    )


def test_what_stood_high_in_an_edition_comes_before_what_is_new(now):
    topic = factories.make_topic()
    newsletter = daily(now)
    factories.make_subscription(newsletter, since=now - 300 * DAY)
    for title, days in [("third", 8), ("second", 7), ("lead", 6)]:
        published(now, days, title, [topic])
    edition = opening.open_edition(newsletter, slot=now - 5 * DAY)
    editions.begin_freezing(edition)
    assert cohorts.freeze(edition.pk)
    for days in range(1, 5):
        published(now, days, f"new {days}", [topic])
    reader = back(now, newsletter)

    catch_up(now)

    assert titles(reader) == {"lead", "second", "third", "new 1", "new 2"}


def test_of_each_topic_the_five_best_are_carried(now):
    busy, quiet = factories.make_topic(), factories.make_topic()
    newsletter = daily(now)
    for number in range(70):
        published(now, 1 + number / 100, f"busy {number}", [busy])
    for number in range(3):
        published(now, 5 + number / 100, f"quiet {number}", [quiet])
    reader = back(now, newsletter, topics=[quiet])

    [edition] = catch_up(now)

    assert titles(reader) == {"quiet 0", "quiet 1", "quiet 2"}
    assert edition.items.count() == 62


def test_the_digest_that_comes_most_often_is_the_one(now):
    topic = factories.make_topic()
    weekly = daily(now, "Weekly", cadence=Cadence.WEEKLY, weekday=Weekday.MONDAY)
    alert = daily(now, "A daily alert", look=Look.ALERT)
    often = daily(now, "Daily")
    workdays = daily(now, "Workdays", cadence=Cadence.WEEKDAYS)
    off = daily(now, "Off", is_active=False)
    published(now, 3, "of the pause", [topic])
    reader = back(now, weekly)
    for newsletter in (alert, often, workdays, off):
        factories.make_subscription(newsletter, subscriber=reader, since=now - 99 * DAY)

    [edition] = catch_up(now)

    assert edition.newsletter == often
    assert Delivery.objects.filter(subscriber=reader).count() == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"wants_catch_up": False},
        {"paused_until": timezone.now() + 300 * DAY},  # still away
        {"paused_from": None, "paused_until": None},
    ],
)
def test_others_are_not_caught_up_with(fields, now):
    topic = factories.make_topic()
    published(now, 3, "of the pause", [topic])
    back(now, daily(now), **fields)

    assert catch_up(now) == []


def test_who_is_suppressed_paused_anew_or_gone_gets_none(now):
    topic = factories.make_topic()
    newsletter = daily(now)
    published(now, 3, "of the pause", [topic])
    gone, paused, stays = (back(now, newsletter) for _ in range(3))
    [edition] = catching_up.open_due(now=now)
    preferences.leave(gone.subscriptions.get(), source="page")
    Subscriber.objects.filter(pk=paused.pk).update(
        paused_from=edition.due_at - HOUR, paused_until=now + DAY
    )

    editions.begin_freezing(edition)
    assert cohorts.freeze(edition.pk)

    edition.refresh_from_db()
    assert edition.excluded == {"paused": 1}
    assert [d.subscriber for d in Delivery.objects.filter(edition=edition)] == [stays]
    assert ledger.read(edition.pk).balanced


def test_a_newsletter_that_a_person_approves_catches_up_with_what_a_person_approved(
    now, admin_user
):
    topic = factories.make_topic()
    newsletter = daily(now, approval=Approval.PERSON)
    factories.make_subscription(newsletter, since=now - 99 * DAY)
    published(now, 6, "approved", [topic])
    edition = opening.open_edition(newsletter, slot=now - 5 * DAY)
    approving.approve(edition, content_hash=edition.content_hash, by=admin_user)
    editions.begin_freezing(edition)
    assert cohorts.freeze(edition.pk)
    published(now, 3, "never read by anybody", [topic])
    reader = back(now, newsletter)

    catch_up(now)

    assert titles(reader) == {"approved"}


def test_an_article_withdrawn_before_the_freeze_is_left_out_without_asking_anybody(now):
    topic = factories.make_topic()
    newsletter = daily(now)
    published(now, 3, "kept", [topic])
    published(now, 4, "withdrawn", [topic])
    reader = back(now, newsletter)
    [edition] = catching_up.open_due(now=now)
    edition.articles.filter(title="withdrawn").update(state=ArticleState.WITHDRAWN)

    assert editions.begin_freezing(edition)
    assert cohorts.freeze(edition.pk)

    assert titles(reader) == {"kept"}


def test_pauses_of_the_same_days_share_an_edition_and_others_have_their_own(now):
    topic = factories.make_topic()
    newsletter = daily(now)
    published(now, 1, "of the pause", [topic])
    same = [back(now, newsletter, days=10) for _ in range(3)]
    longer = back(now, newsletter, days=12)

    opened = catch_up(now)

    assert len(opened) == 2
    sizes = sorted(edition.catch_ups.count() for edition in opened)
    assert sizes == [1, 3]
    assert all(titles(reader) == {"of the pause"} for reader in [*same, longer])


def test_a_catch_up_changes_nothing_for_the_editions_of_slots(client, now):
    topic = factories.make_topic()
    newsletter = daily(now)
    published(now, 1, "of the pause", [topic])
    back(now, newsletter)
    factories.make_subscription(newsletter, since=now - 99 * DAY)
    [edition] = catch_up(now)
    production.render_waiting()
    production.release_rendered()
    production.start_due()
    edition.refresh_from_db()
    assert edition.state == EditionState.SENDING

    assert opening.why_not_now(newsletter) == ""
    regular = opening.open_edition(newsletter, slot=edition.slot)

    assert regular.items.count() == 1  # what went out as a catch-up only is new to the others
    assert edition.slug not in client.get("/editions/").content.decode()
    assert client.get(f"/editions/{edition.slug}/").status_code == 404


def test_the_mail_keeps_every_rule_and_says_which_days_it_is_about(now):
    topic = factories.make_topic()
    newsletter = daily(now)
    for days in (2, 3, 4):
        published(now, days, f"{days} days ago", [topic])
    back(now, newsletter)
    back(now, newsletter, wants_text=True)
    [edition] = catch_up(now)
    production.render_waiting()

    for cohort in edition.cohorts.all():
        reader = messages.Recipient(
            5, 6, "reader@example.org",
            messages.why_sentence(newsletter.name, date(2026, 2, 3), [], all_topics=True),
        )  # fmt: skip
        values = messages.values(reader, edition_id=edition.pk, at=now)
        raw = messages.join(messages.Compiled.from_bytes(cohort.message), values)
        assert message_rules.broken_rules(raw, newsletter=True) == []
        assert message_rules.subject(raw) == edition.subject
        assert edition.subject in message_rules.Message(raw, "").one_line_text


def test_two_ticks_at_once_open_one_catch_up(now, monkeypatch):
    topic = factories.make_topic()
    newsletter = daily(now)
    published(now, 3, "of the pause", [topic])
    back(now, newsletter)
    groups = catching_up._groups(now)  # the other tick has looked, too
    assert len(catching_up.open_due(now=now)) == 1
    monkeypatch.setattr(catching_up, "_groups", lambda at: groups)

    assert catching_up.open_due(now=now) == []
    assert CatchUp.objects.count() == 1


def test_opening_takes_the_same_statements_for_any_number_of_readers(now):
    topic = factories.make_topic()
    counts = []
    for readers in (1, 20):
        newsletter = daily(now)
        published(now, 3, f"for {readers}", [topic])
        for _ in range(readers):
            back(now, newsletter)
        with CaptureQueriesContext(connection) as captured:
            assert len(catching_up.open_due(now=now)) == 1
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_days_are_those_on_the_clock_of_the_reader(now):
    noon = datetime(2025, 11, 17, 12, tzinfo=now.tzinfo)
    newsletter = factories.make_newsletter(wall_time=time(12, 0), zone="UTC")
    factories.make_article(published_at=noon - 3 * DAY)
    for zone, until in [
        ("America/New_York", "2025-11-17 05:00"),  # midnight there
        ("Asia/Tokyo", "2025-11-16 15:00"),
        ("", "2025-11-17 00:00"),
    ]:
        back(noon, newsletter, zone=zone, paused_from=factories.utc("2025-11-03 12:10"),
             paused_until=factories.utc(until))  # fmt: skip

    [edition] = catching_up.open_due(now=noon)

    assert (edition.away_from, edition.away_to) == (date(2025, 11, 3), date(2025, 11, 16))
    assert edition.subject == "While you were away, 3 to 16 November"
    assert edition.catch_ups.count() == 3


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        (date(2026, 11, 3), date(2026, 11, 17), "3 to 17 November"),
        (date(2026, 10, 28), date(2026, 11, 17), "28 October to 17 November"),
        (date(2026, 12, 28), date(2027, 1, 5), "28 December 2026 to 5 January 2027"),
        (date(2026, 11, 3), date(2026, 11, 3), "3 November"),
    ],
)
def test_the_days_are_said_in_words(first, last, said):
    assert wording.while_away(first, last) == f"While you were away, {said}"


def test_a_failed_catch_up_gives_its_articles_back(now):
    topic = factories.make_topic()
    newsletter = daily(now)
    published(now, 3, "of the pause", [topic])
    reader = back(now, newsletter)
    catch_up(now)
    Delivery.objects.update(state=DeliveryState.FAILED)
    Subscriber.objects.update(paused_from=None, paused_until=None)

    following = frozen(newsletter)

    assert Delivery.objects.filter(edition=following, subscriber=reader).exists()
