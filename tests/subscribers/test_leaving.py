"""Less instead of nothing: what the page after leaving offers, and what its buttons do."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from subscribers import leaving, links, pausing, preferences, suppression
from subscribers.models import (
    Cadence,
    ConsentEvent,
    Leaving,
    Newsletter,
    Subscription,
    SuppressionReason,
)
from tests import scanner
from tests.factories import make_newsletter, make_subscription, make_topic

pytestmark = pytest.mark.django_db


def text_of(response):
    return " ".join(response.content.decode().split())


def leave(client, place):
    """The page after one click, and where its buttons go."""
    url = links.unsubscribe_url(place.pk)
    page = text_of(client.post(url.removeprefix("https://news.ir-ia.example")))
    found = re.findall(r'action="(/less/[a-z2-7]+/([a-z]+)/)"', page)
    return page, {what: path for path, what in found}


@pytest.fixture
def daily():
    make_newsletter("Weekly", cadence=Cadence.WEEKLY, weekday=5)
    topics = [make_topic("Europe"), make_topic("Africa")]
    return make_subscription(make_newsletter("Daily"), topics=topics)


def test_one_press_takes_the_weekly_newsletter_with_the_same_topics(client, daily):
    page, paths = leave(client, daily)
    assert "Keep only weekly" in page

    assert "Weekly instead" in text_of(client.post(paths["weekly"]))

    place = Subscription.objects.active().get()
    assert place.newsletter.name == "Weekly"
    assert {topic.name for topic in place.topics.all()} == {"Europe", "Africa"}
    assert ConsentEvent.objects.latest("pk").source == "less"


def test_one_press_pauses_for_two_months_and_keeps_the_place(client, daily):
    _, paths = leave(client, daily)

    assert "Nothing leaves" in text_of(client.post(paths["pause"]))

    assert Subscription.objects.active().get() == daily
    daily.subscriber.refresh_from_db()
    assert pausing.is_paused(daily.subscriber)
    days = daily.subscriber.paused_until - timezone.now()
    assert timedelta(days=59) < days <= timedelta(days=60)


def test_one_press_keeps_the_ticked_topics(client, daily):
    _, paths = leave(client, daily)
    nothing = client.post(paths["topics"], {"topic": ["no-such-topic"]})
    assert nothing.status_code == 422
    assert "Tick the topics to keep" in text_of(nothing)

    page = text_of(client.post(paths["topics"], {"topic": ["africa"]}))

    assert "with Africa only" in page
    place = Subscription.objects.active().get()
    assert (place, place.topics.get().name) == (daily, "Africa")


def test_only_what_makes_sense_is_offered(client, daily):
    weekly = make_subscription(Newsletter.objects.get(name="Weekly"), subscriber=daily.subscriber)
    pausing.pause(daily.subscriber, timezone.now() + timedelta(days=3), source="x")
    preferences.set_topics(daily, [make_topic("Europe")])

    page, paths = leave(client, daily)
    assert paths.keys() == {"reason"}
    assert "Would less have been enough?" not in page

    _, paths = leave(client, weekly)  # from a weekly there is no weekly to go to
    assert "weekly" not in paths


def test_a_weekly_newsletter_of_other_topics_or_another_language_is_not_offered(client):
    make_newsletter("Sport", cadence=Cadence.WEEKLY, weekday=5, topics=[make_topic("Sport")])
    make_newsletter("Woche", cadence=Cadence.WEEKLY, weekday=5, language="de")
    make_newsletter("Report", cadence=Cadence.WEEKLY, weekday=5, is_private=True)
    place = make_subscription(make_newsletter("Daily"), topics=[make_topic("Europe")])

    _, paths = leave(client, place)

    assert "weekly" not in paths


def test_a_press_works_once_and_only_within_the_day(client, daily):
    _, paths = leave(client, daily)
    with time_machine.travel(timezone.now() + timedelta(days=1, minutes=1)):
        for path in paths.values():
            assert client.post(path).status_code == 404
    client.post(paths["weekly"])
    preferences.leave_all(daily.subscriber, source="page")

    assert client.post(paths["weekly"]).status_code == 404  # left again: that was an answer
    assert not Subscription.objects.active().exists()


def test_whom_we_stopped_gets_nothing_by_an_old_button(client, daily):
    _, paths = leave(client, daily)
    suppression.suppress(daily.subscriber.address_hash, SuppressionReason.COMPLAINT)

    for what in ("weekly", "pause", "topics"):
        assert client.post(paths[what], {"topic": "africa"}).status_code == 404
    assert not Subscription.objects.active().exists()


def test_the_eternal_token_opens_no_offer(client, daily):
    _, paths = leave(client, daily)
    eternal = links.unsubscribe_url(daily.pk).split("/")[-1]

    for what in paths:
        assert client.post(f"/less/{eternal}/{what}/", {"reason": "often"}).status_code == 404
    assert client.post(paths["weekly"].replace("weekly", "everything")).status_code == 404
    assert not Leaving.objects.exists()


def test_a_reason_is_counted_once_and_without_its_person(client, daily):
    _, paths = leave(client, daily)
    assert "Choose one of the reasons" in text_of(client.post(paths["reason"], {"reason": "x"}))

    for _ in range(2):
        response = client.post(paths["reason"], {"reason": "often"})
        assert response.status_code == 303

    assert "Your reason is counted" in text_of(client.get(response["Location"]))
    row = Leaving.objects.get()
    assert (row.newsletter, row.reason) == (daily.newsletter, "often")
    assert {field.name for field in Leaving._meta.get_fields()} == {
        "id",
        "newsletter",
        "reason",
        "on",
    }


def test_looking_at_an_offer_changes_nothing(client, daily):
    _, paths = leave(client, daily)
    before = scanner.dump()

    for path in paths.values():
        for _ in range(10):
            assert client.get(path).status_code == 200
            assert client.head(path).status_code == 200

    assert scanner.dump() == before


def test_who_came_back_is_offered_nothing(daily):
    preferences.leave(daily, source="page")
    daily.refresh_from_db()
    assert leaving.may_be_less(daily)
    make_subscription(daily.newsletter, subscriber=daily.subscriber)

    assert not leaving.may_be_less(daily)
    with pytest.raises(leaving.TooLate):
        leaving.take_pause(daily, source="less")
