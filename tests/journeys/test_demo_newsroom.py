"""The first digest of the demo newsroom, as it lies in the mailbox."""

from collections import Counter

import pytest

from tests import steps
from tests.service import Mail, Service

pytestmark = pytest.mark.journey
READERS = 40


@pytest.fixture(scope="module")
def digests(service: Service) -> list[Mail]:
    """What the demo readers got. No other edition of the journeys is for them."""
    service.wait_until_quiet()
    ours = {f"reader{number}@example.org" for number in range(1, READERS + 1)}
    return [mail for mail in service.mails() if set(mail.recipients) & ours]


def test_every_message_of_the_first_digest_obeys_every_rule(digests, service):
    broken = {mail.recipients[0]: steps.broken_rules(service, mail) for mail in digests}

    assert broken
    assert [sentences for sentences in broken.values() if sentences] == []


def test_every_reader_who_was_due_got_exactly_one_message(digests, service):
    copies = Counter(recipient for mail in digests for recipient in mail.recipients)
    [books] = [ledger for ledger in service.ledgers() if ledger["edition_id"] == 1]

    assert books["candidates"] == READERS
    assert books["by_state"]["sent"] == len(copies)
    assert sum(books["excluded"].values()) == READERS - len(copies)
    assert set(copies.values()) == {1}
    assert len({mail.parsed["Message-ID"] for mail in digests}) == len(digests)


@pytest.mark.parametrize("number", [1, 2, 40])
def test_a_digest_holds_only_topics_that_its_reader_follows(number, digests, service):
    [digest] = [mail for mail in digests if f"reader{number}@" in mail.recipients[0]]
    browser = service.browser()
    page = browser.get(digest.link("/preferences/"))
    followed = set(page.tree.xpath("//input[@name='topic-iria-daily'][@checked]/@value"))

    assert steps.articles(digest)
    for article in steps.articles(digest):
        topics = browser.get(article).tree.xpath("//main//a[contains(@href, '/topics/')]/@href")
        assert followed & {topic.split("/")[-2] for topic in topics}, article
