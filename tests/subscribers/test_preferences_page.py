"""The preferences page as a reader uses it: hours, format, pauses, and what is typed wrong."""

import re
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import time_machine
from django.core.cache import cache
from django.utils import timezone

from subscribers import links, pausing, suppression
from subscribers.models import (
    Cadence,
    ConsentEvent,
    ServiceMail,
    ServiceMailKind,
    Subscription,
    SuppressionReason,
)
from tests.factories import (
    make_article,
    make_newsletter,
    make_subscriber,
    make_subscription,
    make_topic,
    utc,
)

pytestmark = pytest.mark.django_db


def path_of(subscriber, at=None):
    return urlsplit(links.preferences_url(subscriber.pk, at or timezone.now())).path


def text_of(response):
    return " ".join(response.content.decode().split())


@pytest.fixture
def daily():
    return make_subscription(make_newsletter("Daily"), topics=[make_topic("Europe")])


def sent(**changes):
    """The form as the page shows it to a reader of Daily, with changes."""
    form = {
        "save": "yes",
        "manner": "shown",
        "newsletter": ["daily"],
        "topic-daily": ["europe"],
        "hour": "",
        "zone": "",
        "format": "html",
        "pause": "none",
        "until": "",
        "catch-up": "yes",
    }
    form |= {name.replace("__", "-"): value for name, value in changes.items()}
    return {name: value for name, value in form.items() if value is not None}


def test_hour_zone_format_pause_and_tracking_are_saved_by_one_press(client, daily):
    reader = daily.subscriber
    tomorrow_week = timezone.now().date() + timedelta(days=8)

    response = client.post(
        path_of(reader),
        sent(
            hour="18",
            zone="Europe/Kiev",
            format="text",
            pause="until",
            until=tomorrow_week.isoformat(),
            catch__up=None,
            no__clicks="yes",
        ),
    )

    assert response.status_code == 303
    reader.refresh_from_db()
    assert (reader.hour, reader.zone, reader.wants_text) == (18, "Europe/Kyiv", True)
    assert (reader.wants_catch_up, reader.refuses_tracking) == (False, True)
    assert pausing.day_of(reader, reader.paused_until) == tomorrow_week
    page = text_of(client.get(response["Location"]))
    assert "<b>Saved.</b>" in page
    assert '<option value="18" selected>18:00</option>' in page
    assert "<option selected>Europe/Kyiv</option>" in page
    assert "in Kyiv now" in page
    assert "<b>Paused.</b>" in page
    assert f'value="{tomorrow_week}"' in page


def test_the_same_press_again_records_nothing_more(client, daily):
    form = sent(hour="7", zone="Asia/Tokyo", pause="2w")
    client.post(path_of(daily.subscriber), form)
    events = ConsentEvent.objects.count()
    assert events == 2  # the manner and the pause

    client.post(path_of(daily.subscriber), form)

    assert ConsentEvent.objects.count() == events


def test_the_page_tells_the_time_on_the_readers_own_clock(client, daily):
    with time_machine.travel(utc("2026-03-31 09:42"), tick=False):
        reader = make_subscriber(zone="Asia/Tokyo")
        assert "It is 18:42 in Tokyo now." in text_of(client.get(path_of(reader)))
        assert "It is 09:42 UTC now." in text_of(client.get(path_of(daily.subscriber)))


def test_the_page_says_which_newsletters_follow_the_hour(client, daily):
    make_newsletter("Alerts", cadence=Cadence.AT_ONCE)
    page = text_of(client.get(path_of(daily.subscriber)))

    assert "With an hour chosen, Daily waits for it on your clock" in page
    assert "Alerts leaves at once, at any hour." in page


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"zone": "Asia/Tokio"}, "The time zone “Asia/Tokio” is not in our list."),
        ({"hour": "25"}, "The hour “25” is not on our clock."),
        ({"hour": "1e1"}, "The hour “1e1” is not on our clock."),
        ({"pause": "until"}, "Give the day on which mails start again"),
        ({"pause": "until", "until": "soon"}, "“soon” is no day that we can read."),
        ({"pause": "until", "until": "2026-03-03"}, "3 March 2026, is in the past."),
        ({"pause": "until", "until": "2026-03-31"}, "31 March 2026, is today."),
        ({"pause": "until", "until": "9999-12-31"}, "is more than a year ahead."),
    ],
)
def test_a_mistake_is_a_sentence_and_everything_typed_is_kept(client, daily, changes, sentence):
    with time_machine.travel(utc("2026-03-31 09:42"), tick=False):
        response = client.post(
            path_of(daily.subscriber),
            sent(format="text", catch__up=None, **{"hour": "5", **changes}),
        )

    page = text_of(response)
    assert response.status_code == 422
    assert sentence in page
    assert 'aria-invalid="true"' in page
    assert 'name="format" value="text" checked' in page
    assert 'name="catch-up" value="yes" checked' not in page
    if "zone" in changes:
        assert "<option selected>Asia/Tokio</option>" in page
        assert '<option value="5" selected>' in page
    if "until" in changes:
        assert f'value="{changes["until"]}"' in page
    assert not ConsentEvent.objects.exists()


def test_hostile_text_in_the_form_is_shown_and_never_run(client, daily):
    response = client.post(
        path_of(daily.subscriber), sent(zone="<script>{{ settings.SECRET_KEY }}</script>\0")
    )

    assert response.status_code == 422
    assert b"<script>" not in response.content
    assert b"{{ settings.SECRET_KEY }}" in response.content


def test_a_form_without_hour_and_pause_leaves_them_alone(client, daily):
    reader = daily.subscriber
    client.post(path_of(reader), sent(hour="7", zone="Asia/Tokyo", pause="2w"))

    client.post(path_of(reader), {"save": "yes", "newsletter": "daily", "topic-daily": "europe"})

    reader.refresh_from_db()
    assert (reader.hour, reader.zone) == (7, "Asia/Tokyo")
    assert pausing.is_paused(reader)


def test_two_weeks_end_at_midnight_on_the_readers_clock(client, daily):
    with time_machine.travel(utc("2036-03-31 20:00"), tick=False):
        client.post(path_of(daily.subscriber), sent(zone="Asia/Tokyo", pause="2w"))

    daily.subscriber.refresh_from_db()
    # In Tokyo it was 1 April already.
    assert daily.subscriber.paused_until == utc("2036-04-14 15:00")


def test_a_pause_is_ended_by_one_press_or_by_choosing_none(client, daily):
    for form in ({"resume": "yes"}, sent(pause="none")):
        client.post(path_of(daily.subscriber), sent(pause="2w"))
        assert "End the pause now" in text_of(client.get(path_of(daily.subscriber)))

        response = client.post(path_of(daily.subscriber), form)

        assert response.status_code == 303
        assert "End the pause now" not in text_of(client.get(path_of(daily.subscriber)))


def test_each_choice_says_how_many_mails_it_brings(client, daily):
    europe, africa = make_topic("Europe"), make_topic("Africa")
    for day in range(28):
        make_article(
            topics=[africa if day % 7 == 1 else europe],
            published_at=timezone.now() - timedelta(days=day, hours=1),
        )
    page = text_of(client.get(path_of(daily.subscriber)))
    assert "Daily <span>about 6 mails a week</span>" in page

    response = client.post(path_of(daily.subscriber), sent(topic__daily=["africa"]))

    page = text_of(client.get(response["Location"]))
    assert "You now get about 1 mail a week." in page


@pytest.mark.parametrize("newsletters", [1, 8])
def test_the_page_takes_the_same_number_of_queries_for_any_number_of_newsletters(
    client, daily, newsletters, django_assert_num_queries
):
    for number in range(newsletters):
        topic = make_topic(f"Topic {number}")
        make_subscription(subscriber=daily.subscriber)
        make_article(topics=[topic])
    path = path_of(daily.subscriber)

    with django_assert_num_queries(9):
        client.get(path)


def test_a_link_older_than_an_hour_opens_the_choices_and_mails_a_fresh_one_for_the_rest(
    client, daily
):
    reader = daily.subscriber
    path = path_of(reader, timezone.now() - timedelta(minutes=61))
    page = text_of(client.get(path))
    for button in ("Download my data", "Erase me", "Change address</button>"):
        assert button not in page
    assert page.count("Mail me a fresh link") == 3
    assert client.post(path, sent(hour="7")).status_code == 303

    for do in (
        lambda: client.post(f"{path}data/"),
        lambda: client.get(f"{path}erase/"),
        lambda: client.post(f"{path}erase/"),
        lambda: client.post(f"{path}address/", {"email": "new@example.org"}),
    ):
        response = do()
        assert (response.status_code, response["Location"]) == (303, f"{path}?done=old")
    assert not ServiceMail.objects.exists()

    response = client.post(path, {"fresh": "yes"})

    assert "on its way" in text_of(client.get(response["Location"]))
    assert ServiceMail.objects.get().kind == ServiceMailKind.PREFERENCES


def test_a_link_of_48_minutes_left_says_so(client, daily):
    path = path_of(daily.subscriber, timezone.now() - timedelta(minutes=12, seconds=-5))

    assert re.search("another 4[89] minutes", text_of(client.get(path)))


def test_nothing_that_a_get_asks_for_changes_anything(client, daily):
    path = path_of(daily.subscriber)
    for page in ("", "address/", "data/", "erase/"):
        for method in (client.get, client.head, client.options):
            assert method(f"{path}{page}").status_code in {200, 204, 303}
    assert not ServiceMail.objects.exists()
    assert not ConsentEvent.objects.exists()
    assert Subscription.objects.active().get() == daily


def test_who_was_stopped_by_us_can_still_have_their_data_and_be_erased(client, daily):
    suppression.suppress(daily.subscriber.address_hash, SuppressionReason.GONE)
    cache.clear()
    path = path_of(daily.subscriber)
    page = text_of(client.get(path))

    assert "Save preferences" not in page
    assert "Download my data" in page
    assert client.post(f"{path}data/").status_code == 200
    assert client.post(f"{path}erase/").status_code == 200


def test_who_was_stopped_by_us_and_has_an_old_link_is_told_whom_to_write_to(client, daily):
    suppression.suppress(daily.subscriber.address_hash, SuppressionReason.COMPLAINT)
    path = path_of(daily.subscriber, timezone.now() - timedelta(minutes=61))

    answers = [client.get(path), client.post(path, {"fresh": "yes"})]

    assert [answer.status_code for answer in answers] == [200, 422]
    for answer in answers:
        assert "no mail leaves for this address any more. Please write to" in text_of(answer)
        assert "Mail me a fresh link" not in text_of(answer)
    assert not ServiceMail.objects.exists()
