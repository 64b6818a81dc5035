import re
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import time_machine
from django.utils import timezone

from subscribers import links, preferences, suppression
from subscribers.models import (
    Cadence,
    ConsentEvent,
    ServiceMail,
    ServiceMailKind,
    Subscriber,
    SubscriberState,
    Subscription,
    SuppressionReason,
)
from tests.factories import make_newsletter, make_subscriber, make_subscription, make_topic

pytestmark = pytest.mark.django_db


def path_of(url):
    return urlsplit(url).path


def unsubscribe_path(subscription):
    return path_of(links.unsubscribe_url(subscription.pk))


def preferences_path(subscriber):
    return path_of(links.preferences_url(subscriber.pk, timezone.now()))


def make_confirmation(place=None):
    place = place or make_subscription(confirmed=False)
    mail = ServiceMail.objects.create(
        subscriber=place.subscriber, kind=ServiceMailKind.CONFIRMATION, asked_at=timezone.now()
    )
    return mail, path_of(links.confirm_url(mail.pk, mail.asked_at))


def text_of(response):
    return " ".join(response.content.decode().split())


# --- preferences --------------------------------------------------------------------------------


def test_choices_are_saved_and_the_same_link_shows_them(client):
    europe, _ = make_topic("Europe"), make_topic("Africa")
    daily = make_subscription(make_newsletter("Daily"), topics=[europe])
    make_newsletter("Weekly", cadence=Cadence.WEEKLY, weekday=5)
    path = preferences_path(daily.subscriber)
    assert "Topics of Daily: 1 of 2" in text_of(client.get(path))

    response = client.post(
        path,
        {
            "save": "yes",
            "newsletter": ["weekly"],
            "topic-daily": ["europe"],
            "topic-weekly": ["europe", "africa", "no-such-topic"],
        },
    )

    assert (response.status_code, response["Location"]) == (303, f"{path}?done=saved")
    page = text_of(client.get(response["Location"]))
    assert "<b>Saved.</b>" in page
    assert "Topics of Weekly: all 2" in page
    assert Subscription.objects.active().get().newsletter.name == "Weekly"


@pytest.mark.parametrize("body", ["", "x=1", "newsletter="])
def test_a_form_that_lost_its_end_on_the_way_ends_nothing(client, body):
    place = make_subscription(make_newsletter("Daily"), topics=[make_topic("Europe")])

    response = client.post(
        preferences_path(place.subscriber), body, content_type="application/x-www-form-urlencoded"
    )

    assert response.status_code == 422
    assert Subscription.objects.active().filter(pk=place.pk).exists()


def test_a_newsletter_without_a_topic_is_refused_and_the_ticks_are_kept(client):
    make_topic("Europe")
    make_topic("Africa")
    daily = make_subscription(make_newsletter("Daily"))
    make_newsletter("Weekly", cadence=Cadence.WEEKLY, weekday=5)

    response = client.post(
        preferences_path(daily.subscriber),
        {"newsletter": ["daily", "weekly"], "topic-weekly": ["africa"], "save": "yes"},
    )

    page = text_of(response)
    assert response.status_code == 422
    assert "Tick at least one topic of Daily, or untick Daily itself." in page
    assert 'name="topic-weekly" value="africa" checked' in page
    assert 'name="topic-weekly" value="europe" checked' not in page
    assert daily.topics.count() == 2


def test_everything_can_be_left_at_once_and_joined_again(client):
    make_topic("Europe")
    place = make_subscription(make_newsletter("Daily"))
    path = preferences_path(place.subscriber)

    response = client.post(path, {"leave": "everything"})
    assert "<b>Unsubscribed from everything.</b>" in text_of(client.get(response["Location"]))
    assert not Subscription.objects.active().exists()

    client.post(path, {"newsletter": ["daily"], "topic-daily": ["europe"], "save": "yes"})
    assert Subscription.objects.active().count() == 1


def test_a_private_newsletter_is_shown_to_its_own_readers_only(client):
    make_topic("Europe")
    report = make_newsletter("Client Report", is_private=True)
    client_of_ours = make_subscription(report).subscriber
    stranger = make_subscriber()

    assert "Client Report" in text_of(client.get(preferences_path(client_of_ours)))
    assert "Client Report" not in text_of(client.get(preferences_path(stranger)))
    client.post(
        preferences_path(stranger),
        {"newsletter": ["client-report"], "topic-client-report": ["europe"], "save": "yes"},
    )
    assert not stranger.subscriptions.exists()


def test_whom_we_stopped_writing_to_is_told_how_to_begin_again(client):
    make_topic("Europe")
    place = make_subscription(make_newsletter("Daily"))
    suppression.suppress(place.subscriber.address_hash, SuppressionReason.GONE)
    path = preferences_path(place.subscriber)

    assert "We stopped sending to this address" in text_of(client.get(path))
    response = client.post(path, {"newsletter": ["daily"], "topic-daily": ["europe"]})
    assert response.status_code == 422
    assert not Subscription.objects.active().exists()


def test_only_a_confirmed_person_has_preferences(client):
    pending = make_subscription(confirmed=False).subscriber
    erased = make_subscriber(state=SubscriberState.ERASED)

    for subscriber in (pending, erased):
        assert client.get(preferences_path(subscriber)).status_code == 404


# --- leaving ------------------------------------------------------------------------------------


def test_one_click_ends_the_newsletter_and_opening_the_link_does_not(client):
    place = make_subscription(make_newsletter("IRIA Daily"))
    weekly = make_subscription(make_newsletter("IRIA Weekly"), subscriber=place.subscriber)
    path = unsubscribe_path(place)

    assert "Stop IRIA Daily?" in text_of(client.get(path))
    assert Subscription.objects.active().count() == 2

    response = client.post(path, {"List-Unsubscribe": "One-Click"})
    page = text_of(response)
    assert response.status_code == 200
    assert "Done. IRIA Daily has stopped." in page
    assert "You still get other newsletters from us." in page
    assert "IRIA Weekly" not in page
    assert "/preferences/</" not in page
    place.refresh_from_db()
    assert place.ended_by == "one-click"
    assert Subscription.objects.active().get() == weekly


MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n'
)


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("form", ["urlencoded", "multipart", "broken", "empty"])
def test_one_click_needs_neither_cookie_nor_token_nor_a_sound_body(slash, form):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    path = unsubscribe_path(make_subscription()) + slash
    bodies = {
        "urlencoded": (b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded"),
        "multipart": (
            MULTIPART,
            "multipart/form-data; boundary=b",
        ),
        "broken": (b"\xff\xfe--", "multipart/form-data"),
        "empty": (b"", "text/plain"),
    }
    body, content_type = bodies[form]

    for _ in range(2):
        response = client.post(path, body, content_type=content_type)
        assert response.status_code == 200
        assert "has stopped." in text_of(response)
    assert not Subscription.objects.active().exists()


def test_after_erasure_the_link_still_answers_200(client):
    place = make_subscription()
    path = unsubscribe_path(place)
    place.delete()

    for response in (client.get(path), client.post(path)):
        assert response.status_code == 200
        assert "Done. This newsletter has stopped." in text_of(response)


def test_the_page_after_leaving_gives_no_younger_preferences_link(client):
    place = make_subscription()
    page = text_of(client.post(unsubscribe_path(place)))

    assert 'href="/preferences/"' not in page  # nothing remains to be changed
    assert links.preferences_url(place.subscriber_id, timezone.now())[-60:-40] not in page


def test_leaving_by_mistake_is_undone_by_one_press(client):
    place = make_subscription(make_newsletter("IRIA Daily"))
    page = client.post(f"{unsubscribe_path(place)}?by=page").content.decode()
    place.refresh_from_db()
    assert place.ended_by == "page"
    undo = re.search(r'action="(/undo/[a-z2-7]+/)"', page)[1]

    assert "Keep IRIA Daily?" in text_of(client.get(undo))
    assert not Subscription.objects.active().exists()
    assert "IRIA Daily goes on" in text_of(client.post(undo))
    assert Subscription.objects.active().get() == place
    assert client.post(undo).status_code == 404


def test_there_is_no_undo_a_day_later(client):
    place = make_subscription()
    client.post(unsubscribe_path(place))
    undo = path_of(links.undo_url(place.pk, Subscription.objects.get().ended_at))

    with time_machine.travel(timezone.now() + timedelta(days=1, minutes=1)):
        assert client.post(undo).status_code == 404
        assert "Pressed by mistake?" not in text_of(client.post(unsubscribe_path(place)))


# --- every page behind a token ------------------------------------------------------------------


def rows():
    """Everything that a press could change, as it stands in the database."""
    models = (Subscriber, Subscription, ServiceMail, ConsentEvent)
    return [list(model.objects.order_by("pk").values()) for model in models]


def token_paths():
    _, confirm = make_confirmation()
    place = make_subscription()
    ended = preferences.leave(make_subscription(), source="page")
    return [
        confirm,
        preferences_path(place.subscriber),
        unsubscribe_path(place),
        path_of(links.undo_url(ended.pk, ended.ended_at)),
    ]


def test_a_scanner_that_opens_every_link_ten_times_changes_nothing(client):
    make_topic("Europe")
    make_newsletter()
    paths = [*token_paths(), "/subscribe/", "/subscribe/check-your-inbox/", "/preferences/"]
    before = rows()

    for path in paths * 10:
        assert client.get(path).status_code == 200
        assert client.head(path).status_code == 200
        assert client.options(path).status_code == 204

    assert rows() == before
    assert not client.cookies


def test_pages_behind_a_token_are_kept_by_nobody_and_found_by_nobody(client):
    for path in token_paths():
        for response in (client.get(path), client.get(f"{path.rstrip('/')}x/")):
            assert "no-store" in response["Cache-Control"]
            assert response["X-Robots-Tag"] == "noindex, nofollow"
            assert response["Referrer-Policy"] == "same-origin"
            assert "https://" not in text_of(response)  # nothing third-party
            assert "<script" not in text_of(response)


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_bad_link_is_a_clear_404_and_changes_nothing(client, method, caplog):
    good = token_paths()
    before = rows()
    tokens = [path.strip("/").split("/")[1] for path in good]
    pages = [path.strip("/").split("/")[0] for path in good]

    for page in pages:
        for own, token in zip(pages, tokens, strict=True):
            bad = [token[:-1], f"{token}a", "rubbish", "%00", "ü"]
            if own != page:
                bad.append(token)  # made for another purpose
            for each in bad:
                slash = "" if page == "u" else "/"
                response = getattr(client, method)(f"/{page}/{each}{slash}")
                assert response.status_code == 404
                assert "Nothing has been changed." in text_of(response)
    assert rows() == before
    assert not caplog.text  # a log line would hold the token


@pytest.mark.parametrize("method", ["put", "delete", "patch", "trace"])
def test_a_wrong_method_gets_405_and_a_page(client, method):
    for path in [*token_paths(), "/subscribe/", "/preferences/"]:
        response = getattr(client, method)(path)
        assert response.status_code == 405
        assert response["Allow"] == "GET, HEAD, OPTIONS, POST"
        assert "Nothing has been changed." in text_of(response)
    assert client.post("/subscribe/check-your-inbox/").status_code == 405


def test_pages_take_few_queries(client, django_assert_max_num_queries):
    for number in range(6):
        make_topic(f"Topic {number}")
        make_newsletter(f"Letter {number}")
    place = make_subscription()
    paths = {"/subscribe/": 5, preferences_path(place.subscriber): 10, unsubscribe_path(place): 4}

    for path, queries in paths.items():
        with django_assert_max_num_queries(queries):
            client.get(path)
