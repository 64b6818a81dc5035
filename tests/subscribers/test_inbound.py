"""Leaving by mail: the token decides, and no bytes of anybody do harm."""

import subprocess
import sys
from base64 import b64encode
from datetime import timedelta
from io import BytesIO, StringIO
from types import SimpleNamespace

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from subscribers import erasure, inbound, links, preferences
from subscribers.management.commands import receive_mail
from subscribers.models import ConsentEvent, Subscriber, SubscriberState, Subscription
from tests.factories import make_newsletter, make_subscriber, make_subscription

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folder(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    return tmp_path / "inbound"


def mail(to, *, header="To", more="", end="\r\n"):
    lines = ["Received: from somewhere", more or "From: anybody@example.org", f"{header}: {to}"]
    return (end.join(lines) + end * 2 + "stop" + end).encode()


def place_and_address():
    place = make_subscription(make_newsletter())
    return place, links.unsubscribe_address(place.pk)


@pytest.mark.parametrize("header", ["To", "Delivered-To", "X-Original-To", "delivered-TO"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_mail_to_the_address_ends_the_subscription(header, end, folder):
    place, address = place_and_address()
    other = make_subscription(subscriber=place.subscriber)

    outcome = inbound.receive(mail(address, header=header, end=end))

    place.refresh_from_db()
    assert (outcome.ended, place.ended_by) == (1, "mail")
    assert Subscription.objects.active().get() == other
    assert ConsentEvent.objects.get().source == "mail"
    assert not folder.exists()  # nothing of the mail is kept


@pytest.mark.parametrize(
    "shape",
    [
        "{}",
        "<{}>",
        '"unsubscribe" <{}>',
        "someone@else.example,\r\n {}",
        "\r\n\t{}",
        "mailto:{}",
    ],
)
def test_the_address_is_found_however_it_is_written(shape):
    _, address = place_and_address()

    assert inbound.receive(mail(shape.format(address))).ended == 1


@pytest.mark.parametrize("change", [str.upper, lambda a: a.replace("+", "%2B"), lambda a: f"{a}."])
def test_what_mail_programs_do_to_an_address_does_no_harm(change):
    _, address = place_and_address()

    assert inbound.receive(mail(change(address))).ended == 1


@pytest.mark.parametrize(
    "more",
    [
        "From: mailer-daemon@example.org",
        "Auto-Submitted: auto-replied",
        "Subject: I want to stay",
        "From: \xff\xfe",
    ],
)
def test_nothing_but_the_token_counts(more):
    _, address = place_and_address()

    assert inbound.receive(mail(address, more=more)).ended == 1


def test_a_second_mail_and_one_after_erasure_change_nothing():
    place, address = place_and_address()
    inbound.receive(mail(address))
    assert inbound.receive(mail(address)).ended == 1
    assert ConsentEvent.objects.count() == 1

    erasure.erase(place.subscriber, source="preferences")

    outcome = inbound.receive(mail(address))
    assert "erased" in outcome.sentences[0]


@pytest.mark.parametrize("where", ["Subject", "X-To", "Cc", "Reply-To"])
def test_a_token_in_any_other_field_or_in_the_body_does_nothing(where, folder):
    _, address = place_and_address()

    outcome = inbound.receive(mail(address, header=where) + address.encode())

    assert outcome.ended == 0
    assert Subscription.objects.active().count() == 1
    assert len(list(folder.iterdir())) == 1


def test_a_forged_token_or_another_domain_is_kept_and_explained(folder):
    place, address = place_and_address()
    token = address.partition("+")[2].partition("@")[0]
    forged = address.replace(token, ("b" if token[0] != "b" else "c") + token[1:])
    preferences_link = links.preferences_url(place.subscriber_id, timezone.now())

    for to in (forged, f"unsubscribe+{token}@elsewhere.example", preferences_link):
        outcome = inbound.receive(mail(to))
        assert outcome.ended == 0
        assert outcome.sentences[-1].startswith("Kept as ")
    assert Subscription.objects.active().count() == 1
    modes = {path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_the_same_mail_is_kept_once_and_for_thirty_days(folder):
    for _ in range(3):
        inbound.receive(b"hello")
    assert len(list(folder.iterdir())) == 1

    assert inbound.forget_files(timezone.now() + timedelta(days=29)) == 0
    assert inbound.forget_files(timezone.now() + timedelta(days=31)) == 1
    assert list(folder.iterdir()) == []


def test_a_flood_does_not_fill_the_disk(folder, monkeypatch):
    monkeypatch.setattr(inbound, "MOST_FILES", 3)
    for number in range(6):
        outcome = inbound.receive(b"spam %d" % number)

    assert len(list(folder.iterdir())) == 3
    assert "Not kept" in outcome.sentences[0]


def test_the_beginning_of_a_mail_is_kept_and_of_all_mails_so_many_bytes(folder, monkeypatch):
    monkeypatch.setattr(inbound, "MOST_BYTES", 2 * inbound.KEPT_BYTES)
    for number in range(4):
        inbound.receive(b"spam %d" % number + b"x" * 10**6)

    assert [path.stat().st_size for path in folder.iterdir()] == [inbound.KEPT_BYTES] * 2


def test_an_address_behind_a_long_header_still_ends_a_subscription(folder):
    _, address = place_and_address()

    assert inbound.receive(mail(address, more=f"X-Long: {'x' * 300_000}")).ended == 1


@pytest.mark.parametrize(
    "content",
    [
        b"From: MARA@example.org\r\n\r\nErase me",
        b"Content-Transfer-Encoding: base64\r\n\r\n" + b64encode(b"I am mara@example.org"),
        b"Content-Transfer-Encoding: Quoted-Printable\r\n\r\nmara=40example.org",
        b"Subject: =?utf-8?B?" + b64encode(b"mara@example.org") + b"?=\r\n\r\n",
        b"Content-Type: text/html\r\n\r\nmara&#64;example.org",
        b"\r\n\r\nhttps://else.example/?who=mara%40example.org",
        b"\r\n\r\n" + "mara@example.org".encode("utf-16"),
    ],
)
def test_an_erasure_takes_every_mail_that_may_name_the_person(content, folder):
    reader = make_subscription(subscriber=make_subscriber("mara@example.org")).subscriber
    gone = inbound.receive(content).kept
    stays = inbound.receive(b"From: sam@example.org\r\n\r\nPlease call me").kept

    erasure.erase(reader, source="preferences")

    assert not gone.exists()
    assert stays.exists()


def test_mails_are_read_when_the_erasure_is_committed(folder, monkeypatch):
    reader = make_subscriber("mara@example.org")
    states = []
    monkeypatch.setattr(
        inbound,
        "forget_person",
        lambda *_: states.append(Subscriber.objects.get(pk=reader.pk).state),
    )

    erasure.erase(reader, source="preferences")

    assert states == [SubscriberState.ERASED]


@given(st.binary(max_size=400), st.binary(max_size=200))
@profile(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_it_survives_any_bytes(before, after):
    inbound.receive(before + b"\nTo: unsubscribe+aaaaaaaaaaaaaaaaaaaaaaaaaa@" + after)


def run(raw, monkeypatch, *arguments):
    monkeypatch.setattr(receive_mail.sys, "stdin", SimpleNamespace(buffer=BytesIO(raw)))
    said = StringIO()
    call_command("receive_mail", *arguments, stdout=said)
    return said.getvalue()


def test_the_command_is_silent_unless_asked_to_explain(monkeypatch):
    place, address = place_and_address()
    assert run(mail(address), monkeypatch) == ""

    assert run(mail(address), monkeypatch, "--explain") == f"Subscription {place.pk} has ended.\n"
    assert "no link of ours" in run(b"\0\xff" * 100, monkeypatch, "--explain")


def test_a_mail_of_any_size_is_read_to_its_end(monkeypatch, folder):
    monkeypatch.setattr(inbound, "LARGEST_BYTES", 1000)

    run(b"x" * 200_000, monkeypatch)

    assert [path.stat().st_size for path in folder.iterdir()] == [1000]


def test_the_mail_system_is_asked_to_try_again_when_the_database_is_away(monkeypatch):
    def away(*_args, **_kwargs):
        raise OperationalError("gone")

    _, address = place_and_address()
    monkeypatch.setattr(preferences, "leave", away)

    with pytest.raises(CommandError) as error:
        run(mail(address), monkeypatch)
    assert error.value.returncode == 75
    assert "Traceback" not in str(error.value)


def test_the_real_command_takes_a_mail_of_garbage(tmp_path):
    done = subprocess.run(
        [sys.executable, str(django_settings.BASE_DIR / "manage.py"), "receive_mail"],
        input=bytes(range(256)) * 50,
        capture_output=True,
        check=False,
        timeout=120,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
