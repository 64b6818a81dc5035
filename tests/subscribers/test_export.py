"""Readers as a file: whom it names, how a spreadsheet opens it, and how it comes back."""

import csv
import io
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from iria_news.articles.models import Topic
from subscribers import exporting, preferences, spreadsheets, suppression
from subscribers.importing import jobs
from subscribers.importing.pages import Plan
from subscribers.models import (
    ConsentEvent,
    ConsentKind,
    Newsletter,
    Proof,
    Subscriber,
    SubscriberImport,
    SubscriberState,
    Subscription,
    SuppressionReason,
)
from tests import factories

DANGEROUS = "=+-@\t\r\n＝＋－＠"


@given(st.text(alphabet=st.sampled_from(DANGEROUS + "'ab ,;\"")))
def test_any_cell_comes_back_and_none_is_a_formula(cell):
    safe = spreadsheets.safe(cell)

    assert spreadsheets.taken_back(safe) == cell
    assert not safe.startswith(tuple(DANGEROUS))


@given(st.text())
def test_most_cells_stay_as_they_are(cell):
    assert spreadsheets.taken_back(spreadsheets.safe(cell)) == cell
    if not cell.lstrip("'").startswith(tuple(DANGEROUS)):
        assert spreadsheets.safe(cell) == cell


def exported(**options) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(exporting.rows(**options)), newline="")))


@pytest.fixture
def everybody(db) -> dict[str, Subscription]:
    topic = factories.make_topic("Europe")
    daily = factories.make_newsletter("Daily")
    people = {
        name: factories.make_subscription(
            daily, subscriber=factories.make_subscriber(f"{name}@example.org"), topics=[topic]
        )
        for name in ("active", "left", "stopped", "returned", "erased")
    }
    people["pending"] = factories.make_subscription(daily, confirmed=False)
    preferences.leave(people["left"], source="page")
    suppression.suppress(people["stopped"].subscriber.address_hash, SuppressionReason.COMPLAINT)
    preferences.leave(people["returned"], source="page")
    factories.make_subscription(daily, subscriber=people["returned"].subscriber)
    Subscriber.objects.filter(pk=people["erased"].subscriber_id).update(
        state=SubscriberState.ERASED, address="", address_key=None, address_hash=""
    )
    return people


@pytest.mark.parametrize(
    ("state", "names"),
    [
        ("active", {"active", "returned"}),
        ("left", {"left"}),
        ("suppressed", {"stopped"}),
        ("pending", {"pending"}),
        ("all", {"active", "returned", "left", "stopped", "pending"}),
    ],
)
def test_a_state_names_its_readers_once_and_never_the_erased(state, names, everybody):
    pending = everybody["pending"].subscriber.address
    rows = exported(state=state)

    found = [row["email"].replace(pending, "pending@").partition("@")[0] for row in rows]
    assert sorted(found) == sorted(names)
    if state != "all":
        assert {row["state"] for row in rows} == {state}


def test_one_newsletter_alone(everybody):
    weekly = factories.make_newsletter("Weekly")
    factories.make_subscription(weekly, subscriber=everybody["active"].subscriber)

    assert [row["newsletter"] for row in exported(newsletter=weekly)] == ["weekly"]


def test_a_row_tells_what_was_agreed_and_where(everybody):
    place = everybody["active"]
    ConsentEvent.objects.create(
        subscriber=place.subscriber,
        newsletter=place.newsletter,
        kind=ConsentKind.CONFIRMED,
        wording="import",
        source="paper form (import 3, row 7)",
    )

    [row] = [row for row in exported() if row["email"] == "active@example.org"]

    assert row["consented_at"] == place.confirmed_at.isoformat(sep=" ")
    assert row["consent_source"] == "paper form"
    assert row["topics"] == "europe"


@pytest.mark.django_db
@pytest.mark.parametrize("places", [3, 30])
def test_an_export_reads_pages_and_never_row_by_row(places, monkeypatch, django_assert_num_queries):
    newsletter = factories.make_newsletter()
    factories.make_topic()
    for _ in range(places):
        factories.make_subscription(newsletter)
    monkeypatch.setattr(exporting, "PAGE", 30)

    with django_assert_num_queries(1 + 2 + 1):  # names of topics; a page and its topics; no more
        assert len(exported()) == places


NAMES = st.text(alphabet=string.ascii_letters + "éßÖ山田 '=+-,;\"|＝", max_size=20).map(
    lambda name: name.strip(" ")
)
READERS = st.lists(
    st.fixed_dictionaries(
        {
            "local": st.text(alphabet=string.ascii_letters + "=+-'_", min_size=1, max_size=12),
            "name": NAMES,
            "language": st.sampled_from(["en", "de", "ja"]),
            "zone": st.sampled_from(["", "Europe/Berlin", "Asia/Tokyo"]),
            "hour": st.sampled_from([None, 0, 23]),
            "at": st.datetimes(
                min_value=factories.utc("2020-01-01 00:00").replace(tzinfo=None),
                max_value=factories.utc("2026-01-01 00:00").replace(tzinfo=None),
            ),
            "source": st.text(alphabet="abc =-'(),;12", min_size=1, max_size=30).map(
                lambda text: text.strip(" ") or "form"
            ),
            "places": st.dictionaries(
                st.sampled_from(["daily", "weekly"]),
                st.sets(st.sampled_from(["asia", "europe"])),
                min_size=1,
            ),
        }
    ),
    max_size=8,
    unique_by=lambda reader: reader["local"].casefold(),
)


@pytest.mark.django_db
@given(readers=READERS)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_was_exported_comes_back_equal(readers, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    _begin_anew()
    for slug in ("asia", "europe"):
        factories.make_topic(slug.title())
    for slug in ("daily", "weekly"):
        factories.make_newsletter(slug.title())
    for reader in readers:
        _make(reader)
    first = "".join(exporting.rows())
    expected = sorted(exported(), key=lambda row: (row["email"], row["newsletter"]))
    Subscriber.objects.all().delete()

    plan = Plan(source="round trip", proof=Proof.KEPT)
    job = jobs.submit([first.encode()], name="readers.csv", plan=plan, by=None)
    jobs.work()
    jobs.apply(job)
    jobs.work()

    job.refresh_from_db()
    if readers:
        assert job.counts["outcomes"] == {"proved": len(expected)}
    assert sorted(exported(), key=lambda row: (row["email"], row["newsletter"])) == expected


def _begin_anew() -> None:
    """Hypothesis runs all its examples in one transaction of the test."""
    for model in (Subscriber, SubscriberImport, Newsletter, Topic):
        model.objects.all().delete()


def _make(reader: dict) -> None:
    subscriber = factories.make_subscriber(
        f"{reader['local']}@example.org",
        **{field: reader[field] for field in ("name", "language", "zone", "hour")},
    )
    for slug, topics in reader["places"].items():
        place = factories.make_subscription(
            Newsletter.objects.get(slug=slug),
            subscriber=subscriber,
            topics=Topic.objects.filter(slug__in=topics),
            confirmed_at=reader["at"].replace(tzinfo=factories.UTC),
        )
        ConsentEvent.objects.create(
            subscriber=subscriber,
            newsletter=place.newsletter,
            kind=ConsentKind.CONFIRMED,
            wording="none",
            source=reader["source"],
        )
