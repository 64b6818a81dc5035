"""Less instead of nothing: what the page after leaving offers, and what its buttons do."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from subscribers import consent, leaving, links, pausing, preferences, suppression
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
SITE = "https://news.ir-ia.example"


def text_of(response):
    return " ".join(response.content.decode().split())


def leave(client, place):
    """The page after one click, and where its buttons go."""
    url = links.unsubscribe_url(place.pk)
    page = text_of(client.post(url.removeprefix(SITE)))
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


@pytest.mark.parametrize("what", ["weekly", "pause", "topics", "undo"])
def test_what_is_taken_or_taken_back_names_the_words_beside_its_button(client, daily, what):
    page, paths = leave(client, daily)
    paths["undo"] = re.search(r'action="(/undo/[a-z2-7]+/)"', page)[1]
    assert page.count(consent.words(consent.LESS)) == 1
    for asked in ("undo", "reason"):
        assert consent.words(consent.LESS) in text_of(client.get(paths[asked]))
    left = ConsentEvent.objects.latest("pk")

    assert client.post(paths[what], {"topic": ["africa"]}).status_code == 200

    taken = ConsentEvent.objects.filter(pk__gt=left.pk)
    assert {event.wording for event in taken} == {consent.LESS}


def test_undo_alone_has_the_words_beside_it_too(client):
    page, paths = leave(client, make_subscription(subscriber=on_another_newsletter()))

    assert paths.keys() == {"reason"}
    assert page.count(consent.words(consent.LESS)) == 1


def test_a_mailbox_that_leaves_by_itself_was_shown_no_words(client, daily):
    leave(client, daily)
    other = make_subscription()
    client.post(links.unsubscribe_url(other.pk).removeprefix(SITE) + "?by=page")

    wordings = list(ConsentEvent.objects.order_by("pk").values_list("wording", flat=True))
    assert wordings == [consent.NONE, consent.LEAVE]


def on_another_newsletter():
    return make_subscription(make_newsletter("Client Report", is_private=True)).subscriber


def test_the_page_names_nothing_else_that_its_reader_gets(client):
    place = make_subscription(subscriber=on_another_newsletter())

    page, _ = leave(client, place)
    later = text_of(client.get(links.unsubscribe_url(place.pk).removeprefix(SITE)))

    assert "You still get other newsletters from us." in page
    assert "Client Report" not in page + later


def test_a_pause_is_offered_for_the_only_newsletter_alone(client, daily):
    _, paths = leave(client, daily)
    other = make_subscription(subscriber=daily.subscriber)

    assert client.post(paths["pause"]).status_code == 404

    assert Subscription.objects.active().get() == other
    daily.subscriber.refresh_from_db()
    assert not pausing.is_paused(daily.subscriber)
    _, paths = leave(client, daily)
    assert "pause" not in paths


def test_who_finds_the_mail_later_is_offered_nothing(client, daily):
    leave(client, daily)
    path = links.unsubscribe_url(daily.pk).removeprefix(SITE)

    for page in (client.get(path), client.post(path), client.post(f"{path}?by=page")):
        assert "Daily has stopped." in text_of(page)
        assert "/undo/" not in text_of(page)
        assert "/less/" not in text_of(page)


def test_the_buttons_of_an_earlier_leaving_are_spent(client, daily):
    left = preferences.leave(daily, source="page")
    two_hours_ago = timezone.now() - timedelta(hours=2)
    Subscription.objects.update(ended_at=two_hours_ago)
    undo = links.undo_url(left.pk, two_hours_ago).removeprefix(SITE)
    weekly = links.less_url(left.pk, two_hours_ago, "weekly").removeprefix(SITE)
    assert client.post(undo).status_code == 200
    preferences.leave(daily, source="preferences")

    for path in (undo, weekly):
        for method in (client.get, client.post):
            assert method(path).status_code == 404
    assert not Subscription.objects.active().exists()


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
