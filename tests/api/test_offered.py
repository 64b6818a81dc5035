"""What there is to read: newsletters, topics and editions that anybody may see, and no others."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from iria_news import keys
from iria_news.articles.models import ArticleState
from mailer.models import Edition, EditionState
from subscribers import consent
from tests import factories
from tests.api.conftest import problem_of
from tests.mailer import editions as ways

pytestmark = pytest.mark.django_db


def make_edition(newsletter, *, days_ago: int = 0, **fields) -> Edition:
    slot = timezone.now() - timedelta(days=days_ago)
    return Edition.objects.create(
        **{
            "newsletter": newsletter,
            "slot": slot,
            "slug": f"{newsletter.slug}-{days_ago}",
            "state": EditionState.DONE,
            "due_at": slot,
            "expires_at": slot + timedelta(days=1),
            "approved_at": slot,
            "content_hash": "a" * 64,
            "frozen_at": slot,
            "started_at": slot,
            **fields,
        }
    )


def test_newsletters_come_with_their_topics_and_the_words_to_show(program):
    europe, _ = factories.make_topic("Europe"), factories.make_topic("Africa")
    factories.make_newsletter("IRIA Daily")
    factories.make_newsletter("IRIA Europe", topics=[europe])
    factories.make_newsletter("Client Report", is_private=True)
    factories.make_newsletter("Closed", is_active=False)

    answer = program("read").get("/newsletters").json()

    assert {each["slug"]: each["topics"] for each in answer["newsletters"]} == {
        "iria-daily": ["africa", "europe"],
        "iria-europe": ["europe"],
    }
    assert answer["newsletters"][0]["comes"] == "every day at 06:00 (UTC)"
    assert answer["wording"] == {
        "version": "api-2026-11",
        "text": consent.WORDINGS["api-2026-11"],
    }


def test_topics_come_in_the_order_of_the_navigation(program):
    factories.make_topic("Africa", position=2)
    factories.make_topic("Security", position=1)

    answer = program("read").get("/topics").json()

    assert [topic["slug"] for topic in answer["topics"]] == ["security", "africa"]


@pytest.mark.parametrize("path", ["/newsletters", "/topics", "/editions"])
def test_lists_take_a_constant_number_of_statements(path, program, django_assert_num_queries):
    some = program("read")
    make_edition(factories.make_newsletter(topics=[factories.make_topic("Europe")]))
    some.get(path)
    with CaptureQueriesContext(connection) as for_one:
        some.get(path)

    for number in range(12):
        newsletter = factories.make_newsletter(topics=[factories.make_topic(f"Topic of {number}")])
        make_edition(newsletter)

    with django_assert_num_queries(len(for_one)):
        assert some.get(path).status_code == 200
    assert len(for_one) <= 6


def test_an_edition_and_its_articles(program):
    daily = factories.make_newsletter("IRIA Daily")
    europe = factories.make_topic("Europe")
    factories.make_subscription(daily, topics=[europe])
    article = factories.make_article("Cable ships", topics=[europe])
    withdrawn = factories.make_article("A mistake", topics=[europe])
    edition = ways.sending(daily)
    withdrawn.state = ArticleState.WITHDRAWN
    withdrawn.save()
    some = program("read")

    [listed] = some.get("/editions").json()["editions"]
    whole = some.get(f"/editions/{edition.slug}").json()

    assert listed["newsletter"] == "iria-daily"
    assert listed["url"] == f"https://news.ir-ia.example/editions/{edition.slug}/"
    [shown] = whole.pop("articles")
    assert whole == listed
    assert (shown["title"], shown["topics"]) == ("Cable ships", ["europe"])
    assert shown["url"] == f"https://news.ir-ia.example/articles/{article.slug}/"
    assert "body" not in shown


@pytest.mark.parametrize(
    "fields",
    [
        {"state": EditionState.DRAFT, "started_at": None},
        {"state": EditionState.READY, "started_at": None},
        {"state": EditionState.CANCELLED},
        {"kind": "catch_up", "away_from": timezone.now(), "away_to": timezone.now()},
        {"private": True},
    ],
)
def test_an_edition_that_not_everybody_may_read_is_not_there(fields, program):
    private = fields.pop("private", False) if "private" in fields else False
    newsletter = factories.make_newsletter("IRIA Daily", is_private=private)
    edition = make_edition(newsletter, **fields)
    some = program("read")

    assert some.get("/editions").json() == {"editions": [], "next": None}
    problem_of(some.get(f"/editions/{edition.slug}"), 404)
    filtered = some.get("/editions?newsletter=iria-daily")
    if private:
        assert "is called" in problem_of(filtered, 422)["errors"][0]["detail"]
    else:
        assert filtered.json() == {"editions": [], "next": None}


def test_pages_show_every_edition_once_while_new_ones_appear(program):
    daily = factories.make_newsletter("IRIA Daily")
    weekly = factories.make_newsletter("IRIA Weekly")
    same = timezone.now() - timedelta(days=3)
    for number in range(1, 6):
        make_edition(daily, days_ago=number)
    make_edition(weekly, days_ago=9, slot=same)
    Edition.objects.filter(newsletter=daily, slug="iria-daily-3").update(slot=same)
    some = program("read")
    seen, path = [], "/editions?limit=2"

    while path:
        page = some.get(path).json()
        seen += [edition["slug"] for edition in page["editions"]]
        make_edition(daily, slug=f"new-{len(seen)}")
        path = page["next"] and f"/editions?limit=2&cursor={page['next']}"

    assert sorted(seen) == sorted(
        ["iria-weekly-9", *(f"iria-daily-{number}" for number in range(1, 6))]
    )
    assert len(seen) == 6


def test_a_newsletter_can_be_chosen(program):
    make_edition(factories.make_newsletter("IRIA Daily"))
    make_edition(factories.make_newsletter("Closed since", is_active=False))
    some = program("read")

    for slug in ("iria-daily", "closed-since"):
        [edition] = some.get(f"/editions?newsletter={slug}").json()["editions"]
        assert edition["newsletter"] == slug


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=101", "limit=-1", "limit=1.5", "limit=x", "limit=", "limit=%201"),
        *("limit=1_0", "limit=1e1", "limit=٣", "limit=9999999999999999999999", "limit=1&limit=2"),
        *("cursor=", "cursor=1", "cursor=none", "cursor=%00", "cursor=" + "a" * 26),
        *("newsletter=", "newsletter=%27%3B--", "newsletter=none", "newsletter=%00"),
        *("newsletter=iria-daily%0a", "newsletter__is_private=1", "order=slot", "order_by=-state"),
    ],
)
def test_a_hostile_filter_is_refused(query, program):
    """C7: values have types, and no value names a column."""
    make_edition(factories.make_newsletter("IRIA Daily"))

    problem_of(program("read").get(f"/editions?{query}"), 422)


def test_a_cursor_is_no_key_to_other_rows(program):
    some = program("read")
    for number in (99, 2**39):
        problem_of(some.get(f"/editions?cursor={keys.short_token('api-cursor', number)}"), 422)
    problem_of(some.get(f"/editions?cursor={keys.short_token('unsubscribe', 1)}"), 422)


@pytest.mark.parametrize("slug", ["none", "..", "%2e%2e", "%00", "a" * 3000, "ü", "x%0d%0ay"])
def test_a_hostile_slug_finds_nothing(slug, program):
    problem_of(program("read").get(f"/editions/{slug}"), 404)
