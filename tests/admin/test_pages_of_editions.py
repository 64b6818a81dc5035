"""What operators see of editions, batches and deliveries, at the same cost for any number."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from mailer.deliveries import closing
from mailer.models import Delivery, DeliveryState, Edition, EditionState
from subscribers.models import Approval, Cadence
from tests import factories
from tests.admin.conftest import fill
from tests.mailer import editions as ways

pytestmark = pytest.mark.django_db


def change_url(edition: Edition) -> str:
    return reverse("admin:mailer_edition_change", args=[edition.pk])


def totals_url(edition: Edition) -> str:
    return reverse("admin:mailer_edition_totals", args=[edition.pk])


def settle(edition: Edition, **by_state: int) -> None:
    """Bring so many deliveries into each state."""
    waiting = list(Delivery.objects.filter(edition=edition).values_list("subscriber", flat=True))
    for state, number in by_state.items():
        for _ in range(number):
            Delivery.objects.filter(edition=edition, subscriber=waiting.pop()).update(
                state=state, reason="550 5.1.1" if state == "failed" else ""
            )


def test_the_page_shows_both_sums_in_words(newsroom, admin_client):
    settle(newsroom.edition, sent=1, failed=1)

    page = admin_client.get(change_url(newsroom.edition)).content.decode()

    assert "<strong>1 of 3 sent</strong>, 66 % settled, 1 to go." in page
    assert "3 candidates = 3 deliveries + 0 excluded" in page
    assert (
        "3 deliveries = 1 pending + 0 sending + 1 sent + 1 failed + 0 skipped + 0 cancelled "
        "+ 0 uncertain" in page
    )
    assert "Balanced, counted at" in page
    assert "550 5.1.1" in page
    assert "Cable ships" in page


def test_books_that_do_not_balance_are_said_in_words(newsroom, admin_client):
    Edition.objects.filter(pk=newsroom.edition.pk).update(candidates=4)

    page = admin_client.get(change_url(newsroom.edition)).content.decode()

    assert "The sums do not add up." in page
    assert "Not balanced" in page


def test_the_totals_are_fetched_anew_as_long_as_something_moves(newsroom, admin_client):
    moving = admin_client.get(change_url(newsroom.edition)).content.decode()
    part = admin_client.get(totals_url(newsroom.edition))
    settle(newsroom.edition, sent=3)
    Edition.objects.filter(pk=newsroom.edition.pk).update(state=EditionState.DONE)

    resting = admin_client.get(change_url(newsroom.edition)).content.decode()
    last = admin_client.get(totals_url(newsroom.edition))

    polls = f'hx-get="{totals_url(newsroom.edition)}"'
    assert polls in moving
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in moving
    assert "<html" not in part.content.decode()
    assert "HX-Refresh" not in part
    assert polls not in resting
    assert 'http-equiv="refresh"' not in resting
    assert last["HX-Refresh"] == "true"  # buttons and batches are others now


def test_a_cancelled_edition_moves_until_its_batches_are_closed(newsroom, admin_client):
    Edition.objects.filter(pk=newsroom.edition.pk).update(state=EditionState.CANCELLED)
    moving = admin_client.get(totals_url(newsroom.edition)).content.decode()

    closing.close_open_batches()

    resting = admin_client.get(totals_url(newsroom.edition)).content.decode()
    assert "hx-get" in moving
    assert "hx-get" not in resting
    assert "3 cancelled" in resting


def test_the_preview_stands_in_a_sandbox(newsroom, admin_client):
    path = reverse("admin:mailer_edition_preview", args=[newsroom.edition.pk])

    whole = admin_client.get(path).content.decode()
    cohort = admin_client.get(f"{path}?list={newsroom.edition.cohorts.get().list}")
    nothing = admin_client.get(f"{path}?list=0")
    text = admin_client.get(f"{path}?text").content.decode()

    assert (
        '<iframe class="preview preview-desktop" sandbox title="The HTML part" '
        'srcdoc="&lt;!DOCTYPE html' in whole
    )
    assert "Cable ships" in cohort.content.decode()
    assert "there is no mail" in nothing.content.decode()
    assert "<iframe" not in text
    assert "Cable ships" in text


def test_a_batch_shows_its_deliveries(newsroom, admin_client):
    batch = newsroom.edition.batches.get()
    settle(newsroom.edition, failed=1)

    path = reverse("admin:mailer_batch_change", args=[batch.pk])
    page = admin_client.get(path).content.decode()
    listed = reverse("admin:mailer_batch_changelist")
    of_edition = admin_client.get(f"{listed}?edition__id__exact={newsroom.edition.pk}")

    assert "reader0@example.org" in page
    assert "550 5.1.1" in page
    assert f"Batch {batch.pk} of edition" in of_edition.content.decode()


def test_deliveries_are_found_by_address_and_no_address_stands_in_a_url(newsroom, admin_client):
    path = reverse("admin:mailer_edition_deliveries")

    answer = admin_client.post(path, {"address": " Reader2@EXAMPLE.org "}, follow=True)
    unknown = admin_client.post(path, {"address": "nobody@example.org"}, follow=True)

    assert answer.redirect_chain == [(f"{path}?subscriber={newsroom.subscriber.pk}", 302)]
    page = answer.content.decode()
    assert "reader2@example.org" in page
    assert "pending" in page
    assert "Later" in page  # what its server said
    assert "No subscriber has this address." in unknown.content.decode()


@pytest.mark.parametrize("number", ["", "0", "-1", "x", "9" * 30, "²"])
def test_a_number_of_nobody_asks_for_an_address(number, newsroom, admin_client):
    path = reverse("admin:mailer_edition_deliveries")
    answer = admin_client.get(path, {"subscriber": number})

    assert answer.status_code == 200
    assert "Type an address" in answer.content.decode()


def test_deliveries_are_for_those_who_may_see_subscribers(newsroom, staff):
    client = staff("mailer.view_edition", "mailer.view_batch")
    batch = reverse("admin:mailer_batch_change", args=[newsroom.edition.batches.get().pk])

    assert client.get(reverse("admin:mailer_edition_deliveries")).status_code == 403
    assert "example.org" not in client.get(batch).content.decode()


LISTS = [
    "index",
    "articles_article_changelist",
    "articles_topic_changelist",
    "mailer_edition_changelist",
    "mailer_batch_changelist",
    "subscribers_newsletter_changelist",
    "subscribers_subscriber_changelist",
    "subscribers_consentevent_changelist",
    "subscribers_servicemail_changelist",
    "subscribers_suppression_changelist",
]


def queries(client, path: str) -> int:
    client.get(path)  # what is kept between requests is there now
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert client.get(path).status_code == 200
    return len(captured)


def test_lists_take_the_same_number_of_queries_for_any_number_of_rows(admin_client):
    newsroom = fill()
    pages = [reverse(f"admin:{name}") for name in LISTS]
    pages += [
        change_url(newsroom.edition),
        reverse("admin:subscribers_subscriber_change", args=[newsroom.subscriber.pk]),
        f"{reverse('admin:mailer_edition_deliveries')}?subscriber={newsroom.subscriber.pk}",
        reverse("admin:mailer_batch_change", args=[newsroom.edition.batches.get().pk]),
    ]
    few = {path: queries(admin_client, path) for path in pages}

    topic = factories.make_topic("Europe")
    newsletter = newsroom.newsletter
    for number in range(10, 16):
        subscriber = factories.make_subscriber(f"reader{number}@example.org")
        factories.make_subscription(newsletter, subscriber=subscriber, topics=[topic])
        factories.make_article(topics=[topic])
    ways.sending(newsletter)
    closing.finish()

    assert {path: queries(admin_client, path) for path in pages} == few


def test_the_start_page_names_what_waits_for_this_person(newsroom, admin_client, staff):
    draft = ways.open_now(ways.daily(2, approval=Approval.PERSON))
    factories.make_newsletter("IRIA Alerts", cadence=Cadence.AT_ONCE, wall_time=None)

    mine = admin_client.get(reverse("admin:index")).content.decode()
    theirs = staff("mailer.view_edition").get(reverse("admin:index")).content.decode()

    assert reverse("admin:mailer_edition_approve", args=[draft.pk]) in mine
    assert "0 of 3 sent." in mine
    assert "06:00 Europe/Berlin" in mine
    assert "when an article is published" in mine
    assert "Mail flows." in mine
    assert "Nothing waits for you." in theirs


def test_the_start_page_says_when_mail_does_not_flow(admin_client):
    page = admin_client.get(reverse("admin:index")).content.decode()

    assert "Mail does not flow." in page
    assert "No tick was ever seen." in page


def test_a_state_has_a_word_on_every_list(newsroom, admin_client):
    page = admin_client.get(reverse("admin:mailer_edition_changelist")).content.decode()

    assert '<span class="badge badge-moving">sending</span>' in page
    assert DeliveryState.PENDING not in page
