"""Mistakes of readers and of operators get a clear sentence, and change nothing."""

import pytest

from tests import steps

pytestmark = pytest.mark.journey


@pytest.mark.parametrize("place", ["/", "/subscribe/"])
def test_a_malformed_address_comes_back_with_what_was_typed(place, service):
    browser = service.browser()
    typed = "mara at journeys <example>"

    answer = browser.submit(service.tab(place), "Subscribe", email=typed)

    assert answer.status == 422
    form = answer.form("Subscribe")
    assert form.fields["email"] == typed
    [sentence] = answer.tree.xpath("//*[@id='email-error']")
    assert sentence.text_content().startswith("Error: ")
    assert form.xpath(".//input[@name='email']/@aria-invalid") == ["true"]


def test_a_form_without_a_newsletter_keeps_everything_else(service):
    browser = service.browser()
    page = service.tab("/subscribe/")

    answer = browser.submit(
        page, "Subscribe", email="mara@journeys.example", newsletter=[], topic=["africa", "us"]
    )

    assert answer.status == 422
    assert "Tick at least one newsletter" in answer.text
    assert answer.form("Subscribe").fields["email"] == "mara@journeys.example"
    assert answer.tree.xpath("//input[@name='topic'][@checked]/@value") == ["africa", "us"]
    assert service.mails(to="mara@journeys.example") == []


def test_an_unknown_newsletter_is_answered_with_the_known_ones(service):
    done = service.run("compose_edition", "nope")

    assert done.returncode == 1
    assert "There is no newsletter 'nope'." in done.stderr
    for known in ("iria-alerts", "iria-daily", "iria-weekly"):
        assert known in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["send_edition", "verify_ledger"])
def test_an_unknown_edition_is_named(command, service):
    done = service.run(command, "987654")

    assert done.returncode == 1
    assert "987654" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (steps.feed("Broken in the middle", slug="broken-feed")[:-60], "is broken"),
        ("<html><body>A page, and no feed.</body></html>", "is not an RSS or Atom feed"),
    ],
)
def test_a_broken_feed_adds_no_article(content, reason, service, tmp_path):
    file = tmp_path / "feed.xml"
    file.write_text(content)

    done = service.run("import_articles", str(file))

    assert done.returncode == 1
    assert reason in done.stderr
    assert "Nothing was imported." in done.stderr
    assert "Traceback" not in done.stderr
    assert service.browser().get("/articles/broken-feed/").status == 404


@pytest.mark.parametrize(
    "path", ["/articles/none/", "/topics/none/", "/editions/none/", "/inbox/none/", "/nowhere/"]
)
def test_an_address_of_nothing_gets_a_page_that_says_so(path, service):
    answer = service.browser().get(path)

    assert answer.status == 404
    assert answer.heading == "There is no page at this address"
