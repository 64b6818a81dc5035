"""Private newsletters: nobody can ask for one, but staff can invite."""

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User

from subscribers import (
    addresses,
    confirmation,
    consent,
    invitations,
    links,
    preferences,
    service_mails,
    signup,
    suppression,
)
from subscribers.models import (
    ConsentEvent,
    ConsentKind,
    ServiceMail,
    ServiceMailKind,
    Subscriber,
    SubscriberState,
    Subscription,
    SuppressionReason,
)
from tests import scanner
from tests.factories import make_newsletter, make_subscription, make_topic

pytestmark = pytest.mark.django_db


@pytest.fixture
def editor():
    return User.objects.create_user("editor")


@pytest.fixture
def report():
    make_topic("Europe")
    make_topic("Africa")
    return make_newsletter("Client Report", is_private=True)


@pytest.fixture
def invite(report, editor):
    def send(*typed, **fields):
        return invitations.invite(fields.pop("newsletter", report), typed, by=editor, **fields)

    return send


def invitation():
    return ServiceMail.objects.filter(kind=ServiceMailKind.INVITATION).latest("pk")


def earlier(**age):
    for mail in ServiceMail.objects.all():
        mail.asked_at -= timedelta(**age)
        mail.save()


def text_of(response):
    return " ".join(response.content.decode().split())


def test_an_invitation_is_a_place_not_confirmed_with_its_event_and_a_mail(invite, report, editor):
    result = invite("Client@example.org")

    assert result.invited == 1
    place = Subscription.objects.get()
    assert (place.newsletter, place.confirmed_at) == (report, None)
    assert place.subscriber.state == SubscriberState.PENDING
    assert place.topics.count() == 2
    assert not Subscription.objects.active().exists()
    event = ConsentEvent.objects.get()
    assert (event.kind, event.wording) == (ConsentKind.ASKED, consent.INVITE)
    assert event.source == f"staff {editor.pk}"
    assert (invitation().newsletter, invitation().subscriber) == (report, place.subscriber)


def test_an_invitation_may_be_to_some_topics(invite):
    invite("client@example.org", topics=[make_topic("Africa")])

    assert [topic.name for topic in Subscription.objects.get().topics.all()] == ["Africa"]


def test_everybody_given_is_counted_once_by_what_became_of_them(invite, report):
    reader = make_subscription(report).subscriber
    stopped = make_subscription().subscriber
    suppression.suppress(stopped.address_hash, SuppressionReason.COMPLAINT)

    result = invite(
        "new@example.org",
        " New@EXAMPLE.org ",
        reader.address,
        stopped.address,
        "no at sign",
        "client@",
    )

    assert (result.invited, result.already, result.suppressed, result.too_soon) == (1, 1, 1, 0)
    assert len(result.invalid) == 2
    assert "has no @ sign" in result.invalid[0]
    assert ServiceMail.objects.count() == 1


def test_an_invitation_never_revives_an_address_that_we_stopped_writing_to(invite, report):
    stopped = addresses.parse("stopped@example.org")
    suppression.suppress(stopped.hash, SuppressionReason.ERASURE)
    assert invite("stopped@example.org").suppressed == 1
    assert not Subscriber.objects.exists()

    invite("later@example.org")
    link = invitation()
    suppression.suppress(link.subscriber.address_hash, SuppressionReason.COMPLAINT)
    ServiceMail.objects.update(used_at=None)  # as if the mark had come by another way
    Subscription.objects.update(ended_at=None, ended_by="")

    with pytest.raises(confirmation.LinkUsed):
        confirmation.confirm(link, source="/confirm/")
    assert suppression.is_suppressed(link.subscriber.address_hash)
    assert not Subscription.objects.active().exists()


def test_a_mail_to_somebody_suppressed_since_is_not_sent(invite, sink):
    invite("later@example.org")
    suppression.suppress(invitation().subscriber.address_hash, SuppressionReason.GONE)

    service_mails.send_due()

    assert not sink.taken


def test_invitations_have_the_limits_of_confirmations(invite):
    results = [invite("client@example.org")]
    for hours in (0.2, 0.1, 1, 1, 24, 24, 24):
        earlier(hours=hours)
        results.append(invite("client@example.org"))

    assert [result.invited for result in results] == [1, 0, 1, 1, 0, 1, 1, 0]
    assert [result.too_soon for result in results] == [0, 1, 0, 0, 1, 0, 0, 1]


def test_inviting_again_uses_the_earlier_link_up(invite):
    invite("client@example.org", topics=[make_topic("Europe")])
    first = invitation()
    earlier(minutes=20)
    invite("client@example.org", topics=[make_topic("Africa")])

    with pytest.raises(confirmation.LinkUsed):
        confirmation.confirm(first, source="/confirm/")
    confirmation.confirm(invitation(), source="/confirm/")
    assert [topic.name for topic in Subscription.objects.active().get().topics.all()] == ["Africa"]


def test_only_an_active_private_newsletter_with_topics_can_be_invited_to(invite, report):
    with pytest.raises(invitations.NotPrivate):
        invite("client@example.org", newsletter=make_newsletter("Daily"))
    with pytest.raises(invitations.NoTopic):
        invite("client@example.org", topics=[])
    report.is_active = False
    with pytest.raises(invitations.NotPrivate):
        invite("client@example.org")
    assert not Subscriber.objects.exists()


# --- beside a wish of a form ----------------------------------------------------------------------


def ask(address, newsletter):
    signup.ask(
        addresses.parse(address),
        newsletters=[newsletter],
        topics=[make_topic("Europe")],
        source="/subscribe/",
        wording=consent.FORM,
    )


def test_a_sign_up_by_form_leaves_an_open_invitation_as_it_is(invite, report):
    daily = make_newsletter("Daily")
    invite("client@example.org")

    ask("client@example.org", daily)

    assert Subscription.objects.count() == 2
    wish = ServiceMail.objects.get(kind=ServiceMailKind.CONFIRMATION)
    confirmation.confirm(wish, source="/confirm/")
    assert Subscription.objects.active().get().newsletter == daily
    confirmation.confirm(invitation(), source="/confirm/")
    assert Subscription.objects.active().count() == 2


def test_an_invitation_leaves_an_open_wish_as_it_is(invite, report):
    daily = make_newsletter("Daily")
    ask("client@example.org", daily)
    invite("client@example.org")

    confirmation.confirm(invitation(), source="/confirm/")

    assert Subscription.objects.active().get().newsletter == report
    wish = ServiceMail.objects.get(kind=ServiceMailKind.CONFIRMATION)
    confirmation.confirm(wish, source="/confirm/")
    assert Subscription.objects.active().count() == 2


def test_no_takes_an_invitation_back_too(invite):
    reader = make_subscription().subscriber
    invite(reader.address)
    preferences.leave_all(reader, source="preferences")

    with pytest.raises(confirmation.LinkUsed):
        confirmation.confirm(invitation(), source="/confirm/")


# --- what is seen of it ---------------------------------------------------------------------------


def test_from_the_invitation_to_the_newsletter_by_the_mail_alone(invite, report, client, sink):
    invite("client@example.org")
    service_mails.send_due()
    (taken,) = sink.taken
    text = " ".join(taken.message.get_body(("plain",)).get_content().split())
    assert taken.message["Subject"] == "An invitation to Client Report"
    assert taken.message["Auto-Submitted"] == "auto-generated"
    assert "IRIA News invites client@example.org" in text
    assert "<img" not in taken.message.get_body(("html",)).get_content()

    [path] = scanner.assert_links_change_nothing(taken.message)
    page = client.get(path)
    assert "Your invitation" in text_of(page)
    assert "Client Report" in text_of(page)
    assert "c•••@example.org" in text_of(page)
    assert consent.WORDINGS[consent.CONFIRM] in text_of(page)

    pressed = client.post(path)
    assert pressed["Location"].endswith("?done=confirmed")
    assert Subscription.objects.active().get().newsletter == report
    welcome = ServiceMail.objects.get(kind=ServiceMailKind.WELCOME)
    assert welcome.newsletter == report
    assert client.get(path).status_code == 404


def test_a_private_newsletter_shows_in_no_form(invite, client, report):
    make_newsletter("Daily")
    invite("client@example.org")

    for path in ("/", "/subscribe/", "/embed/subscribe/"):
        assert "Client Report" not in text_of(client.get(path))


def test_an_invitation_link_is_of_no_other_use(invite, client):
    invite("client@example.org")
    token = urlsplit(links.confirm_url(invitation().pk, invitation().asked_at)).path.split("/")[2]

    for path in (f"/preferences/{token}/", f"/undo/{token}/", f"/u/{token}"):
        assert client.get(path).status_code == 404
