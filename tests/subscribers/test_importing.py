"""What an import does with each kind of row, and above all what it never does."""

import itertools
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from subscribers import confirmation, preferences, suppression
from subscribers.importing import jobs
from subscribers.importing.pages import Plan
from subscribers.models import (
    ConsentEvent,
    ImportState,
    Proof,
    ServiceMail,
    Subscriber,
    SubscriberImport,
    Subscription,
    Suppression,
    SuppressionReason,
)
from tests import factories

pytestmark = pytest.mark.django_db

PROVED = "2026-05-04 10:00,paper form"


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    settings.DATA_DIR = tmp_path


@pytest.fixture
def daily(db):
    factories.make_topic("Europe")
    factories.make_topic("Asia")
    return factories.make_newsletter("Daily")


def uploaded(text: str | bytes, *newsletters, proof=Proof.KEPT, topics=(), source="a fair"):
    content = text if isinstance(text, bytes) else text.encode()
    plan = Plan(newsletters, topics, source, proof)
    return jobs.submit([content], name="readers.csv", plan=plan, by=None)


def checked(text: str | bytes, *newsletters, **plan) -> SubscriberImport:
    job = uploaded(text, *newsletters, **plan)
    while jobs.work():
        pass
    job.refresh_from_db()
    return job


def applied(text: str | bytes, *newsletters, **plan) -> SubscriberImport:
    job = checked(text, *newsletters, **plan)
    assert job.state == ImportState.CHECKED, job.error
    looked = job.counts
    assert jobs.apply(job)
    while jobs.work():
        pass
    job.refresh_from_db()
    assert job.state == ImportState.APPLIED, job.error
    assert job.counts["outcomes"] == looked["outcomes"]  # as foretold
    return job


def outcomes(job: SubscriberImport) -> dict[str, int]:
    return {word: number for word, number in job.counts["outcomes"].items() if number}


def file_of(*lines: str, head="email,consented_at,consent_source") -> str:
    return "\n".join([head, *lines])


def test_a_row_with_proof_begins_at_once(daily):
    job = applied(file_of(f"Mara@Example.org,{PROVED}"), daily)

    place = Subscription.objects.active().get()
    assert place.subscriber.address == "Mara@Example.org"
    assert place.subscriber.address_key == "mara@example.org"
    assert place.confirmed_at == place.subscriber.confirmed_at == factories.utc("2026-05-04 10:00")
    assert place.follows.count() == 2
    event = ConsentEvent.objects.get()
    assert (event.kind, event.wording, event.topics) == ("confirmed", "import", "asia,europe")
    assert event.source == f"paper form (import {job.pk}, row 2)"
    assert event.at == factories.utc("2026-05-04 10:00")
    assert not ServiceMail.objects.exists()
    assert outcomes(job) == {"proved": 1}
    # What is followed counts from now: older articles are no news.
    assert all(follow.since > timezone.now() - timedelta(hours=1) for follow in place.follows.all())


@pytest.mark.parametrize(
    "proof",
    [
        ",",
        "2026-05-04,",
        ",paper form",
        "2999-01-01,paper form",
        "1066-10-14,paper form",
        "2026-02-30,paper form",
        "yesterday,paper form",
        f"2026-05-04,{'x' * 161}",
    ],
)
def test_a_row_without_sane_proof_is_asked(proof, daily):
    job = applied(file_of(f"mara@example.org,{proof}"), daily)

    reader = Subscriber.objects.get()
    assert (reader.state, reader.confirmed_at) == ("pending", None)
    assert Subscription.objects.asked_for().count() == 1
    assert ConsentEvent.objects.get().kind == "asked"
    assert ConsentEvent.objects.get().source == f"a fair (import {job.pk}, row 2)"
    assert outcomes(job) == {"asked": 1}
    assert job.counts["mails"] == 1
    confirmation.confirm(ServiceMail.objects.get(), source="/confirm/")
    assert Subscription.objects.active().count() == 1


def test_asking_is_asking_whatever_the_rows_prove(daily):
    assert outcomes(applied(file_of(f"mara@example.org,{PROVED}"), daily, proof=Proof.ASK)) == {
        "asked": 1
    }


def test_nobody_who_left_was_suppressed_or_waits_is_changed(daily):
    weekly = factories.make_newsletter("Weekly")
    people = {
        name: factories.make_subscriber(f"{name}@example.org")
        for name in ("there", "left", "gone", "complained", "half")
    }
    factories.make_subscription(daily, subscriber=people["there"])
    preferences.leave(factories.make_subscription(daily, subscriber=people["left"]), source="page")
    preferences.leave(factories.make_subscription(weekly, subscriber=people["gone"]), source="page")
    factories.make_subscription(daily, subscriber=people["complained"])
    suppression.suppress(people["complained"].address_hash, SuppressionReason.COMPLAINT)
    factories.make_subscription(daily, subscriber=people["half"], confirmed=False)
    pending = factories.make_subscription(weekly, confirmed=False).subscriber
    before = rows_of_readers()

    job = applied(
        file_of(
            *(f"{name}@example.org,{PROVED}" for name in people), f"{pending.address},{PROVED}"
        ),
        daily,
    )

    assert rows_of_readers() == before
    assert outcomes(job) == {"there": 1, "left": 2, "suppressed": 1, "waiting": 2}
    assert not ConsentEvent.objects.filter(wording="import").exists()
    assert Suppression.objects.count() == 1


def rows_of_readers() -> list[list[dict[str, object]]]:
    return [
        list(model.objects.order_by("pk").values())
        for model in (Subscriber, Subscription, ServiceMail, Suppression)
    ]


def test_an_erased_reader_does_not_come_back(daily):
    place = factories.make_subscription(daily)
    address, mark = place.subscriber.address, place.subscriber.address_hash
    place.subscriber.delete()
    Suppression.objects.create(address_hash=mark, reason=SuppressionReason.ERASURE)

    assert outcomes(applied(file_of(f"{address},{PROVED}"), daily)) == {"suppressed": 1}
    assert not Subscriber.objects.exists()


def test_a_reader_who_is_with_us_gets_a_further_newsletter(daily):
    weekly = factories.make_newsletter("Weekly")
    place = factories.make_subscription(daily)
    reader = place.subscriber
    asked = factories.make_subscription(daily).subscriber

    applied(file_of(f"{reader.address},{PROVED}", f"{asked.address},,"), weekly)

    assert reader.subscriptions.active().count() == 2
    assert asked.subscriptions.active().count() == 1
    assert asked.subscriptions.asked_for().get().newsletter == weekly
    assert {Subscriber.objects.get(pk=r.pk).state for r in (reader, asked)} == {"active"}
    assert ServiceMail.objects.get().subscriber == asked


def test_a_state_in_the_file_never_makes_more_of_a_reader(daily):
    job = applied(
        file_of(
            f"left@example.org,{PROVED},unsubscribed",
            f"bounced@example.org,{PROVED},Cleaned",
            f"pending@example.org,{PROVED},pending",
            f"active@example.org,{PROVED},Subscribed",
            f"odd@example.org,{PROVED},magic",
            head="email,consented_at,consent_source,status",
        ),
        daily,
    )

    assert outcomes(job) == {"left": 1, "suppressed": 1, "asked": 1, "proved": 1, "refused": 1}
    assert Subscriber.objects.count() == 2


def test_one_address_counts_once_in_any_spelling_and_on_every_page(daily, monkeypatch):
    monkeypatch.setattr("subscribers.importing.pages.PAGE", 2)
    text = file_of(*(f"{who}@example.org,{PROVED}" for who in ("a", "A", "b", "c", "a", "C")))

    job = applied(text, daily)

    assert outcomes(job) == {"proved": 3, "refused": 3}
    assert job.counts["reasons"] == {"twice in the file": 3}
    assert job.counts["examples"] == {"twice in the file": [3, 6, 7]}
    assert Subscriber.objects.count() == Subscription.objects.count() == 3


def test_a_row_may_name_newsletters_topics_and_habits(daily):
    factories.make_newsletter("Weekly")
    applied(
        file_of(
            "a@example.org,Zoë Müller,Daily;weekly,asia,de-AT,Europe/Berlin,7",
            "b@example.org,,weekly,Europe|Asia,,,",
            "c@example.org,,,,,,",
            head="e-mail,Full Name,Newsletters,topics,lang,time_zone,hour",
        ),
        daily,
    )

    a, b, c = Subscriber.objects.order_by("pk")
    assert (a.name, a.language, a.zone, a.hour) == ("Zoë Müller", "de", "Europe/Berlin", 7)
    assert (b.name, b.language, b.zone, b.hour) == ("", "en", "", None)
    assert {p.newsletter.slug: slugs(p) for p in a.subscriptions.all()} == {
        "daily": {"asia"},
        "weekly": {"asia"},
    }
    assert {p.newsletter.slug: slugs(p) for p in b.subscriptions.all()} == {
        "weekly": {"asia", "europe"}
    }
    assert {p.newsletter.slug: slugs(p) for p in c.subscriptions.all()} == {
        "daily": {"asia", "europe"}
    }
    assert ServiceMail.objects.count() == 3  # one for each person


def slugs(place: Subscription) -> set[str]:
    return set(place.topics.values_list("slug", flat=True))


def test_a_look_writes_nothing_about_readers(daily):
    before = rows_of_readers()

    job = checked(file_of(f"a@example.org,{PROVED}"), daily)

    assert job.state == ImportState.CHECKED
    assert (job.rows, outcomes(job)) == (1, {"proved": 1})
    assert rows_of_readers() == before


def test_the_same_file_again_changes_nothing(daily):
    text = file_of(f"a@example.org,{PROVED}", "b@example.org,,")
    applied(text, daily)
    before = rows_of_readers()

    assert outcomes(applied(text, daily)) == {"there": 1, "waiting": 1}
    assert rows_of_readers() == before


def test_questions_are_spread_over_the_hours_and_behind_those_of_other_imports(daily):
    applied(file_of(*(f"a{n}@example.org,," for n in range(3))), daily)
    applied(file_of(*(f"b{n}@example.org,," for n in range(2))), daily)

    mails = list(ServiceMail.objects.order_by("subscriber_id"))
    gaps = [later.not_before - mail.not_before for mail, later in itertools.pairwise(mails)]
    step = timedelta(hours=1) / 1_000
    assert all(abs(gap - step) < timedelta(milliseconds=10) for gap in gaps)
    assert all(mail.asked_at == mail.not_before for mail in mails)
    assert mails[0].not_before > timezone.now() - timedelta(minutes=1)


def test_the_statements_of_an_import_do_not_grow_with_its_rows(daily):
    def statements(rows: int) -> int:
        job = checked(file_of(*(f"r{rows}-{n}@example.org,{PROVED}" for n in range(rows))), daily)
        jobs.apply(job)
        with CaptureQueriesContext(connection) as captured:
            jobs.work()
        return len(captured)

    assert statements(2) == statements(200)
