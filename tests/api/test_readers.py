"""One reader, found by address and read by an opaque id that opens nothing else."""

import pytest
from django.utils import timezone

from iria_news import keys
from subscribers import links, suppression
from subscribers.models import (
    Subscriber,
    SubscriberState,
    SuppressionReason,
)
from tests import factories, scanner
from tests.api.conftest import id_of, path_of, problem_of

pytestmark = pytest.mark.django_db


def test_a_reader_is_found_by_any_spelling_of_their_address(mara, program):
    answer = program("manage").post("/subscribers/lookup", {"email": "MARA@EXAMPLE.org"})

    assert answer.json() == {
        "id": id_of(mara),
        "state": "active",
        "subscriptions": [
            {"newsletter": "iria-daily", "state": "active", "topics": ["africa", "europe"]}
        ],
    }
    assert program("manage").get(path_of(mara)).json() == answer.json()


def test_the_state_says_whether_they_confirmed(daily, program):
    pending = factories.make_subscription(daily, confirmed=False).subscriber
    left = factories.make_subscriber()
    stopped = factories.make_subscription(daily).subscriber
    suppression.suppress(stopped.address_hash, SuppressionReason.GONE)
    some = program("manage")

    states = [some.get(path_of(each)).json()["state"] for each in (pending, left, stopped)]

    assert states == ["pending", "left", "suppressed"]


def test_nobody_and_the_erased_are_not_found(mara, program):
    some = program("manage")
    problem_of(some.post("/subscribers/lookup", {"email": "nobody@example.org"}), 404)

    Subscriber.objects.update(
        state=SubscriberState.ERASED, address="", address_key=None, address_hash=""
    )

    problem_of(some.post("/subscribers/lookup", {"email": "mara@example.org"}), 404)
    problem_of(some.get(path_of(mara)), 404)


@pytest.mark.parametrize(
    "reader_id",
    [
        *("1", "0", "-1", "none", "'", "%00", "..", "%2e%2e%2fadmin", "a" * 5000, "1 OR 1=1", "ü"),
        lambda mara: str(mara.pk),
        lambda mara: keys.short_token("unsubscribe", mara.pk),
        lambda mara: links.preferences_url(mara.pk, timezone.now()).split("/")[-2],
        lambda mara: id_of(mara)[:-1],
        lambda mara: keys.short_token("api-subscriber", mara.pk + 1),
    ],
)
@pytest.mark.parametrize("rest", ["", "/preferences"])
def test_an_id_that_is_not_ours_finds_nobody(reader_id, rest, mara, program):
    """W3: a token of another purpose opens nothing here."""
    text = reader_id if isinstance(reader_id, str) else reader_id(mara)

    problem_of(program("manage").get(f"/subscribers/{text}{rest}"), 404)


def test_an_id_opens_no_page_of_a_reader(mara, client):
    for page in ("preferences", "u", "confirm", "undo"):
        assert client.get(f"/{page}/{id_of(mara)}/").status_code == 404


def test_private_newsletters_are_not_seen_and_not_touched(mara, clients, program):
    some = program("manage")
    assert "client-report" not in some.get(path_of(mara)).content.decode()
    assert "client-report" not in some.get(path_of(mara, "preferences")).content.decode()

    refused = some.patch(path_of(mara, "preferences"), {"topics": {"client-report": ["africa"]}})
    problem_of(refused, 422)
    problem_of(some.post(path_of(mara, "unsubscribe"), {"newsletters": ["client-report"]}), 422)
    some.post(path_of(mara, "unsubscribe"), {"newsletters": ["iria-daily"]})

    [place] = mara.subscriptions.active()
    assert place.newsletter == clients
    assert some.get(path_of(mara)).json()["state"] == "active"


def test_no_answer_holds_the_address(mara, program):
    some = program("manage")
    answers = [
        some.post("/subscribers/lookup", {"email": "mara@example.org"}),
        some.get(path_of(mara)),
        some.get(path_of(mara, "preferences")),
        some.patch(path_of(mara, "preferences"), {"hour": 9}),
        some.post(path_of(mara, "unsubscribe"), {}),
    ]

    for answer in answers:
        assert answer.status_code == 200
        assert "mara" not in answer.content.decode()


def test_preferences_are_read_in_a_constant_number_of_statements(
    mara, program, django_assert_num_queries
):
    some = program("manage")
    some.get("/topics")
    for number in range(5):
        other = factories.make_newsletter(f"More {number}")
        factories.make_subscription(other, subscriber=mara)

    # The key, its use (once a minute, by its first request), the reader, the places, their
    # newsletters' topics, their topics.
    some.get(path_of(mara, "preferences"))
    with django_assert_num_queries(5):
        some.get(path_of(mara, "preferences"))


def test_reading_changes_no_row_but_the_use_of_the_key(mara, clients, program):
    """W1. The use is noted by the first request of a minute."""
    some = program()
    some.get("/topics")
    before = scanner.dump()

    for path in (
        *("/newsletters", "/topics", "/editions", "/editions/none", "/openapi.json"),
        *(path_of(mara), path_of(mara, "preferences"), path_of(mara, "unsubscribe")),
    ):
        for method in ("GET", "HEAD", "OPTIONS"):
            some.call(method, path)

    assert scanner.dump() == before
