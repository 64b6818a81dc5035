"""Endpoints and their log at the desk of whoever looks after programs."""

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from subscribers.models import CallState, EventKind, WebhookCall, WebhookEndpoint, WebhookEvent
from subscribers.webhooks import endpoints, events
from tests import factories

pytestmark = pytest.mark.django_db
ADD = "admin:subscribers_webhookendpoint_add"
LIST = "admin:subscribers_webhookendpoint_changelist"
CALLS = "admin:subscribers_webhookcall_changelist"
TYPED = {
    "name": "CRM",
    "url": "https://hooks.example.org/iria?key=theirs",
    "events": ["subscriber.confirmed", "edition.sent"],
}


def page(name, row):
    model = "webhookcall" if isinstance(row, WebhookCall) else "webhookendpoint"
    return reverse(f"admin:subscribers_{model}_{name}", args=[row.pk])


@pytest.fixture
def endpoint(admin_user):
    return endpoints.create(**TYPED, by=admin_user)


@pytest.fixture
def call(endpoint):
    events.emit(
        EventKind.CONFIRMED,
        subscriber=factories.make_subscriber("mara@example.org"),
        source="<script>alert(1)</script>",
    )
    return WebhookCall.objects.get()


def test_a_new_endpoint_shows_its_secret_once_and_on_no_other_page(admin_client):
    answer = admin_client.post(reverse(ADD), TYPED)

    endpoint = WebhookEndpoint.objects.get()
    assert answer.status_code == 200
    assert endpoint.secret in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    assert (endpoint.name, endpoint.url, endpoint.events) == tuple(TYPED.values())
    assert endpoint.is_active
    assert endpoint.created_by.username == "admin"
    for path in [
        *(page(name, endpoint) for name in ("change", "test", "rotate", "switch", "delete")),
        *(page("history", endpoint), reverse(LIST), reverse(CALLS)),
    ]:
        assert endpoint.secret not in admin_client.get(path).content.decode(), path
    assert endpoint.secret not in str(LogEntry.objects.values_list("change_message", "object_repr"))


def test_a_list_names_the_host_and_not_what_may_be_a_secret_of_theirs(admin_client, endpoint):
    listed = admin_client.get(reverse(LIST)).content.decode()

    assert "hooks.example.org" in listed
    assert "theirs" not in listed
    assert "2 of 8 kinds" in listed


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://hooks.example.org/", "does not start with https://"),
        ("https://hooks.example.org:22/", "names port 22; only 443 and 8443 are called."),
        ("https://a:b@hooks.example.org/", "a user name or password in it is not called."),
        ("https://10.0.0.1/", "10.0.0.1 is a private address, and those are not called."),
        ("https://[::1]/", "::1 is a private address, and those are not called."),
        ("ftp://hooks.example.org/", "does not start with https://"),
    ],
)
def test_an_address_that_is_never_called_is_answered_with_a_sentence(admin_client, url, sentence):
    answer = admin_client.post(reverse(ADD), {**TYPED, "url": url})

    assert sentence in answer.content.decode()
    assert not WebhookEndpoint.objects.exists()


def test_an_endpoint_that_is_told_nothing_makes_no_sense(admin_client):
    answer = admin_client.post(reverse(ADD), {**TYPED, "events": []})

    assert "Tick at least one, or there would be nothing to tell it." in answer.content.decode()
    assert "webhook.test" not in answer.content.decode()


def test_changing_the_choices_touches_nothing_that_a_worker_writes(admin_client, endpoint):
    stale = WebhookEndpoint.objects.get()
    endpoints.switch_off(endpoint.pk, because="410")

    admin_client.post(page("change", stale), {**TYPED, "events": ["subscriber.changed"]})

    endpoint.refresh_from_db()
    assert endpoint.events == ["subscriber.changed"]
    assert endpoint.secret == stale.secret
    assert (endpoint.is_active, endpoint.off_because) == (False, "410")


def test_a_test_is_asked_for_written_down_and_led_to_its_line(admin_client, endpoint):
    assert "Send 1 test" in admin_client.get(page("test", endpoint)).content.decode()
    assert not WebhookEvent.objects.exists()

    answer = admin_client.post(page("test", endpoint), follow=True)

    assert WebhookCall.objects.get().event.kind == "webhook.test"
    assert "webhook.test" in answer.content.decode()
    assert "A test is on its way." in answer.content.decode()


def test_a_change_of_the_secret_shows_the_new_one_and_keeps_the_old_for_a_day(
    admin_client, endpoint
):
    admin_client.get(page("rotate", endpoint))
    answer = admin_client.post(page("rotate", endpoint)).content.decode()

    changed = WebhookEndpoint.objects.get()
    assert re.search(r"whsec_[\w+/=]+", answer).group() == changed.secret != endpoint.secret
    assert changed.previous_secret == endpoint.secret
    assert changed.previous_secret not in answer
    assert LogEntry.objects.latest("pk").change_message == "Changed the secret."


def test_two_people_who_switch_it_off_at_once_do_not_undo_each_other(admin_client, endpoint):
    question = admin_client.get(page("switch", endpoint)).content.decode()
    assert 'name="to" value="off"' in question

    admin_client.post(page("switch", endpoint), {"to": "off"})
    answer = admin_client.post(page("switch", endpoint), {"to": "off"}, follow=True)

    endpoint.refresh_from_db()
    assert not endpoint.is_active
    assert endpoint.off_because == "By admin."
    assert "Too late, nothing changed." in answer.content.decode()
    assert 'name="to" value="on"' in admin_client.get(page("switch", endpoint)).content.decode()
    admin_client.post(page("switch", endpoint), {"to": "on"})
    endpoint.refresh_from_db()
    assert endpoint.is_active


def test_a_post_that_says_not_whereto_switches_nothing(admin_client, endpoint):
    admin_client.post(page("switch", endpoint))

    endpoint.refresh_from_db()
    assert endpoint.is_active


def test_deleting_asks_and_takes_the_log_along(admin_client, call, endpoint):
    question = admin_client.get(page("delete", endpoint)).content.decode()
    assert "Calls that wait, now 1, are never made." in question
    assert WebhookEndpoint.objects.exists()

    admin_client.post(page("delete", endpoint))

    assert not WebhookEndpoint.objects.exists()
    assert not WebhookCall.objects.exists()
    assert LogEntry.objects.latest("pk").object_repr == "CRM"


def test_a_line_of_the_log_shows_what_was_told_and_what_came_of_it_escaped(admin_client, call):
    WebhookCall.objects.update(answer="500 <b>Bang</b>")

    shown = admin_client.get(page("change", call)).content.decode()

    assert "mara@example.org" in shown
    assert call.event.uid in shown
    assert "&lt;script&gt;alert(1)" in shown
    assert "<script>alert(1)" not in shown
    assert "<b>Bang" not in shown
    listed = admin_client.get(reverse(CALLS)).content.decode()
    assert "mara@example.org" not in listed
    assert "subscriber.confirmed" in listed


def test_only_what_is_settled_can_be_sent_again(admin_client, call):
    assert "Send again" not in admin_client.get(page("change", call)).content.decode()
    answer = admin_client.post(page("resend", call), follow=True)
    assert "Nothing changed: it waits, or is under way, already." in answer.content.decode()
    WebhookCall.objects.update(state=CallState.GIVEN_UP, settled_at=call.not_before)

    assert "Send again" in admin_client.get(page("change", call)).content.decode()
    admin_client.get(page("resend", call))
    call.refresh_from_db()
    assert call.state == CallState.GIVEN_UP
    admin_client.post(page("resend", call))

    call.refresh_from_db()
    assert call.state == CallState.WAITING


def test_seeing_is_not_steering(staff, call, endpoint):
    client = staff("subscribers.view_webhookendpoint", "subscribers.view_webhookcall")

    assert client.get(page("change", endpoint)).status_code == 200
    for path in [
        *(page(name, endpoint) for name in ("test", "rotate", "switch", "delete")),
        page("resend", call),
    ]:
        assert client.get(path).status_code == 403, path
        assert client.post(path).status_code == 403, path
    assert client.post(reverse(ADD), TYPED).status_code == 403
    assert client.post(page("change", endpoint), TYPED).status_code == 403
    shown = client.get(page("change", endpoint)).content.decode()
    assert "Change the secret" not in shown


def test_a_list_of_calls_takes_the_same_queries_for_any_number(
    admin_client, endpoint, django_assert_max_num_queries
):
    for _ in range(30):
        events.emit(EventKind.CONFIRMED, subscriber=factories.make_subscriber())

    with django_assert_max_num_queries(9):
        admin_client.get(reverse(CALLS))
