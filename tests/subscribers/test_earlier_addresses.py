"""What becomes of the address that a reader has left for another one."""

from datetime import timedelta

import pytest
from django.utils import timezone

from subscribers import addresses, consent, erasure, inbound, moving, passport, suppression
from subscribers.importing import keeping
from subscribers.models import (
    ConsentEvent,
    ConsentKind,
    FormerAddress,
    ServiceMail,
    ServiceMailKind,
    SignUpRequest,
    Subscriber,
    Subscription,
    Suppression,
)
from tests.factories import make_newsletter, make_subscriber, make_subscription, make_topic
from tests.subscribers.test_importing import PROVED, applied, outcomes

pytestmark = pytest.mark.django_db
OLD = "Mara@old.example"
NEW = "mara@new.example"


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    settings.DATA_DIR = tmp_path


@pytest.fixture
def daily():
    make_topic("Europe")
    return make_newsletter("Daily")


@pytest.fixture
def reader(daily):
    return make_subscription(daily, subscriber=make_subscriber(OLD)).subscriber


def move(reader, to):
    mail = ServiceMail.objects.create(
        subscriber=reader, kind=ServiceMailKind.NEW_ADDRESS, to_address=to
    )
    return moving.confirm(mail)


def file(*people):
    return "email,consented_at,consent_source\n" + "".join(f"{each},{PROVED}\n" for each in people)


def test_an_old_list_does_not_write_to_an_address_that_its_reader_left(reader, daily):
    move(reader, NEW)

    job = applied(file(OLD.lower(), "sam@example.org"), daily)

    assert outcomes(job) == {"left": 1, "proved": 1}
    assert not Subscriber.objects.filter(address_key=OLD.lower()).exists()
    assert Subscription.objects.active().filter(subscriber=reader).count() == 1


def test_who_moves_back_has_one_earlier_address_and_is_there(reader, daily):
    move(move(reader, NEW), OLD)

    assert FormerAddress.objects.get().address_hash == addresses.parse(NEW).hash
    assert outcomes(applied(file(OLD, NEW), daily)) == {"there": 1, "left": 1}


def test_another_spelling_of_the_address_is_no_other_address(reader):
    move(reader, OLD.lower())

    assert not FormerAddress.objects.exists()


def test_somebody_else_at_an_earlier_address_is_a_reader_like_any_other(reader, daily):
    move(reader, NEW)
    weekly = make_newsletter("Weekly")
    make_subscription(weekly, subscriber=make_subscriber(OLD))

    assert outcomes(applied(file(OLD), daily)) == {"proved": 1}
    erasure.erase(Subscriber.objects.get(pk=reader.pk), source="/")
    assert Suppression.objects.get().address_hash == addresses.parse(NEW).hash


def test_an_erasure_covers_the_earlier_addresses_also_those_of_a_merged_person(reader, daily):
    other = make_subscription(daily, subscriber=make_subscriber("older@old.example")).subscriber
    move(other, NEW)
    move(reader, NEW)  # the two become one
    assert reader.former_addresses.count() == 2

    erasure.erase(Subscriber.objects.get(pk=reader.pk), source="/")

    for address in (OLD, NEW, "older@old.example"):
        assert suppression.is_suppressed(addresses.parse(address).hash)
    assert not FormerAddress.objects.exists()
    job = applied(file(OLD, NEW, "older@old.example"), daily)
    assert outcomes(job) == {"suppressed": 3}


def test_a_move_takes_the_earlier_address_out_of_rows_and_files(reader, daily):
    job = applied(file(OLD, f"{OLD} x"), daily)
    upload, refused = keeping.path_of(job), keeping.refused_path_of(job)
    kept = inbound.receive(f"From: {OLD}\r\n\r\nHello".encode()).kept
    SignUpRequest.objects.create(address=OLD, source="/")
    consent.record(
        reader,
        ConsentKind.ASKED,
        wording=consent.NONE,
        source=f"staff: letter of {OLD.lower()}, May",
    )

    move(reader, NEW)

    assert not any(path.exists() for path in (upload, refused, kept))
    assert not SignUpRequest.objects.exists()
    assert ConsentEvent.objects.get(kind=ConsentKind.ASKED).source == (
        "staff: letter of (removed), May"
    )


def test_the_file_of_ones_data_tells_of_an_earlier_address_but_not_which(reader):
    move(reader, NEW)

    left_at = passport.of(Subscriber.objects.get())["earlier_addresses_left_at"]

    assert left_at == [FormerAddress.objects.get().left_at]


def test_an_erasure_takes_the_address_out_of_mails_of_others(reader):
    other = make_subscription().subscriber
    ServiceMail.objects.create(
        subscriber=other, kind=ServiceMailKind.NEW_ADDRESS, to_address=OLD.upper()
    )
    kept = ServiceMail.objects.create(
        subscriber=other,
        kind=ServiceMailKind.NEW_ADDRESS,
        to_address=NEW,
        asked_at=timezone.now() - timedelta(days=1),
    )

    erasure.erase(reader, source="/")

    assert ServiceMail.objects.get() == kept
