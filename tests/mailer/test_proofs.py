"""verify_ledger proves from rows that nobody got an article twice and that nobody missed one."""

import json
from datetime import datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from iria_news.articles.models import Article, Correction
from mailer import proofs, proved
from mailer.models import (
    Cohort,
    Delivery,
    DeliveryState,
    Edition,
    EditionCorrection,
    EditionState,
)
from subscribers import consent, preferences
from subscribers.models import ConsentEvent, ConsentKind, Subscriber, Subscription
from tests import factories
from tests.mailer.editions import audience, daily, frozen

pytestmark = pytest.mark.django_db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def add_delivery(edition: Edition, subscriber: Subscriber, articles: list[Article]) -> Delivery:
    """A row as no freeze would write it."""
    items = edition.items.filter(article__in=articles)
    cohort, _ = Cohort.objects.get_or_create(
        edition=edition, language="en", list=sum(item.bit for item in items)
    )
    batch = edition.batches.first()
    return Delivery.objects.create(
        edition=edition, subscriber=subscriber, batch=batch, cohort=cohort
    )


def forget(edition: Edition, subscriber: Subscriber) -> None:
    Delivery.objects.filter(edition=edition, subscriber=subscriber).delete()


def settle(edition: Edition, state: DeliveryState, *, at: datetime | None = None) -> None:
    Delivery.objects.filter(edition=edition).update(state=state, settled_at=at or timezone.now())


def put_back(edition: Edition, by: timedelta) -> None:
    """Let what was done just now have been done that long ago."""
    edition.refresh_from_db()
    for name in ("slot", "due_at", "approved_at", "frozen_at"):
        setattr(edition, name, getattr(edition, name) - by)
    edition.save()


def only_reader() -> Subscriber:
    return Subscriber.objects.get()


def test_what_the_freeze_writes_is_proved_over_several_newsletters():
    asia, europe = factories.make_topic("Asia"), factories.make_topic("Europe")
    newsletters = [factories.make_newsletter() for _ in range(3)]
    readers = audience(newsletters[0], 2, [asia]) + audience(newsletters[1], 2, [asia, europe])
    for reader in readers[1:3]:
        factories.make_subscription(newsletters[2], subscriber=reader, topics=[asia, europe])
    for newsletter in newsletters:
        factories.make_article(topics=[asia])
        factories.make_article(topics=[asia, europe])
        frozen(newsletter)

    found = proofs.prove()

    assert found.hold
    assert (found.readers, found.articles) == (4, 6)
    assert found.received == 2 + 6 + 6 + 4
    assert not found.examples
    assert not +found.due


def test_an_article_that_came_twice_is_found_and_told():
    newsletter = daily(readers=2, articles=2)
    first = frozen(newsletter)
    factories.make_article(topics=[factories.make_topic("Security")])
    second = frozen(newsletter)
    reader = Delivery.objects.filter(edition=first).first().subscriber
    again = second.items.filter(article__in=first.articles.all()).first().article
    forget(second, reader)
    add_delivery(second, reader, [again, second.items.exclude(article=again)[0].article])

    found = proofs.prove()

    assert not found.hold
    assert f"Reader {reader.pk} received article {again.pk} 2 times." in found.examples


@pytest.mark.parametrize("state", [state for state in DeliveryState if state != "sent"])
def test_only_what_counts_as_received_can_come_twice(state):
    newsletter = daily(readers=1)
    frozen(newsletter)
    reader = only_reader()
    other = frozen(factories.make_newsletter(topics=[factories.make_topic("Security")]))
    edition = Edition.objects.exclude(pk=other.pk).get()
    Edition.objects.filter(pk=other.pk).update(state=EditionState.DONE)
    batch = edition.batches.get()
    cohort = Cohort.objects.create(edition=other, language="en", list=1)
    Delivery.objects.create(
        edition=other, subscriber=reader, batch=batch, cohort=cohort, state=state
    )

    came = state in (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.UNCERTAIN)
    assert proofs.prove().repeated == int(came)


def test_an_article_that_was_missed_is_found_and_told():
    edition = frozen(daily(readers=2))
    reader = Delivery.objects.filter(edition=edition).first().subscriber
    forget(edition, reader)

    found = proofs.prove()

    assert found.due[proved.MISSED] == 1
    assert not found.hold
    [said] = found.examples
    article, newsletter = edition.items.get().article_id, edition.newsletter_id
    assert said == f"Reader {reader.pk} of newsletter {newsletter} missed article {article}."


def test_what_came_through_another_newsletter_is_not_missed():
    newsletter = daily(readers=1)
    other = factories.make_newsletter()
    factories.make_subscription(
        other, subscriber=only_reader(), topics=[factories.make_topic("Security")]
    )
    frozen(newsletter)

    assert frozen(other).state == EditionState.SKIPPED
    assert proofs.prove().hold


@pytest.mark.parametrize("state", ["failed", "skipped", "cancelled"])
def test_what_was_lost_with_its_delivery_is_counted_and_not_called_missed(state):
    settle(frozen(daily(readers=3)), DeliveryState(state))

    found = proofs.prove()

    assert found.hold
    assert found.due[proved.LOST] == 3
    assert "3 articles that readers were due went with a delivery that was lost" in str(found)


def test_what_was_lost_and_not_given_back_is_missed():
    newsletter = daily(readers=1)
    first = frozen(newsletter)
    settle(first, DeliveryState.FAILED, at=timezone.now() - HOUR)
    put_back(first, DAY)
    factories.make_article(topics=[factories.make_topic("Security")])
    second = frozen(newsletter)
    [new] = second.articles.exclude(pk__in=first.articles.all())
    assert proofs.prove().hold

    forget(second, only_reader())
    add_delivery(second, only_reader(), [new])

    found = proofs.prove()
    assert (found.due[proved.MISSED], found.due[proved.LOST]) == (1, 0)


def test_what_was_lost_after_the_next_audience_was_written_is_not_missed():
    newsletter = daily(readers=1)
    first = frozen(newsletter)
    factories.make_article(topics=[factories.make_topic("Security")])
    frozen(newsletter)  # leaves out what is on its way with the first
    settle(first, DeliveryState.FAILED)

    found = proofs.prove()

    assert found.hold
    assert found.due[proved.LOST] == 1


def test_what_was_published_before_a_topic_was_followed_is_not_missed():
    newsletter = daily(readers=0)
    security = factories.make_topic("Security")
    audience(newsletter, 1, [security])
    factories.make_subscription(newsletter, topics=[security], since=timezone.now() - HOUR / 2)
    frozen(newsletter)

    assert proofs.prove().hold


def test_who_joined_after_an_edition_was_approved_was_not_owed_it():
    newsletter = daily(readers=1)
    edition = frozen(newsletter)
    imported = audience(newsletter, 1, [factories.make_topic("Security")])[0]
    Subscription.objects.filter(subscriber=imported).update(created_at=timezone.now())

    assert proofs.prove().hold
    assert not Delivery.objects.filter(edition=edition, subscriber=imported).exists()


@pytest.mark.parametrize(
    ("begins", "ends", "owed"),
    [
        (-DAY, DAY, False),  # in the middle of a pause
        (-9 * DAY, -3 * DAY, True),  # long over
        (-DAY, -2 * HOUR, False),  # just over, and the article is of the pause
        (HOUR, DAY, True),  # it began afterwards
    ],
)
def test_what_is_no_news_because_of_a_pause_is_not_missed(begins, ends, owed):
    newsletter = factories.make_newsletter()
    topic = factories.make_topic()
    factories.make_article(topics=[topic], published_at=timezone.now() - 3 * HOUR)
    [reader] = audience(newsletter, 1, [topic])
    audience(newsletter, 1, [topic])
    edition = frozen(newsletter)
    forget(edition, reader)
    Subscriber.objects.filter(pk=reader.pk).update(
        paused_from=timezone.now() + begins, paused_until=timezone.now() + ends
    )

    assert proofs.prove().due[proved.MISSED] == int(owed)


def test_of_the_time_before_two_pauses_nothing_is_claimed():
    edition = frozen(daily(readers=2))
    reader = Delivery.objects.first().subscriber
    forget(edition, reader)
    now = timezone.now()
    ConsentEvent.objects.create(
        subscriber=reader, kind=ConsentKind.CHANGED, wording=consent.CHOOSE, source="page: pause"
    )
    Subscriber.objects.filter(pk=reader.pk).update(
        paused_from=now + HOUR, paused_until=now + 2 * HOUR
    )

    assert proofs.prove().hold


def test_who_was_gone_when_the_audience_was_written_and_came_back_is_owed_what_follows():
    newsletter = daily(readers=1)
    place = Subscription.objects.get()
    audience(newsletter, 1, [factories.make_topic("Security")])
    preferences.leave(place, source="page")
    first = frozen(newsletter)
    put_back(first, timedelta(0))
    place.refresh_from_db()
    assert preferences.rejoin(place, source="page")

    assert proofs.prove().hold

    factories.make_article(topics=[factories.make_topic("Security")])
    second = frozen(newsletter)
    assert proofs.prove().hold
    assert Delivery.objects.get(edition=second, subscriber=place.subscriber)
    forget(second, place.subscriber)
    assert proofs.prove().due[proved.MISSED] == 2


def test_who_left_or_was_suppressed_is_owed_nothing():
    edition = frozen(daily(readers=1))
    forget(edition, only_reader())
    Subscription.objects.update(ended_at=timezone.now(), ended_by="page")

    assert proofs.prove().hold


def test_an_edition_that_was_cancelled_owes_nothing():
    edition = frozen(daily(readers=2))
    Delivery.objects.all().delete()
    Edition.objects.filter(pk=edition.pk).update(state=EditionState.CANCELLED)

    assert proofs.prove().hold


def test_a_topic_that_an_article_got_later_is_told_apart_from_what_was_missed():
    newsletter = daily(readers=1)
    late = factories.make_topic("Late")
    audience(newsletter, 2, [late])
    frozen(newsletter)
    article = Article.objects.get()
    article.topics.add(late)
    article.save()

    found = proofs.prove()

    assert found.hold
    assert found.due[proved.CHANGED] == 2


def test_who_had_mails_enough_that_day_is_told_apart_from_those_who_missed_something():
    newsletter = daily(readers=1)
    frozen(newsletter)
    factories.make_article(topics=[factories.make_topic("Security")])
    second = frozen(newsletter)
    forget(second, only_reader())
    Edition.objects.filter(pk=second.pk).update(excluded={"daily_cap": 1})

    found = proofs.prove()

    assert found.hold
    assert found.due[proved.CAPPED] == 1


def told(edition: Edition, correction: Correction, *subscribers: Subscriber) -> None:
    """Let an edition tell these readers of a correction."""
    EditionCorrection.objects.get_or_create(edition=edition, correction=correction, bit=1)
    for subscriber in subscribers:
        rows = Delivery.objects.filter(edition=edition, subscriber=subscriber)
        cohort = rows.get().cohort
        with_it, _ = Cohort.objects.get_or_create(
            edition=edition, language="en", list=cohort.list, corrections=1
        )
        rows.update(cohort=with_it)


@pytest.fixture
def corrected():
    """An edition, a correction of its article, and two editions that could tell of it."""
    newsletter = daily(readers=2)
    first = frozen(newsletter)
    put_back(first, DAY)
    correction = Correction.objects.create(article=Article.objects.get(), note="It was Tuesday.")
    later = []
    for _ in range(2):
        factories.make_article(topics=[factories.make_topic("Security")])
        later.append(frozen(newsletter))
    return correction, later, [row.subscriber for row in Delivery.objects.filter(edition=first)]


def test_a_correction_that_was_told_once_is_proved(corrected):
    correction, [second, _], readers = corrected
    told(second, correction, *readers)

    found = proofs.prove()

    assert found.hold
    assert found.corrections == 2
    assert "2 corrections told: 0 more than once" in str(found)


def test_a_correction_that_was_told_twice_is_found(corrected):
    correction, [second, third], readers = corrected
    told(second, correction, *readers)
    told(third, correction, readers[1])

    found = proofs.prove()

    assert not found.hold
    assert found.corrections_repeated == 1
    assert f"Reader {readers[1].pk} was told correction {correction.pk} 2 times." in found.examples


def test_a_correction_told_to_somebody_without_the_earlier_text_is_found(corrected):
    correction, [second, _], readers = corrected
    told(second, correction, readers[0])
    Delivery.objects.filter(edition__lt=second, subscriber=readers[0]).delete()

    assert proofs.prove().corrections_astray == 1


def test_pages_do_not_change_what_is_found(monkeypatch):
    newsletter = daily(readers=9, articles=3)
    first = frozen(newsletter)
    for row in Delivery.objects.filter(edition=first)[:4]:
        forget(first, row.subscriber)
    whole = proofs.prove()

    monkeypatch.setattr(proofs, "PAGE", 2)

    assert proofs.prove() == whole
    assert whole.due[proved.MISSED] == 12
    assert len(whole.examples) == proofs.MOST_EXAMPLES


def test_more_articles_than_a_shelf_holds_are_told_apart():
    newsletter = daily(readers=2, articles=62, max_articles=62)
    first = frozen(newsletter)
    for _ in range(30):
        factories.make_article(topics=[factories.make_topic("Security")])
    frozen(newsletter)

    found = proofs.prove()

    assert (found.articles, found.received, found.hold) == (92, 184, True)
    reader = Delivery.objects.filter(edition=first).first().subscriber
    forget(first, reader)
    assert proofs.prove().due[proved.MISSED] == 62


def test_a_page_takes_the_same_number_of_statements_for_any_number_of_readers():
    counts = []
    for readers in (2, 30):
        newsletter = factories.make_newsletter()
        topics = [factories.make_topic() for _ in range(3)]
        for topic in topics:
            factories.make_article(topics=[topic])
        for number in range(readers):
            audience(newsletter, 1, topics[: 1 + number % 3])
        forget(frozen(newsletter), Subscriber.objects.last())
        with CaptureQueriesContext(connection) as queries:
            proofs.prove()
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_nothing_is_left_behind_and_an_empty_service_is_proved():
    found = proofs.prove()

    assert found.hold
    assert found.readers == 0
    with connection.cursor() as cursor, pytest.raises(Exception, match="proof_"):
        cursor.execute("SELECT * FROM proof_article")


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("verify_ledger", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_tells_in_words_and_in_json_and_knows_when_to_fail():
    edition = frozen(daily(readers=2))
    assert "2 readers received 2 articles, of 1 different ones" in run()
    last = json.loads(run("--json").splitlines()[-1])
    assert last["proofs"]["hold"]
    assert last["proofs"]["due"] == {"missed": 0, "lost": 0, "capped": 0, "changed": 0}
    assert "proofs" not in run(str(edition.pk), "--json")

    forget(edition, Delivery.objects.first().subscriber)

    with pytest.raises(CommandError, match=r"do not balance.*missed something"):
        run()
