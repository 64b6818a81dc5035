import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from iria_news.articles.models import Article
from mailer.deliveries import closing, sending
from mailer.models import Delivery, DeliveryState, Edition, EditionState, LaneHour
from subscribers.models import Newsletter, Subscriber
from tests import factories
from tests.mailer import editions as made

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def test_composing_an_unknown_newsletter_names_the_known_ones():
    factories.make_newsletter("IRIA Daily")

    with pytest.raises(CommandError, match=r"no newsletter 'nope'. Newsletters: iria-daily"):
        run("compose_edition", "nope")

    assert not Edition.objects.exists()


def test_composing_shows_what_would_go_out_and_sends_nothing():
    newsletter = made.daily(readers=2, articles=2)

    said = run("compose_edition", newsletter.slug)

    edition = Edition.objects.get()
    assert edition.state == EditionState.DRAFT
    assert all(article.title in said for article in Article.objects.all())
    assert f"manage.py send_edition {edition.pk}" in said


def test_composing_without_news_says_why_and_exits_with_an_error():
    newsletter = factories.make_newsletter()

    with pytest.raises(CommandError, match="0 new articles, minimum 1"):
        run("compose_edition", newsletter.slug)


def test_a_draft_is_sent_once_and_a_second_time_is_refused():
    newsletter = made.daily(readers=1)
    run("compose_edition", newsletter.slug)
    edition = Edition.objects.get()

    assert "Approved" in run("send_edition", str(edition.pk))
    with pytest.raises(CommandError, match="is no draft"):
        run("send_edition", str(edition.pk))
    with pytest.raises(CommandError, match="no edition 9999"):
        run("send_edition", "9999")


@pytest.mark.django_db(transaction=True)
def test_the_ledger_is_verified_from_rows(sink):
    edition = made.sending(made.daily(readers=3))
    sending.send_ready_batches(worker="w", seconds=20)
    closing.finish()

    found = json.loads(run("verify_ledger", str(edition.pk), "--json"))
    assert found["balanced"]
    assert found["by_state"]["sent"] == 3
    assert "3 candidates = 3 deliveries + 0 excluded" in run("verify_ledger")

    Delivery.objects.filter(state=DeliveryState.SENT).first().delete()
    with pytest.raises(CommandError, match="do not balance"):
        run("verify_ledger")
    with pytest.raises(CommandError, match="does not exist"):
        run("verify_ledger", "9999")


def test_the_queue_status_says_what_waits():
    made.sending(made.daily(readers=1))

    status = json.loads(run("queue_status", "--json"))

    assert status["ready_batches"] == 1
    assert status["editions"] == {"sending": 1}
    assert status["tick_age_seconds"] is None
    assert "ready batches: 1" in run("queue_status")


def test_the_queue_status_warns_of_a_volume_that_makes_us_a_bulk_sender():
    LaneHour.objects.create(server="default", domain="gmail.com", hour=timezone.now(), sent=4_500)

    assert "gmail.com: 4,500 mails today" in run("queue_status")


def test_the_demo_loads_once_and_sends_a_first_digest():
    said = run("load_demo", "--readers", "12")

    assert "12 readers" in said
    edition = Edition.objects.get()
    assert edition.state == EditionState.APPROVED
    assert edition.newsletter.slug == "iria-daily"
    counts = (Article.objects.count(), Newsletter.objects.count(), Subscriber.objects.count())
    run("load_demo", "--if-empty")
    assert "No digest this time." in run("load_demo", "--readers", "12")
    assert counts == (
        Article.objects.count(),
        Newsletter.objects.count(),
        Subscriber.objects.count(),
    )
