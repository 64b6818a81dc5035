"""Lanes and warm-up days: shown with real numbers, steered once, and only by those who may."""

from datetime import date, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from django.urls import reverse

from iria_news.environment import SubmissionServer
from mailer.models import Throttle, WarmUpDay
from mailer.throttle import hours, reactions, suppressions
from subscribers.models import Subscription, Suppression
from tests import factories

pytestmark = pytest.mark.django_db
ORG = "example.org"
LIST = "admin:mailer_throttle_changelist"


@pytest.fixture(autouse=True)
def servers(settings):
    settings.SUBMISSION_SERVERS = {
        "default": SubmissionServer("localhost", 25, rate=40),
        "relay": SubmissionServer("localhost", 25, name="relay"),
    }


def make(domain: str = ORG, **fields) -> Throttle:
    return Throttle.objects.create(**{"server": "default", "domain": domain, **fields})


def page(client, name: str = "", row: Throttle | None = None) -> str:
    path = reverse(f"admin:mailer_throttle_{name}", args=[row.pk]) if row else reverse(LIST)
    return client.get(path).content.decode()


def url(name: str, row: Throttle) -> str:
    return reverse(f"admin:mailer_throttle_{name}", args=[row.pk])


def test_the_list_says_how_each_lane_stands_and_why(admin_client):
    make("", factor=0.5, reason="421 4.7.0 too fast")
    make("example.net", rate_limit=4, factor=0.25)
    make("held.example", is_held=True, reason="Suspended by mara.")
    make(resume_at=Now() + timedelta(minutes=15), reason="Third cut")
    hours.add("default", {(ORG, "sent"): 1_204, (ORG, "deferred"): 3})

    shown = page(admin_client)

    for words in (
        *("whole server", "20 a second", "To 50 % of its rate. 421 4.7.0 too fast"),
        *("1 a second", "25 %", "Until a person releases it. Suspended by mara."),
        *("1,204 sent, 3 deferred, 0 refused, 0 failed", "UTC. Third cut"),
        *(">held<", ">suspended<", ">slowed<"),
    ):
        assert words in shown


@pytest.mark.parametrize("number", [1, 30])
def test_the_list_takes_as_many_queries_for_any_number_of_lanes(
    number, admin_client, django_assert_num_queries
):
    for place in range(number):
        make(f"lane{place}.example", factor=0.5)
        hours.add("default", {(f"lane{place}.example", "sent"): 9})

    with django_assert_num_queries(7):
        page(admin_client)


def test_a_person_limits_a_domain_by_adding_its_lane(admin_client):
    add = reverse("admin:mailer_throttle_add")
    typed = {"server": "relay", "domain": "Bücher.EXAMPLE", "rate_limit": "2.5"}

    assert admin_client.post(add, typed).status_code == 302

    row = Throttle.objects.get()
    assert (row.server, row.domain, row.rate_limit) == ("relay", "xn--bcher-kva.example", 2.5)
    assert LogEntry.objects.get().object_id == str(row.pk)
    assert "This lane is in the list already" in admin_client.post(add, typed).content.decode()


@pytest.mark.parametrize(
    "wrong",
    [
        {"server": "elsewhere"},
        {"domain": "not a domain"},
        {"rate_limit": "0"},
        {"rate_limit": "-1"},
        {"connection_limit": "0"},
    ],
)
def test_a_lane_that_cannot_be_is_refused_with_a_sentence(wrong, admin_client):
    typed = {"server": "relay", "domain": ORG, **wrong}

    answer = admin_client.post(reverse("admin:mailer_throttle_add"), typed)

    assert answer.status_code == 200
    assert not Throttle.objects.exists()


def test_changing_limits_touches_nothing_that_workers_wrote_meanwhile(admin_client):
    row = make(rate_limit=5)
    page(admin_client, "change", row)
    reactions.slow_down("default", ORG, "too fast")

    admin_client.post(url("change", row), {"rate_limit": "8", "domain": "x.example", "factor": "1"})

    row.refresh_from_db()
    assert (row.rate_limit, row.factor, row.domain) == (8, 0.5, ORG)


def test_suspending_asks_with_numbers_then_acts_once_and_is_recorded(admin_client):
    row = make()
    hours.add("default", {(ORG, "sent"): 12})

    asked = page(admin_client, "suspend", row)
    row.refresh_from_db()
    assert "12 sent, 0 deferred" in asked
    assert not row.is_held

    answer = admin_client.post(url("suspend", row), {"reason": "postmaster asked"}, follow=True)
    again = admin_client.post(url("suspend", row), {}, follow=True)

    row.refresh_from_db()
    assert row.is_held
    assert row.reason == "Suspended by admin: postmaster asked"
    assert "Suspended." in answer.content.decode()
    assert "nothing changed" in again.content.decode()
    assert LogEntry.objects.get().user.username == "admin"


def test_releasing_opens_a_lane_whoever_closed_it(admin_client):
    row = make(resume_at=Now() + timedelta(minutes=15), factor=0.125, rate_limit=8)
    assert "1 a second" in page(admin_client, "release", row)

    admin_client.post(url("release", row))

    row.refresh_from_db()
    assert (row.resume_at, row.factor) == (None, 0.125)
    assert "It is open." in page(admin_client, "release", row)
    assert LogEntry.objects.count() == 1


def test_suppressions_of_the_last_hour_are_undone_in_one_step(admin_client):
    row = make()
    newsletter = factories.make_newsletter()
    for _ in range(3):
        reader = factories.make_subscription(newsletter).subscriber
        suppressions.suppress_gone(reader.address_hash, server="default", domain=ORG)

    assert "Undo 3 suppressions" in page(admin_client, "undo", row)
    assert Suppression.objects.count() == 3
    admin_client.post(url("undo", row))

    assert not Suppression.objects.exists()
    assert Subscription.objects.active().count() == 3
    assert LogEntry.objects.get().get_change_message() == "Undone: 3 suppressions."
    assert "No suppression of the last hour" in page(admin_client, "undo", row)


def test_who_may_only_look_sees_no_button_and_changes_nothing(staff):
    client = staff("mailer.view_throttle", "mailer.view_warmupday")
    row = make()
    day = WarmUpDay.objects.create(server="relay", day=date(2026, 12, 1), messages=50)

    shown = page(client, "change", row)
    assert "Suspend" not in shown
    assert ORG in page(client)
    for name in ("suspend", "release", "undo"):
        assert client.get(url(name, row)).status_code == 403
        assert client.post(url(name, row)).status_code == 403
    changed = client.post(url("change", row), {"rate_limit": "1"})
    added = client.post(reverse("admin:mailer_throttle_add"), {"server": "relay", "domain": ORG})
    delete = reverse("admin:mailer_warmupday_delete", args=[day.pk])
    assert [changed.status_code, added.status_code] == [403, 403]
    assert client.post(delete, {"post": "yes"}).status_code == 403
    row.refresh_from_db()
    assert (row.rate_limit, row.is_held) == (None, False)


def test_who_may_steer_lanes_needs_no_other_right(staff):
    client = staff("mailer.steer_lane")
    row = make()

    assert "Suspend" in page(client, "change", row)
    assert client.post(url("suspend", row), {}).status_code == 302
    typed = {"server": "relay", "day": "2026-12-01", "messages": "50"}
    client.post(reverse("admin:mailer_warmupday_add"), typed)
    assert WarmUpDay.objects.get().messages == 50
    assert "1 Dec 2026" in (
        client.get(reverse("admin:mailer_warmupday_changelist")).content.decode()
    )


def test_the_command_says_how_a_lane_stands_and_changes_it(capsys):
    call_command("lane", "default")
    assert capsys.readouterr().out == (
        "default, whole server: open\nrate: 40 a second\n"
        "this hour: 0 sent, 0 deferred, 0 refused, 0 failed\n"
    )
    call_command("lane", "default", ORG, "--rate", "2.5", "--suspend")
    assert "held until a person releases it: Suspended by the command line." in (
        capsys.readouterr().out
    )
    call_command("lane", "default", ORG, "--rate", "0", "--release")
    assert "open\nrate: no limit" in capsys.readouterr().out
    assert Throttle.objects.get().rate_limit is None


@pytest.mark.parametrize(
    "words", [["elsewhere"], ["default", "--rate", "-1"], ["default", "--release"]]
)
def test_the_command_says_what_it_cannot_do(words):
    with pytest.raises(CommandError):
        call_command("lane", *words)


def test_a_warm_up_is_shown_first_and_written_only_when_told(capsys):
    words = ["relay", "--start", "2026-12-31", "--from", "50", "--until", "100"]

    call_command("warm_up", *words)
    shown = capsys.readouterr().out
    assert "Thu 2026-12-31            50              50 so far" in shown
    assert "Sat 2027-01-02           100             225 so far" in shown
    assert "Nothing is written." in shown
    assert not WarmUpDay.objects.exists()

    call_command("warm_up", *words, "--apply")
    call_command("warm_up", *words, "--apply")
    assert "Written: 3 days for relay, instead of 3." in capsys.readouterr().out
    assert list(WarmUpDay.objects.values_list("messages", flat=True)) == [50, 75, 100]


def test_a_warm_up_that_cannot_be_is_refused():
    for words in (["elsewhere", "--until", "9"], ["relay", "--until", "1"]):
        with pytest.raises(CommandError):
            call_command("warm_up", *words, "--start", "2026-12-31", "--from", "5")
