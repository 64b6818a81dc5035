"""A reader joins, reads, chooses and leaves, and the books balance."""

import http.client
from urllib.parse import urlsplit

import pytest

from tests import steps

pytestmark = pytest.mark.journey


def press_one_click(url: str) -> http.client.HTTPResponse:
    """As RFC 8058 says: no cookie, no header that a mailbox provider would not send."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", urlsplit(url).path, b"List-Unsubscribe=One-Click", form)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def test_a_reader_joins_gets_the_news_chooses_topics_and_leaves_with_one_click(service):
    address = steps.new_address()
    browser = steps.sign_up(service, address)
    confirmation = service.wait_for_mail(to=address, subject="Please confirm")
    assert steps.broken_rules(service, confirmation) == []

    link = confirmation.link("/confirm/")
    for _ in range(3):  # as scanners do
        assert service.browser().request("HEAD", link).status == 200
        assert service.browser().get(link).heading == "Confirm your subscription"
    preferences = browser.submit(browser.get(link), "Yes, subscribe me")
    assert preferences.text.startswith("Your preferences")
    assert "Confirmed." in preferences.text

    path = steps.publish(service, "Ice charts are drawn by hand")
    edition = steps.send_edition(service)
    digest = service.wait_for_mail(to=address, words="Ice charts are drawn by hand")
    assert steps.broken_rules(service, digest) == []
    assert steps.articles(digest) == {path}  # what was published before is no news
    welcome = service.wait_for_mail(to=address, subject="Welcome")
    assert steps.broken_rules(service, welcome) == []
    assert len(service.mails(to=address)) == 3

    chosen = browser.get(digest.link("/preferences/"))
    topics = {"topic__iria__daily": [steps.TOPIC_SLUG, "europe"]}
    saved = browser.submit(chosen, "Save preferences", **topics)
    assert "Saved." in saved.text
    assert "Topics of IRIA Daily: 2 of " in browser.get(preferences.url).text

    assert "Stop IRIA Daily?" in browser.get(digest.one_click_url).text
    answer = press_one_click(digest.one_click_url)
    assert (answer.status, answer.getheader("Location")) == (200, None)

    steps.publish(service, "The last dog team retires")
    second = steps.send_edition(service)
    service.wait_until_quiet()
    assert len(service.mails(to=address)) == 3
    books = {ledger["edition_id"]: ledger for ledger in service.ledgers()}
    assert books[edition]["by_state"]["sent"] >= 1
    assert second in books
    assert all(ledger["balanced"] for ledger in books.values())
    # A reader of another journey may have chosen an hour that has not come.
    open_still = [ledger for ledger in books.values() if not ledger["settled"]]
    assert len(open_still) == service.queue()["waiting_for_hours"]


def test_a_reader_of_alerts_gets_an_article_at_once_and_not_again_in_the_digest(service):
    reader = steps.join(service, "iria-alerts", "iria-daily")

    steps.publish(service, "Icebreaker adrift off the shelf")
    alert = service.wait_for_mail(
        to=reader.address, subject="Icebreaker adrift off the shelf", seconds=15
    )
    assert steps.broken_rules(service, alert) == []
    assert "IRIA Alerts" in str(alert.parsed["List-Id"])

    service.wait_until_quiet()
    steps.send_edition(service)
    service.wait_until_quiet()
    newsletters = [mail for mail in service.mails(to=reader.address) if mail.is_newsletter]
    assert [mail.id for mail in newsletters] == [alert.id]
