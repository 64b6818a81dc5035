import time
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import time_machine
from django.core.cache import cache
from django.utils import timezone

from subscribers import consent, links, preferences, service_mails, signup, suppression
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
from tests.subscribers.conftest import aged, link_in

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


# --- sign-up ------------------------------------------------------------------------------------


def test_the_page_offers_public_newsletters_only_with_when_they_come(client):
    make_topic("Europe")
    make_newsletter("IRIA Daily", cadence=Cadence.WEEKDAYS, zone="Europe/Berlin")
    make_newsletter("Client Report", is_private=True)
    make_newsletter("Old Letter", is_active=False)

    page = text_of(client.get("/subscribe/"))

    assert "IRIA Daily" in page
    assert "It comes on weekdays at 06:00 (Europe/Berlin)." in page
    assert "Client Report" not in page
    assert "Old Letter" not in page
    assert consent.WORDINGS[consent.FORM] in page


def test_the_small_form_means_the_first_newsletter_by_cadence_and_all_topics(client, sign_up):
    make_newsletter("Alerts", cadence=Cadence.AT_ONCE)
    make_newsletter("Weekly", cadence=Cadence.WEEKLY, weekday=5)
    make_newsletter("Zeta Daily")
    make_topic("Europe")
    make_topic("Africa")

    response = sign_up()

    assert (response.status_code, response["Location"]) == (303, "/subscribe/check-your-inbox/")
    place = Subscription.objects.get()
    assert place.newsletter.name == "Zeta Daily"
    assert place.topics.count() == 2
    assert ConsentEvent.objects.get().wording == consent.BAND


def test_the_full_form_means_what_was_ticked(client, sign_up):
    make_newsletter("Daily")
    make_newsletter("Weekly", cadence=Cadence.WEEKLY, weekday=5)
    make_topic("Europe")
    make_topic("Africa")

    sign_up(choices="shown", newsletter=["weekly"], topic=["africa"])

    place = Subscription.objects.get()
    assert place.newsletter.name == "Weekly"
    assert [topic.slug for topic in place.topics.all()] == ["africa"]
    assert ConsentEvent.objects.get().wording == consent.FORM


def test_a_private_newsletter_cannot_be_joined_by_its_slug(sign_up):
    make_topic("Europe")
    make_newsletter("Daily")
    make_newsletter("Client Report", is_private=True)

    response = sign_up(choices="shown", newsletter=["client-report"], topic=["europe"])

    assert response.status_code == 422
    assert not Subscriber.objects.exists()


def test_the_page_the_form_stood_on_is_kept_without_its_host(client):
    make_newsletter()
    make_topic()
    for number, referrer in enumerate(
        ["http://testserver/articles/x/?q=1", "https://elsewhere.example/a", "http://[bad"]
    ):
        client.post(
            "/subscribe/",
            {"email": f"mara{number}@example.org", "form_age": aged(seconds=5)},
            headers={"referer": referrer},
        )

    sources = ConsentEvent.objects.order_by("pk").values_list("source", flat=True)
    assert list(sources) == ["/articles/x/", "/subscribe/", "/subscribe/"]


def test_mistakes_are_answered_with_422_and_everything_typed_is_kept(sign_up):
    make_newsletter("Daily")
    make_newsletter("Weekly", cadence=Cadence.WEEKLY, weekday=5)
    make_topic("Europe")
    make_topic("Africa")

    response = sign_up(
        email='"><script>@', choices="shown", newsletter=["weekly"], topic=["africa"]
    )

    page = text_of(response)
    assert response.status_code == 422
    assert 'role="alert"' in page
    assert 'value="&quot;&gt;&lt;script&gt;@"' in page
    assert "<script>" not in page
    assert 'value="weekly" checked' in page
    assert 'value="daily" checked' not in page
    assert 'value="africa" checked' in page
    assert 'value="europe" checked' not in page
    assert not Subscriber.objects.exists()


def test_each_mistake_has_its_sentence(sign_up):
    make_newsletter("Africa Report", topics=[make_topic("Africa")])
    make_newsletter("Daily", topics=[make_topic("Europe")])

    nothing = text_of(sign_up(email="mara.example.org", choices="shown"))
    unfit = text_of(sign_up(choices="shown", newsletter=["africa-report"], topic=["europe"]))

    assert "The address “mara.example.org” has no @ sign." in nothing
    assert "Tick at least one newsletter" in nothing
    assert "Tick at least one topic" in nothing
    assert "Africa Report carries none of the topics you ticked. It has: Africa." in unfit


@pytest.mark.parametrize("value", ["", "rubbish", "new", "old"])
def test_a_form_of_no_age_or_a_wrong_one_asks_to_press_again(client, value):
    make_newsletter()
    make_topic("Europe")
    form_age = {"new": aged(seconds=0), "old": aged(hours=25)}.get(value, value)

    response = client.post("/subscribe/", {"email": "mara@example.org", "form_age": form_age})

    page = text_of(response)
    assert response.status_code == 422
    assert "please press the button again" in page
    assert 'value="mara@example.org"' in page
    assert not Subscriber.objects.exists()


def test_a_program_that_fills_in_the_hidden_field_is_told_that_all_went_well(sign_up):
    make_newsletter()
    make_topic("Europe")

    response = sign_up(website="https://spam.example")

    assert (response.status_code, response["Location"]) == (303, "/subscribe/check-your-inbox/")
    assert not Subscriber.objects.exists()


def test_a_typing_mistake_is_asked_about_once_and_the_choices_are_kept(client, sign_up):
    make_newsletter("Daily")
    make_topic("Europe")
    choice = {"choices": "shown", "newsletter": ["daily"], "topic": ["europe"]}

    response = sign_up(email="mara@gmial.com", **choice)

    page = text_of(response)
    assert response.status_code == 422
    assert "Did you mean <b>mara@gmail.com</b>? You typed “mara@gmial.com”." in page
    assert 'name="newsletter" value="daily"' in page
    assert 'name="topic" value="europe"' in page
    assert not Subscriber.objects.exists()

    assert sign_up(email="mara@gmial.com", suggested="yes", **choice).status_code == 303
    assert Subscriber.objects.get().address == "mara@gmial.com"


def test_too_many_sign_ups_are_told_when_to_come_back(sign_up):
    make_newsletter()
    make_topic("Europe")
    for number in range(20):
        assert sign_up(f"mara{number}@example.org").status_code == 303

    response = sign_up("mara20@example.org")

    assert response.status_code == 429
    assert "This network has sent 20 sign-ups in an hour" in text_of(response)
    assert 3500 < int(response["Retry-After"]) <= 3600
    assert not Subscriber.objects.filter(address="mara20@example.org").exists()


def test_with_nothing_to_join_the_page_says_so(client, sign_up):
    assert "no newsletter to join at present" in text_of(client.get("/subscribe/"))
    assert sign_up().status_code == 422


def test_without_a_worker_and_without_redis_a_sign_up_stands(
    sign_up, settings, caplog, django_capture_on_commit_callbacks, monkeypatch
):
    from celery import current_app

    make_newsletter()
    make_topic("Europe")
    monkeypatch.setattr(current_app.conf, "broker_url", "redis+socket:///nowhere/valkey.sock")
    monkeypatch.setattr(current_app.conf, "broker_write_url", None, raising=False)
    settings.CACHES = {
        "default": {**settings.CACHES["default"], "LOCATION": "unix:///nowhere/valkey.sock"}
    }

    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        response = sign_up()

    assert response.status_code == 303
    assert len(callbacks) == 1
    assert ServiceMail.objects.count() == 1
    assert "mara" not in caplog.text


# --- nobody learns who is with us ---------------------------------------------------------------


def people():
    """One address of every kind we know, each as (name, address)."""
    pending = make_subscription(confirmed=False).subscriber
    reader = make_subscription().subscriber
    left = make_subscription()
    preferences.leave(left, source="page")
    marks = []
    for reason in SuppressionReason:
        stopped = make_subscription().subscriber
        suppression.suppress(stopped.address_hash, reason)
        marks.append(stopped)
    known = [pending, reader, left.subscriber, *marks]
    return ["unknown@example.org", *(subscriber.address for subscriber in known)]


@pytest.mark.parametrize("path", ["/subscribe/", "/preferences/"])
def test_the_answer_is_the_same_byte_for_byte_for_every_address(client, path):
    make_topic("Europe")
    make_newsletter("Daily")
    answers = set()
    for address in people():
        for _ in range(3):  # also when a limit of mails is reached
            cache.clear()
            response = client.post(path, {"email": address, "form_age": aged(seconds=10)})
            landed = client.get(response["Location"])
            headers = tuple(sorted(response.headers.items()))
            answers.add((response.status_code, headers, response.content, landed.content))

    assert len(answers) == 1
    assert b"@example.org" not in answers.pop()[-1]


def test_the_clock_tells_no_more_than_the_page(client, at_real_pace):
    make_topic("Europe")
    make_newsletter("Daily")
    for address in people()[:4]:
        for path in ("/subscribe/", "/preferences/"):
            start = time.monotonic()
            client.post(path, {"email": address, "form_age": aged(seconds=10)})
            assert time.monotonic() - start >= at_real_pace


# --- confirmation -------------------------------------------------------------------------------


def test_from_the_form_to_the_preferences_by_the_mail_alone(
    client, sign_up, sink, django_capture_on_commit_callbacks
):
    make_newsletter("IRIA Daily")
    make_topic("Europe")
    sign_up("Mara@example.org")
    service_mails.send_due()
    link = link_in(sink.taken[0].message.get_body(("plain",)).get_content(), "/confirm/")

    page = client.get(link)
    assert "IRIA Daily" in text_of(page)
    assert "M•••@example.org" in text_of(page)
    assert "Mara@example.org" not in text_of(page)
    assert consent.WORDINGS[consent.CONFIRM] in text_of(page)
    assert Subscriber.objects.get().state == SubscriberState.PENDING

    pressed = client.post(link)
    assert pressed.status_code == 303
    assert Subscription.objects.active().count() == 1
    landed = client.get(pressed["Location"])
    assert landed.status_code == 200
    assert "<b>Confirmed.</b>" in text_of(landed)


def test_a_confirmation_link_used_before_leads_to_a_clear_page(client):
    _, path = make_confirmation()
    client.post(path)
    before = rows()

    for response in (client.get(path), client.post(path)):
        assert response.status_code == 404
        assert "It was used already, is too old, or lost its end" in text_of(response)
    assert rows() == before


def test_a_confirmation_link_is_dead_after_three_days(client):
    _, path = make_confirmation()
    with time_machine.travel(timezone.now() + timedelta(days=3, minutes=1)):
        assert client.post(path).status_code == 404
    assert not Subscription.objects.active().exists()


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
    assert "You still get <b>IRIA Weekly</b>." in page
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
    undo = page.split('action="')[1].split('"')[0]

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


# --- the link by mail ---------------------------------------------------------------------------


def test_a_reader_can_have_the_preference_link_mailed(client):
    reader = make_subscriber("mara@example.org")
    assert "Mail me my link" in text_of(client.get("/preferences/"))

    response = client.post(
        "/preferences/", {"email": "mara@example.org", "form_age": aged(seconds=5)}
    )

    assert response.status_code == 303
    mail = ServiceMail.objects.get()
    assert (mail.subscriber, mail.kind) == (reader, ServiceMailKind.PREFERENCES)


def test_the_form_for_the_link_keeps_what_was_typed(client):
    response = client.post("/preferences/", {"email": "mara", "form_age": aged(seconds=5)})

    assert response.status_code == 422
    assert 'value="mara"' in text_of(response)
    assert "has no @ sign" in text_of(response)


def test_the_form_for_the_link_has_limits_and_a_honeypot_too(client):
    form = {"form_age": aged(seconds=5)}
    make_subscriber("mara@example.org")
    client.post("/preferences/", {**form, "email": "mara@example.org", "website": "x"})
    assert not ServiceMail.objects.exists()

    for number in range(20):
        client.post("/preferences/", {**form, "email": f"m{number}@example.org"})
    assert client.post("/preferences/", {**form, "email": "m@example.org"}).status_code == 429


def test_pages_take_few_queries(client, django_assert_max_num_queries):
    for number in range(6):
        make_topic(f"Topic {number}")
        make_newsletter(f"Letter {number}")
    place = make_subscription()
    paths = {"/subscribe/": 4, preferences_path(place.subscriber): 8, unsubscribe_path(place): 3}

    for path, queries in paths.items():
        with django_assert_max_num_queries(queries):
            client.get(path)


def test_signing_up_rings_for_a_worker_whatever_is_known(django_capture_on_commit_callbacks):
    from subscribers import addresses

    make_subscriber("mara@example.org")
    for address in ("mara@example.org", "nobody@example.org"):
        with django_capture_on_commit_callbacks() as callbacks:
            signup.ask_for_link(addresses.parse(address))
        assert len(callbacks) == 1
