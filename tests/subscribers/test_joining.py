"""The pages on which somebody asks for something, from the form to the confirmation."""

import statistics
import time
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlencode, urlsplit

import lxml.html
import pytest
import time_machine
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from subscribers import (
    consent,
    limits,
    links,
    preferences,
    receiving,
    service_mails,
    showcase,
    suppression,
)
from subscribers.models import (
    Cadence,
    ConsentEvent,
    ServiceMail,
    ServiceMailKind,
    SignUpRequest,
    Subscriber,
    SubscriberState,
    Subscription,
    SuppressionReason,
)
from tests import scanner
from tests.factories import make_newsletter, make_subscriber, make_subscription, make_topic
from tests.subscribers.conftest import aged, link_in

pytestmark = pytest.mark.django_db
# Whether the link after a press is fresh: reader before or not, minutes since the mail.
FRESH_AFTER = [(True, 59, True), (True, 61, False), (True, 4200, False), (False, 4200, True)]


def make_confirmation(place=None):
    place = place or make_subscription(confirmed=False)
    mail = ServiceMail.objects.create(
        subscriber=place.subscriber, kind=ServiceMailKind.CONFIRMATION, asked_at=timezone.now()
    )
    return mail, urlsplit(links.confirm_url(mail.pk, mail.asked_at)).path


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
    receiving.process()

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
def test_a_form_of_no_age_or_a_wrong_one_needs_one_more_press(client, value):
    make_newsletter("Daily")
    make_newsletter("Weekly", cadence=Cadence.WEEKLY, weekday=5)
    make_topic("Europe")
    make_topic("Africa")
    form_age = {"new": aged(seconds=0), "old": aged(hours=25)}.get(value, value)
    typed = {"email": "Mara@example.org", "newsletter": ["weekly"], "topic": ["africa"]}

    response = client.post("/subscribe/", {**typed, "choices": "shown", "form_age": form_age})

    assert response.status_code == 422
    assert "Press once more" in text_of(response)
    assert not SignUpRequest.objects.exists()

    press_once_more(client, response)
    receiving.process()
    place = Subscription.objects.get()
    assert place.subscriber.address == "Mara@example.org"
    assert place.newsletter.name == "Weekly"
    assert [topic.slug for topic in place.topics.all()] == ["africa"]


def press_once_more(client, response, *, after=3):
    """Send the one form of a page as it is, by its first button, so many seconds later."""
    form = lxml.html.document_fromstring(response.content.decode()).forms[0]
    button = form.xpath(".//button")[0]
    values = [*form.form_values(), (button.get("name"), button.get("value"))]
    body = urlencode([(name, value) for name, value in values if name])
    with time_machine.travel(timezone.now() + timedelta(seconds=after)):
        return client.post(form.action, body, content_type="application/x-www-form-urlencoded")


def test_who_presses_at_once_is_asked_again_and_then_believed(client):
    make_newsletter("Daily")
    make_topic("Europe")
    first = client.post("/subscribe/", {"email": "mara@example.org"})

    second = press_once_more(client, first, after=0)
    assert second.status_code == 422
    assert "Press once more" in text_of(second)

    assert press_once_more(client, second, after=2).status_code == 303


def test_a_form_on_another_site_works_without_cookie_and_script_by_one_press_here():
    client = Client(enforce_csrf_checks=True)
    make_newsletter("IRIA Weekly", cadence=Cadence.WEEKLY, weekday=5)
    make_newsletter("IRIA Daily")
    make_topic("Europe")
    make_topic("Africa")
    there = {"origin": "https://blog.example", "sec-fetch-site": "cross-site"}

    shown = client.post(
        "/subscribe/", {"email": "mara@example.org", "newsletter": "iria-weekly"}, headers=there
    )
    assert shown.status_code == 422
    assert "Subscribe mara@example.org" in text_of(shown)
    assert "IRIA Weekly" in text_of(shown)
    assert not SignUpRequest.objects.exists()

    assert press_once_more(client, shown).status_code == 303
    receiving.process()
    place = Subscription.objects.get()
    assert place.newsletter.name == "IRIA Weekly"
    assert place.topics.count() == 2
    assert ConsentEvent.objects.get().wording == consent.FORM
    assert not client.cookies


def test_a_form_on_another_site_with_a_mistake_comes_back_with_the_mistake_alone(client):
    make_newsletter()
    make_topic("Europe")

    page = text_of(client.post("/subscribe/", {"email": "mara.example.org"}))

    assert "has no @ sign" in page
    assert "open for too long" not in page


def test_a_typing_mistake_on_another_site_takes_one_page_and_one_press(client):
    make_newsletter()
    make_topic("Europe")

    asked = client.post("/subscribe/", {"email": "mara@gmial.com"})
    assert "Did you mean <b>mara@gmail.com</b>?" in text_of(asked)

    assert press_once_more(client, asked).status_code == 303
    receiving.process()
    assert Subscriber.objects.get().address == "mara@gmail.com"


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
    client, settings, caplog, django_capture_on_commit_callbacks, monkeypatch
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
        fields = {"email": "mara@example.org", "form_age": aged(seconds=10)}
        response = client.post("/subscribe/", fields)

    assert response.status_code == 303
    assert len(callbacks) == 1
    assert SignUpRequest.objects.count() == 1
    assert service_mails.due_exists()  # so the tick rings
    assert "mara" not in caplog.text


def test_a_newsletter_that_was_made_private_a_second_ago_is_joined_by_nobody(client):
    make_topic("Europe")
    report = make_newsletter("Client Report")
    client.get("/subscribe/")
    report.is_private = True
    report.save()

    client.post("/subscribe/", {"email": "mara@example.org", "form_age": aged(seconds=10)})
    receiving.process()

    assert not SignUpRequest.objects.exists()
    assert not Subscription.objects.exists()


def test_what_is_offered_is_read_every_few_seconds(client, django_assert_num_queries):
    make_newsletter("Daily")
    make_topic("Europe")
    client.get("/subscribe/")

    with django_assert_num_queries(1):  # one insert, and nothing looked up
        client.post("/subscribe/", {"email": "mara@example.org", "form_age": aged(seconds=10)})
    showcase.forget()
    make_newsletter("Weekly", cadence=Cadence.WEEKLY, weekday=5)
    assert "Weekly" in text_of(client.get("/subscribe/"))


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


@pytest.mark.parametrize("path", ["/subscribe/", "/embed/subscribe/", "/preferences/"])
def test_the_answer_is_the_same_byte_for_byte_for_every_address(client, path):
    make_topic("Europe")
    make_newsletter("Daily")
    answers = set()
    for address in people():
        for _ in range(3):  # also when a limit of mails is reached
            cache.clear()
            response = client.post(path, {"email": address, "form_age": aged(seconds=10)})
            receiving.process()
            landed = client.get(response["Location"])
            headers = tuple(sorted(response.headers.items()))
            answers.add((response.status_code, headers, response.content, landed.content))

    assert len(answers) == 1
    assert b"@example.org" not in answers.pop()[-1]


@pytest.mark.parametrize("path", ["/subscribe/", "/embed/subscribe/", "/preferences/"])
def test_the_clock_tells_no_more_than_the_page(client, monkeypatch, path):
    """Tries of all kinds take turns, so that a slow second of the machine strikes all of them."""
    for name in ("ADDRESS", "NETWORK"):  # counted as ever, and not reached by 2,000 tries
        generous = replace(getattr(limits, name), most=10_000)
        monkeypatch.setattr(limits, name, generous)
    make_topic("Europe")
    make_newsletter("Daily")
    everybody = people()
    took = {address: [] for address in everybody}
    for _ in range(200):
        for address in everybody:
            start = time.perf_counter()
            client.post(path, {"email": address, "form_age": aged(seconds=10)})
            took[address].append(time.perf_counter() - start)

    medians = [statistics.median(each) for each in took.values()]
    assert max(medians) - min(medians) < 0.005


@pytest.mark.parametrize("path", ["/subscribe/", "/embed/subscribe/", "/preferences/"])
def test_the_page_asks_the_database_the_same_whatever_the_address(client, path):
    make_topic("Europe")
    make_newsletter("Daily")
    everybody = people()
    client.get("/subscribe/")
    asked = set()
    for address in everybody:
        with CaptureQueriesContext(connection) as queries:
            client.post(path, {"email": address, "form_age": aged(seconds=10)})
        asked.add(tuple(each["sql"].split("(")[0] for each in queries))

    assert len(asked) == 1
    assert len(asked.pop()) == 1


# --- confirmation -------------------------------------------------------------------------------


def test_from_the_form_to_the_preferences_by_the_mail_alone(
    client, sign_up, sink, django_capture_on_commit_callbacks
):
    make_newsletter("IRIA Daily")
    make_topic("Europe")
    sign_up("Mara@example.org")
    service_mails.send_due()
    scanner.assert_links_change_nothing(sink.taken[0].message)
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
    before = scanner.dump()

    for response in (client.get(path), client.post(path)):
        assert response.status_code == 404
        assert "It was used already, is too old, or lost its end" in text_of(response)
    assert scanner.dump() == before


def test_a_confirmation_link_is_dead_after_three_days(client):
    _, path = make_confirmation()
    with time_machine.travel(timezone.now() + timedelta(days=3, minutes=1)):
        assert client.post(path).status_code == 404
    assert not Subscription.objects.active().exists()


@pytest.mark.parametrize("kind", [ServiceMailKind.CONFIRMATION, ServiceMailKind.INVITATION])
@pytest.mark.parametrize(("is_reader", "minutes", "fresh"), FRESH_AFTER)
def test_the_button_of_an_old_mail_opens_no_data_of_somebody_who_was_with_us(
    client, kind, is_reader, minutes, fresh
):
    known = {"subscriber": make_subscription().subscriber} if is_reader else {}
    place = make_subscription(confirmed=False, **known)
    asked_at = timezone.now() - timedelta(minutes=minutes)
    mail = ServiceMail.objects.create(
        subscriber=place.subscriber, kind=kind, newsletter=place.newsletter, asked_at=asked_at
    )

    landed = client.post(urlsplit(links.confirm_url(mail.pk, asked_at)).path)["Location"]

    assert "<b>Confirmed.</b>" in text_of(client.get(landed))
    response = client.post(f"{landed.partition('?')[0]}data/")
    assert (response.status_code == 200) is fresh


# --- the link by mail ---------------------------------------------------------------------------


def test_a_reader_can_have_the_preference_link_mailed(client):
    reader = make_subscriber("mara@example.org")
    assert "Mail me my link" in text_of(client.get("/preferences/"))

    response = client.post(
        "/preferences/", {"email": "mara@example.org", "form_age": aged(seconds=5)}
    )
    receiving.process()

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
    assert not SignUpRequest.objects.exists()

    for number in range(20):
        client.post("/preferences/", {**form, "email": f"m{number}@example.org"})
    assert client.post("/preferences/", {**form, "email": "m@example.org"}).status_code == 429
