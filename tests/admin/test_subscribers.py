"""The list of subscribers: narrowed by what they are, quick however many there are."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from subscribers import suppression
from subscribers.models import SubscriberImport, SubscriberState, SuppressionReason
from tests import factories

pytestmark = pytest.mark.django_db
LIST = "admin:subscribers_subscriber_changelist"


def shown(client, **criteria) -> set[str]:
    """Names in front of the @ of those who are listed."""
    page = client.get(reverse(LIST), criteria).context["cl"].result_list
    return {subscriber.address.partition("@")[0] for subscriber in page}


@pytest.fixture
def readers(db: None) -> dict[str, object]:
    """One reader for each thing that can be asked for, and one who is like most."""
    europe, asia = factories.make_topic("Europe"), factories.make_topic("Asia")
    daily, weekly = factories.make_newsletter("Daily"), factories.make_newsletter("Weekly")
    came = SubscriberImport.objects.create(name="march.csv", source="Fair, March")

    def make(name: str, newsletter=daily, topics=(europe,), **fields) -> None:
        subscriber = factories.make_subscriber(f"{name}@example.org", **fields)
        factories.make_subscription(newsletter, subscriber=subscriber, topics=topics)

    now = timezone.now()
    make("usual")
    make("weekly", newsletter=weekly)
    make("asian", topics=[asia])
    make("asian-weekly", newsletter=weekly, topics=[asia])
    make("pending", state=SubscriberState.PENDING)
    make("text", wants_text=True)
    make("paused", paused_from=now, paused_until=now + timedelta(days=7))
    make("back", paused_from=now - timedelta(days=9), paused_until=now - timedelta(days=2))
    make("japanese", language="ja")
    make("imported", imported_by=came)
    make("early", created_at=factories.utc("2025-03-31 23:59:59.900"))
    factories.make_subscription(
        daily, subscriber=factories.make_subscriber("left@example.org"), ended_at=now
    )
    stopped = factories.make_subscriber("stopped@example.org")
    suppression.suppress(stopped.address_hash, SuppressionReason.COMPLAINT)
    return {"daily": daily.pk, "weekly": weekly.pk, "asia": asia.pk, "import": came.pk}


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({"state": "pending"}, {"pending"}),
        ({"newsletter": "weekly"}, {"weekly", "asian-weekly"}),
        ({"topic": "asia"}, {"asian", "asian-weekly"}),
        ({"topic": "asia", "newsletter": "daily"}, {"asian"}),
        ({"suppressed": "yes"}, {"stopped"}),
        ({"paused": "yes"}, {"paused"}),
        ({"text_only": "yes"}, {"text"}),
        ({"language": "ja"}, {"japanese"}),
        ({"imported_by": "import"}, {"imported"}),
        ({"joined_until": "2025-03-31"}, {"early"}),
        ({"joined_from": "2025-03-31", "joined_until": "2025-04-01"}, {"early"}),
        ({"joined_until": "2025-03-30"}, set()),
        ({"state": "pending", "text_only": "yes"}, set()),
    ],
)
def test_a_list_is_narrowed_by_what_its_readers_are(criteria, expected, readers, admin_client):
    criteria = {name: readers.get(value, value) for name, value in criteria.items()}

    assert shown(admin_client, **criteria) == expected


@pytest.mark.parametrize("asked", ["suppressed", "paused", "text_only"])
def test_yes_and_no_together_are_everybody(asked, readers, admin_client):
    yes, no = (shown(admin_client, **{asked: answer}) for answer in ("yes", "no"))

    assert yes
    assert not yes & no
    assert yes | no == shown(admin_client)


def test_an_ended_subscription_brings_nobody_into_the_list_of_its_newsletter(readers, admin_client):
    assert "left" not in shown(admin_client, newsletter=readers["daily"])


def test_readers_of_a_newsletter_come_newest_first_or_by_address(admin_client):
    newsletter = factories.make_newsletter("Daily")
    for name in ("b", "c", "a"):
        subscriber = factories.make_subscriber(f"{name}@example.org")
        factories.make_subscription(newsletter, subscriber=subscriber)

    def order(**more) -> str:
        answer = admin_client.get(reverse(LIST), {"newsletter": newsletter.pk, **more})
        return "".join(row.address[0] for row in answer.context["cl"].result_list)

    assert order() == "acb"
    assert order(o="0") == "abc"


@pytest.mark.parametrize(
    "criteria",
    [
        {"state": "' OR 1=1 --"},
        {"newsletter": "x"},
        {"newsletter": 9999999999999999999999},
        {"joined_from": "yesterday"},
        {"joined_until": "9999-12-31"},
        {"joined_from": "0001-01-01"},
        {"paused": "\0"},
        {"imported_by": "-1"},
    ],
)
def test_what_makes_no_sense_narrows_nothing_and_breaks_nothing(criteria, readers, admin_client):
    assert shown(admin_client, **criteria) == shown(admin_client)


def test_a_wrong_day_is_said_beside_its_field(readers, admin_client):
    page = admin_client.get(reverse(LIST), {"joined_from": "yesterday"}).content.decode()

    assert "Enter a valid date." in page


def test_filters_that_match_nobody_offer_to_clear_them(readers, admin_client):
    page = admin_client.get(reverse(LIST), {"joined_until": "2001-01-01"}).content.decode()

    assert "Clear search and filters" in page


def test_a_page_takes_as_many_queries_for_one_reader_as_for_two_hundred(
    admin_client, django_assert_num_queries
):
    newsletter = factories.make_newsletter("Daily")
    topic = factories.make_topic("Europe")
    # Session, person, the page, its subscriptions; newsletters, topics, imports of the form.
    for readers, path in [
        (1, "?"),
        (199, "?"),
        (0, f"?topic={topic.pk}&newsletter={newsletter.pk}"),
    ]:
        for _ in range(readers):
            factories.make_subscription(newsletter, topics=[topic])
        more = 2 if "topic" in path else 0  # what was chosen is looked up
        with django_assert_num_queries(8 + more) as captured:
            assert admin_client.get(reverse(LIST) + path).status_code == 200
        assert not [query for query in captured if "COUNT(" in query["sql"].upper()]


def test_an_import_with_a_hostile_name_is_only_text_in_the_form(admin_client):
    SubscriberImport.objects.create(name="<script>alert(1)</script>.csv", source="x")

    page = admin_client.get(reverse(LIST)).content.decode()

    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_no_address_stands_in_a_link_of_the_list(readers, admin_client):
    page = admin_client.get(reverse(LIST), {"state": "active"}).content.decode()

    assert "usual@example.org" in page
    assert not [part for part in page.split('href="')[1:] if "@" in part.partition('"')[0]]


def test_only_who_may_add_is_offered_to_add(staff):
    User.objects.filter(username="mara").delete()
    page = staff("subscribers.view_subscriber").get(reverse(LIST)).content.decode()

    assert reverse("admin:subscribers_subscriber_add") not in page
