"""What anybody can have mailed to one mailbox is counted by mailbox, longer than its rows live."""

from datetime import timedelta

import pytest
from django.utils import timezone

from subscribers import (
    addresses,
    confirmation,
    consent,
    erasure,
    mailboxes,
    moving,
    retention,
    service_mails,
    signup,
)
from subscribers.models import Mailbox, ServiceMail, ServiceMailKind, ServiceMailState, Subscriber
from tests import scanner
from tests.factories import make_newsletter, make_subscriber, make_subscription, make_topic
from tests.subscribers.conftest import mails_are_older

pytestmark = pytest.mark.django_db
KEY = "mara@example.org"


@pytest.fixture
def sign_up():
    newsletter, topic = make_newsletter("Daily"), make_topic("Europe")

    def ask(address=KEY):
        signup.ask(
            addresses.parse(address),
            newsletters=[newsletter],
            topics=[topic],
            source="/",
            wording=consent.FORM,
        )

    return ask


def asked():
    return ServiceMail.objects.filter(state=ServiceMailState.WAITING).count()


def test_who_was_erased_is_asked_five_times_in_a_year_however_often_their_address_is_typed(sign_up):
    erasure.erase(make_subscription(subscriber=make_subscriber(KEY)).subscriber, source="/")
    mailed = 0
    for _ in range(12):
        sign_up()
        mailed += asked()
        ServiceMail.objects.all().delete()  # as retention does, and sooner
        Subscriber.objects.filter(address_key=KEY).delete()
        mails_are_older(days=25)

    assert mailed == 5
    mails_are_older(days=366)
    assert retention.forget(timezone.now())["counts of mailboxes"] == 1
    sign_up()
    assert asked() == 1


def test_all_spellings_of_a_mailbox_have_three_mails_a_day_together(sign_up):
    for number in range(10):
        sign_up(f"ma.ra+{number}@example.org")
    assert asked() == 3

    mails_are_older(hours=23.9)
    sign_up("m.a.ra@example.org")
    assert asked() == 3
    mails_are_older(hours=0.2)
    sign_up("m.ara@example.org")
    assert asked() == 4


def test_links_notices_and_new_addresses_count_with_the_confirmations(sign_up):
    reader = make_subscription(subscriber=make_subscriber("m.ara@example.org")).subscriber
    other = make_subscriber("other@else.example")
    sign_up("m.ara@example.org")  # a notice
    assert service_mails.ask_new_address(other, addresses.parse("mara+a@example.org"))
    sign_up("mara+b@example.org")
    assert asked() == 3

    assert not service_mails.ask_for_link(reader)
    sign_up("mara+c@example.org")
    assert asked() == 3


def test_who_asks_to_move_is_not_told_that_a_mailbox_had_enough(sign_up):
    for number in range(3):
        sign_up(f"mara+{number}@example.org")
    reader = make_subscription().subscriber

    moving.ask(reader, addresses.parse(KEY))

    mail = ServiceMail.objects.get(kind=ServiceMailKind.NEW_ADDRESS)
    assert (mail.state, mail.reason) == (ServiceMailState.FAILED, "had enough")
    assert asked() == 3


def test_one_press_of_the_button_forgives_the_mails_before(sign_up):
    for number in range(5):
        sign_up(f"mara+{number}@example.org")
        mails_are_older(hours=9)
    sign_up("mara+5@example.org")
    assert asked() == 5

    confirmation.confirm(ServiceMail.objects.latest("pk"), source="/confirm/")
    mails_are_older(hours=25)
    sign_up("mara+5@example.org")
    assert ServiceMail.objects.filter(kind=ServiceMailKind.CONFIRMATION).count() == 6


def test_a_link_is_mailed_three_times_a_day_for_ever():
    reader = make_subscription(subscriber=make_subscriber(KEY)).subscriber

    for _ in range(8):
        assert service_mails.ask_for_link(reader)
        mails_are_older(hours=9)


def test_a_count_names_nobody(sign_up):
    sign_up()

    (row,) = scanner.dump()["subscribers_mailbox"]
    assert "mara" not in str(row)
    assert "example" not in str(row)


def test_a_count_lives_a_year_from_the_last_mail_on():
    mailboxes.take(KEY, asks=True)

    assert mailboxes.forget(timezone.now() + timedelta(days=364)) == 0
    assert mailboxes.forget(timezone.now() + timedelta(days=366)) == 1
    assert not Mailbox.objects.exists()
