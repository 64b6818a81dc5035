"""Sign-ups by programs: the same rules, limits and silence as those of the form."""

import statistics
import time
from dataclasses import replace

import pytest

from subscribers import consent, limits, receiving, suppression
from subscribers.models import (
    ConsentEvent,
    ServiceMail,
    SignUpRequest,
    Subscriber,
    SubscriberState,
    Suppression,
    SuppressionReason,
)
from tests import factories
from tests.api.conftest import problem_of

pytestmark = pytest.mark.django_db


def body(email: str = "mara@example.org", **fields: object) -> dict[str, object]:
    return {"email": email, "wording": consent.API, **fields}


def test_a_sign_up_waits_for_its_confirmation(daily, program):
    answer = program("subscribe", name="Conference form").post("/subscriptions", body())
    receiving.process()

    assert answer.status_code == 202
    subscriber = Subscriber.objects.get()
    assert subscriber.state == SubscriberState.PENDING
    [place] = subscriber.subscriptions.all()
    assert (place.newsletter, place.confirmed_at) == (daily, None)
    assert place.topics.count() == 2
    event = ConsentEvent.objects.get()
    assert (event.source, event.wording) == ("api:Conference form", "api-2026-11")
    assert ServiceMail.objects.confirmations().count() == 1


def test_newsletters_topics_and_language_are_kept(daily, program):
    weekly = factories.make_newsletter("IRIA Weekly")
    asked = body(newsletters=["iria-weekly", "iria-weekly"], topics=["africa"], language="de")

    assert program("subscribe").post("/subscriptions", asked).status_code == 202
    receiving.process()

    [place] = Subscriber.objects.get().subscriptions.all()
    assert place.newsletter == weekly
    assert [topic.slug for topic in place.topics.all()] == ["africa"]
    assert Subscriber.objects.get().language == "de"


def test_the_answer_is_the_same_for_every_address(daily, program):
    """W5: the words and the number of statements; nothing is looked up before the answer."""
    factories.make_subscription(daily, subscriber=factories.make_subscriber("active@example.org"))
    pending = factories.make_subscriber("pending@example.org", state=SubscriberState.PENDING)
    factories.make_subscription(daily, subscriber=pending, confirmed=False)
    left = factories.make_subscriber("left@example.org")
    gone = factories.make_subscriber("gone@example.org")
    suppression.suppress(gone.address_hash, SuppressionReason.COMPLAINT)
    some = program("subscribe")

    answers = {
        (answer.status_code, answer.content, tuple(sorted(answer.headers.items())))
        for answer in (
            some.post("/subscriptions", body(address))
            for address in (
                *("active@example.org", "pending@example.org", left.address),
                *("gone@example.org", "unknown@example.org"),
            )
        )
    }

    assert len(answers) == 1
    assert SignUpRequest.objects.count() == 5


def test_the_clock_tells_a_program_no_more_than_the_words(daily, program, monkeypatch):
    """Medians of 200 tries, in turn, so that a slow second of the machine strikes all alike."""
    for name in ("ADDRESS", "NETWORK", "DOMAIN"):  # counted as ever, and not reached
        generous = replace(getattr(limits, name), most=10_000)
        monkeypatch.setattr(limits, name, generous)
    factories.make_subscription(daily, subscriber=factories.make_subscriber("active@example.org"))
    gone = factories.make_subscriber("gone@example.org")
    suppression.suppress(gone.address_hash, SuppressionReason.COMPLAINT)
    some = program("subscribe", per_minute=6_000)
    took: dict[str, list[float]] = {
        address: [] for address in ("active@example.org", gone.address, "unknown@example.org")
    }
    for _ in range(200):
        for address, times in took.items():
            start = time.perf_counter()
            assert some.post("/subscriptions", body(address)).status_code == 202
            times.append(time.perf_counter() - start)

    medians = [statistics.median(times) for times in took.values()]
    assert max(medians) - min(medians) < 0.005


def test_a_sign_up_alone_never_revives_a_suppressed_address(daily, program):
    """F14: only a press on the mailed button does."""
    gone = factories.make_subscription(daily).subscriber
    suppression.suppress(gone.address_hash, SuppressionReason.COMPLAINT)

    assert program("subscribe").post("/subscriptions", body(gone.address)).status_code == 202
    receiving.process()

    assert Suppression.objects.count() == 1
    assert not gone.subscriptions.active().exists()


@pytest.mark.parametrize("slug", ["client-report", "closed", "nothing"])
def test_a_private_newsletter_is_as_unknown_as_one_that_is_not_there(slug, daily, program):
    factories.make_newsletter("Client Report", is_private=True)
    factories.make_newsletter("Closed", is_active=False)

    response = program("subscribe").post("/subscriptions", body(newsletters=[slug]))

    [error] = problem_of(response, 422)["errors"]
    assert error["detail"].replace(slug, "x") == (
        "No newsletter is called “x”. See GET /api/v1/newsletters."
    )
    assert not SignUpRequest.objects.exists()


@pytest.mark.parametrize(
    ("asked", "at"),
    [
        ({"email": "mara.example.org"}, "body/email"),
        ({"email": "mara@example.org\r\nBcc: x@example.org"}, "body/email"),
        ({"email": "x" * 2000}, "body/email"),
        ({"topics": ["weather"]}, "body/topics/0"),
        ({"wording": "none"}, "body/wording"),
        ({"language": "xx"}, "body/language"),
        ({"source": "my own"}, "body/source"),
        ({"newsletters": None, "state": "active"}, "body/state"),
    ],
)
def test_what_is_not_right_is_refused_and_nothing_written(asked, at, daily, program):
    response = program("subscribe").post("/subscriptions", body(**asked))

    assert [error["at"] for error in problem_of(response, 422)["errors"]] == [at]
    assert not SignUpRequest.objects.exists()


def test_topics_that_a_newsletter_does_not_carry_are_named(daily, program):
    factories.make_newsletter("IRIA Africa", topics=[factories.make_topic("Africa")])
    asked = body(newsletters=["iria-daily", "iria-africa"], topics=["europe"])

    [error] = problem_of(program("subscribe").post("/subscriptions", asked), 422)["errors"]

    assert "IRIA Africa carries none of these topics" in error["detail"]


def test_without_any_newsletter_there_is_nothing_to_join(program):
    [error] = problem_of(program("subscribe").post("/subscriptions", body()), 422)["errors"]

    assert error["at"] == "body/newsletters"


def test_a_key_counts_as_one_network(daily, program):
    some, other = program("subscribe"), program("subscribe")

    answers = [
        some.post("/subscriptions", body(f"reader{number}@example.org"))
        for number in range(limits.PER_NETWORK + 1)
    ]

    assert {answer.status_code for answer in answers[:-1]} == {202}
    assert "Try again after" in problem_of(answers[-1], 429)["detail"]
    assert 0 < int(answers[-1]["Retry-After"]) <= 3600
    assert other.post("/subscriptions", body()).status_code == 202


def test_from_a_web_page_its_visitors_networks_count(daily, program):
    page = program("subscribe", origins=("https://www.example.org",))

    def post(visitor: str, number: int):
        page.client.defaults["REMOTE_ADDR"] = visitor
        return page.post("/subscriptions", body(f"{visitor}-{number}@example.org"))

    first = [post("192.0.2.1", number).status_code for number in range(limits.PER_NETWORK + 1)]

    assert first[-2:] == [202, 429]
    assert post("192.0.2.2", 1).status_code == 202


def test_an_address_is_limited_whoever_enters_it(daily, program):
    for _ in range(limits.PER_ADDRESS):
        assert program("subscribe").post("/subscriptions", body()).status_code == 202

    refused = program("subscribe").post("/subscriptions", body("m.a.r.a+x@example.org"))

    assert "This address" in problem_of(refused, 429)["detail"]
