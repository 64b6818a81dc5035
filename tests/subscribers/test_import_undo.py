"""An import is taken back as a whole, but for what readers or we have touched since."""

import pytest

from iria_news.articles.models import Topic
from subscribers import confirmation, consent, preferences, suppression
from subscribers.importing import jobs, undoing
from subscribers.models import (
    ConsentEvent,
    ConsentKind,
    ImportState,
    ServiceMail,
    ServiceMailKind,
    Subscriber,
    SubscriberNote,
    Subscription,
    SubscriptionTopic,
    SuppressionReason,
)
from tests import factories
from tests.mailer import editions as ways
from tests.subscribers.test_importing import PROVED, applied, file_of, outcomes

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    settings.DATA_DIR = tmp_path


@pytest.fixture
def daily(db):
    factories.make_topic("Europe")
    return factories.make_newsletter("Daily")


def undone(job) -> undoing.Undoing:
    foretold = undoing.forecast(job)
    assert jobs.undo(job)
    while jobs.work():
        pass
    job.refresh_from_db()
    assert (job.state, job.counts["removed"]) == (ImportState.UNDONE, foretold.places)
    assert job.counts["stay"] | {"places": foretold.places} == {
        "places": foretold.places,
        "confirmed": foretold.confirmed,
        "changed": foretold.changed,
        "ended": foretold.ended,
    }
    return foretold


def test_people_whom_nobody_touched_go_with_everything(daily, monkeypatch):
    monkeypatch.setattr(undoing, "PAGE", 2)
    job = applied(
        file_of(*(f"a{n}@example.org,{PROVED}" for n in range(5)), "b@example.org,,"), daily
    )

    assert undone(job) == undoing.Undoing(places=6, confirmed=0, changed=0, ended=0)

    for model in (Subscriber, Subscription, SubscriptionTopic, ConsentEvent, ServiceMail):
        assert not model.objects.exists()
    assert not jobs.undo(job)


def test_what_was_there_before_stays_as_it_was(daily):
    factories.make_subscription(daily)
    before = [list(model.objects.values()) for model in (Subscriber, Subscription)]

    undone(applied(file_of(f"a@example.org,{PROVED}"), daily))

    assert [list(model.objects.values()) for model in (Subscriber, Subscription)] == before


def test_who_answered_chose_left_or_was_stopped_stays_and_is_counted(daily):
    proved = [f"{name}@example.org,{PROVED}" for name in ("chose", "left", "stopped", "silent")]
    job = applied(file_of("asked@example.org,,", *proved), daily)
    places = {
        place.subscriber.address.partition("@")[0]: place for place in Subscription.objects.all()
    }
    confirmation.confirm(ServiceMail.objects.get(), source="/confirm/")
    preferences.choose(places["chose"].subscriber, {daily: []}, source="/preferences/")
    preferences.leave(places["left"], source="page")
    suppression.suppress(places["stopped"].subscriber.address_hash, SuppressionReason.GONE)
    history = ConsentEvent.objects.exclude(subscriber=places["silent"].subscriber).count()

    assert undone(job) == undoing.Undoing(places=1, confirmed=1, changed=1, ended=2)

    assert Subscription.objects.active().count() == 2
    assert not Subscriber.objects.filter(address="silent@example.org").exists()
    assert ConsentEvent.objects.count() == history


def test_a_change_of_habits_is_a_change(daily):
    job = applied(file_of(f"a@example.org,{PROVED}"), daily)
    consent.record(
        Subscriber.objects.get(),
        ConsentKind.CHANGED,
        wording=consent.CHOOSE,
        source="/preferences/",
    )

    assert undone(job).changed == 1
    assert Subscription.objects.active().count() == 1


def test_the_further_newsletter_of_somebody_ends_and_can_be_imported_again(daily):
    reader = factories.make_subscription().subscriber
    text = file_of(f"{reader.address},{PROVED}")

    undone(applied(text, daily))

    assert reader.subscriptions.active().count() == 1
    ended = reader.subscriptions.get(newsletter=daily)
    assert ended.ended_by == "import undone"
    assert ConsentEvent.objects.filter(subscriber=reader, kind=ConsentKind.CHANGED).count() == 1
    assert outcomes(applied(text, daily)) == {"proved": 1}


@pytest.mark.parametrize(
    "say_no",
    [
        lambda place: preferences.leave(place, source="one-click"),
        lambda place: preferences.leave_all(place.subscriber, source="preferences"),
    ],
)
def test_who_says_no_after_the_undoing_is_never_brought_back_by_a_file(daily, say_no):
    reader = factories.make_subscriber()
    weekly = factories.make_newsletter("Weekly")
    place = factories.make_subscription(
        daily, subscriber=reader, ended_at="2026-02-01T00:00Z", ended_by="import undone"
    )

    say_no(place)
    say_no(place)

    event = ConsentEvent.objects.get()
    assert (event.kind, event.newsletter) == (ConsentKind.LEFT, daily)
    text = file_of(f"{reader.address},{PROVED}")
    assert outcomes(applied(text, daily, weekly)) == {"left": 1}
    assert not Subscription.objects.active().exists()


def test_a_person_of_whom_anything_else_speaks_stays_without_the_newsletter(daily, admin_user):
    job = applied(file_of(*(f"{who}@example.org,{PROVED}" for who in "abc")), daily)
    a, b, _ = Subscriber.objects.order_by("pk")
    SubscriberNote.objects.create(subscriber=a, text="Called us.", author=admin_user)
    ServiceMail.objects.create(subscriber=b, kind=ServiceMailKind.PREFERENCES)

    assert undone(job).places == 3

    assert set(Subscriber.objects.all()) == {a, b}
    assert not Subscription.objects.active().exists()


def test_a_place_of_a_later_import_keeps_its_person(daily):
    weekly = factories.make_newsletter("Weekly")
    text = file_of(f"a@example.org,{PROVED}")
    first, second = applied(text, daily), applied(text, weekly)

    undone(first)
    assert Subscription.objects.active().get().newsletter == weekly
    undone(second)
    assert not Subscription.objects.active().exists()


def test_what_was_sent_stays_explained(daily):
    """A delivery points at its reader, though this app knows nothing of deliveries."""
    job = applied(file_of(f"a@example.org,{PROVED}"), daily)
    factories.make_article(topics=Topic.objects.all())
    Subscription.objects.update(confirmed_at="2026-01-01T00:00Z")
    SubscriptionTopic.objects.update(since="2026-01-01T00:00Z")
    ways.sending(daily)

    undone(job)

    assert Subscriber.objects.exists()
    assert Subscription.objects.get().ended_by == "import undone"
