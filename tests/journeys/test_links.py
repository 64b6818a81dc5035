"""What links do, and above all what they do not do."""

import http.client
import re
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from urllib.parse import urlsplit

import pytest

from tests import steps
from tests.service import Service

pytestmark = pytest.mark.journey
GONE = "This link no longer works"
FORM = "application/x-www-form-urlencoded"


def test_a_confirmation_link_works_once(service):
    reader = steps.join(service)
    link = reader.confirmation.link("/confirm/")
    service.wait_for_mail(to=reader.address, subject="Welcome")

    for method in ("GET", "HEAD", "POST"):
        answer = service.browser().request(method, link, b"" if method == "POST" else None)
        assert answer.status == 404, method
        assert method == "HEAD" or answer.heading == GONE
    assert "Nothing has been changed." in answer.text

    assert reader.browser.get(urlsplit(reader.preferences.url).path).status == 200
    assert len(service.mails(to=reader.address)) == 2  # one confirmation, one welcome


def test_a_forged_a_cut_and_a_misused_token_open_nothing(service):
    digest = service.wait_for_mail(to="reader1@example.org", words="IRIA Daily")
    preferences = digest.link("/preferences/").split("/")[4]
    leave = digest.one_click_url.split("/")[4]
    steps.sign_up(service, waiting := steps.new_address())
    confirm = service.wait_for_mail(to=waiting).link("/confirm/").split("/")[4]

    misused = {
        "/confirm/{}/": [preferences, leave, *spoiled(confirm)],
        "/preferences/{}/": [confirm, leave, *spoiled(preferences)],
        "/u/{}": [confirm, preferences, *spoiled(leave)],
        "/undo/{}/": [confirm, preferences, leave],
    }
    for path, tokens in misused.items():
        for token in tokens:
            for body in (None, b"List-Unsubscribe=One-Click"):
                method = "POST" if body else "GET"
                answer = service.browser().request(method, path.format(token), body, FORM)
                assert (answer.status, answer.heading) == (404, GONE), path.format(token)

    browser = service.browser()
    assert browser.get(f"/confirm/{confirm}/").heading == "Confirm your subscription"
    followed = browser.get(f"/preferences/{preferences}/").tree
    assert followed.xpath("//input[@name='newsletter'][@checked]/@value") == ["iria-daily"]


def spoiled(token: str) -> list[str]:
    """One letter changed, at either end; cut; and longer than it was."""
    other = {"a": "b"}
    first, last = other.get(token[0], "a"), other.get(token[-1], "a")
    return [first + token[1:], token[:-1] + last, token[:-4], token[:8], token + "a", "x"]


def test_opening_every_link_of_every_mail_three_times_changes_nothing(service):
    steps.join(service)
    steps.sign_up(service, waiting := steps.new_address())
    service.wait_for_mail(to=waiting)
    service.wait_until_quiet()  # an edition of another journey may be on its way
    links = {link for mail in service.mails() for link in mail.links}
    assert {urlsplit(link).netloc for link in links} == {urlsplit(service.url).netloc}
    before = state(service, links)

    statuses = open_all(service, sorted(links), times=3)

    # A link that works once and was used, and those of readers who moved or were erased since.
    assert set(statuses.values()) <= {200, 404}
    gone = [link for link, status in statuses.items() if status == 404]
    assert [link for link in gone if not re.search(r"/(confirm|address|preferences)/", link)] == []
    assert state(service, links) == before


def open_all(service: Service, links: list[str], *, times: int) -> dict[str, int]:
    """HEAD and GET everything so many times, two at once; the last status of each."""

    def open_some(some: list[str]) -> dict[str, int]:
        statuses = {}
        connection = http.client.HTTPConnection(urlsplit(service.url).netloc, timeout=30)
        for link, method in product(some * times, ("HEAD", "GET")):
            connection.request(method, urlsplit(link).path)
            answer = connection.getresponse()
            answer.read()
            statuses[link] = answer.status
        connection.close()
        return statuses

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(open_some, [links[::2], links[1::2]])
    return first | second


def state(service: Service, links: set[str]) -> list[object]:
    """All that shows from outside: what readers follow, links still open, mails, books, queue."""
    # The page of an unsubscribed reader, and of a link that is open still, says so itself.
    telling = [link for link in links if re.search(r"/(preferences|confirm|u)/", link)]
    # The preferences page shows a clock, and how many minutes its link stays fresh: both go on.
    time_told = re.compile(r"\d+:\d\d|\d+ (?:minutes?|Minuten?)")
    pages = [
        (link, time_told.sub("", service.browser().get(link).text)) for link in sorted(telling)
    ]
    queue = service.queue()
    moving = ("at", "tick_age_seconds", "oldest_ready_seconds")
    still = {name: value for name, value in queue.items() if name not in moving}
    return [pages, [mail.id for mail in service.mails()], service.ledgers(), still]
