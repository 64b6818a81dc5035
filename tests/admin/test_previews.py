"""Readers, preview, test mails and checks of an edition, as its pages show them."""

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils import timezone

from mailer import trial_mails
from mailer.models import Edition
from subscribers import links
from subscribers.models import Approval, Subscription
from tests import factories, message_rules
from tests.mailer import editions as ways

pytestmark = pytest.mark.django_db


def url(page: str, edition: Edition) -> str:
    return reverse(f"admin:mailer_edition_{page}", args=[edition.pk])


def make_draft(readers: int = 3) -> Edition:
    return ways.open_now(ways.daily(readers, articles=2, approval=Approval.PERSON))


def text_of(answer) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def test_readers_are_counted_before_the_freeze_without_writing_a_row(admin_client):
    edition = make_draft()
    africa = factories.make_topic("Africa")
    factories.make_subscription(edition.newsletter, topics=[africa])

    page = text_of(admin_client.get(url("readers", edition)))

    assert "As of" in page
    assert "3 items 1 2" in page
    assert "1 get nothing: nothing in it is on their topics." in page
    assert "4 candidates = 3 deliveries + 1 excluded." in page
    assert not edition.cohorts.exists()
    assert not edition.waves.exists()


def test_readers_are_exact_once_they_are_frozen(newsroom, admin_client):
    page = text_of(admin_client.get(url("readers", newsroom.edition)))

    assert "Exact: the audience was written down" in page
    assert "3 candidates = 3 deliveries + 0 excluded." in page
    assert "Count again" not in page


def test_many_readers_are_counted_when_somebody_asks(admin_client, monkeypatch):
    monkeypatch.setattr("mailer.forecast.AT_ONCE", 1)
    edition = make_draft()

    before = text_of(admin_client.get(url("readers", edition)))
    after = text_of(admin_client.post(url("readers", edition), follow=True))

    assert "press “Count again”" in before
    assert "3 deliveries in 1 cohort and 1 wave." in after


def test_the_preview_has_four_forms_of_the_same_mail(admin_client):
    edition = make_draft()
    pages = {
        form: admin_client.get(url("preview", edition), {"form": form}).content.decode()
        for form in ("desktop", "phone", "dark", "text")
    }

    assert 'class="preview preview-phone" sandbox title' in pages["phone"]
    assert "@media all {" in pages["dark"]
    assert "prefers-color-scheme" not in pages["desktop"] + pages["dark"]
    assert "@media not all {" in pages["desktop"]
    assert "<iframe" not in pages["text"]
    assert 'aria-label="The text part"' in pages["text"]
    assert "3 readers get these 2 items: 1 2" in pages["desktop"]
    assert "allow-scripts" not in "".join(pages.values())


def test_the_preview_of_a_cohort_shows_its_articles_only(admin_client):
    edition = make_draft()
    first, second = (item.article.title for item in edition.items.select_related("article"))

    part = admin_client.get(url("preview", edition), {"list": "2"}).content.decode()
    nothing = admin_client.get(url("preview", edition), {"list": "0"}).content.decode()

    assert f"&gt;{second}&lt;" in part
    assert f"&gt;{first}&lt;" not in part
    assert "there is no mail" in nothing


def test_as_a_reader_it_shows_their_list_hour_and_wave(admin_client):
    edition = make_draft()
    place = Subscription.objects.filter(newsletter=edition.newsletter).first()
    reader = place.subscriber
    reader.hour, reader.zone = 7, "Asia/Tokyo"
    reader.save()

    found = admin_client.post(url("preview", edition), {"reader": reader.address})
    page = text_of(admin_client.get(found["Location"]))

    assert found["Location"] == f"{url('preview', edition)}?reader={reader.pk}"
    assert "Would get items 1 and 2, at an hour of their own: 07:00 in Asia/Tokyo" in page
    assert "22:00 UTC" in page


def test_as_a_reader_it_says_why_they_get_nothing(newsroom, admin_client):
    stranger = factories.make_subscriber("stranger@example.org")
    frozen = newsroom.edition
    path = url("preview", frozen)

    theirs = text_of(admin_client.get(path, {"reader": newsroom.subscriber.pk}))
    strange = text_of(admin_client.get(path, {"reader": stranger.pk}))
    unknown = admin_client.post(path, {"reader": "nobody@example.org"}, follow=True)

    assert "Gets item 1, when it leaves" in theirs
    assert "Does not follow IRIA Daily" in strange
    assert "No subscriber has this address or number." in unknown.content.decode()


def test_readers_are_shown_to_those_who_may_see_them(newsroom, staff):
    client = staff("mailer.view_edition")
    path = url("preview", newsroom.edition)

    page = client.get(path, {"reader": newsroom.subscriber.pk}).content.decode()
    found = client.post(path, {"reader": "reader0@example.org"})

    assert "example.org" not in page
    assert "As a reader" not in page
    assert found["Location"] == path


def test_a_test_mail_is_marked_and_its_links_change_nothing(sink, admin_client, client):
    edition = make_draft()

    answer = admin_client.post(
        url("test_mail", edition), {"address": "mara@example.org"}, follow=True
    )

    assert "Sent. Its subject begins with [Test]." in answer.content.decode()
    assert LogEntry.objects.get().change_message == "Sent a test mail."
    [taken] = sink.taken
    assert (taken.recipient, taken.message["To"]) == ("mara@example.org", "mara@example.org")
    assert taken.message["Subject"].startswith("[Test] Article")
    assert message_rules.broken_rules(taken.raw, newsletter=True) == []
    unsubscribe = f"/u/{links.unsubscribe_url(links.NOBODY).rpartition('/')[2]}"
    before = list(Subscription.objects.order_by("pk").values())
    for answer in (client.get(unsubscribe), client.post(unsubscribe)):
        assert (answer.status_code, "This is a test mail" in answer.content.decode()) == (200, True)
    assert list(Subscription.objects.order_by("pk").values()) == before


def test_the_preferences_of_a_test_mail_open_and_save_nothing(client):
    link = links.preferences_url(links.NOBODY, timezone.now())
    path = link.partition("/preferences/")[2]

    shown = client.get(f"/preferences/{path}")
    saved = client.post(f"/preferences/{path}", {"save": "1"})

    assert "This is a test mail" in shown.content.decode()
    assert "Nothing was changed" in saved.content.decode()


def test_a_person_sends_so_many_test_mails_an_hour(admin_client, admin_user):
    edition = make_draft()
    LogEntry.objects.bulk_create(
        LogEntry(user=admin_user, action_flag=2, change_message=f"{trial_mails.DONE}.")
        for _ in range(trial_mails.PER_PERSON)
    )

    answer = admin_client.post(url("test_mail", edition), {"address": "mara@example.org"})

    assert answer.status_code == 422
    assert "You have sent 20 test mails within an hour." in answer.content.decode()
    LogEntry.objects.update(action_time=LogEntry.objects.first().action_time - timedelta(hours=2))
    assert trial_mails._sent_by(admin_user) == 0


def test_each_finding_leads_to_where_it_is_mended(admin_client):
    edition = make_draft()
    article = edition.items.first().article
    article.state = "withdrawn"
    article.save()

    page = admin_client.get(url("checks", edition)).content.decode()

    assert "1 thing stops it" in re.sub(r"\s+", " ", page)
    assert reverse("admin:articles_article_change", args=[article.pk]) in page
    assert "Mend in the article" in page
