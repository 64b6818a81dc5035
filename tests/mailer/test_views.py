import pytest
from django.utils import timezone

from iria_news import keys
from iria_news.articles.models import ArticleState
from mailer import contents
from mailer.models import EditionState, Pulse
from subscribers import links, mail_contents
from tests import factories
from tests.mailer.editions import audience, daily, open_now, sending

pytestmark = pytest.mark.django_db


def test_a_sent_edition_can_be_read_by_everybody_with_all_its_topics(client):
    asia, europe = factories.make_topic("Asia"), factories.make_topic("Europe")
    newsletter = factories.make_newsletter("IRIA Daily")
    factories.make_article("On Europe", topics=[europe])
    factories.make_article("On Asia", topics=[asia])
    audience(newsletter, 1, [asia])
    edition = sending(newsletter)

    listed = client.get("/editions/").content.decode()
    page = client.get(f"/editions/{edition.slug}/").content.decode()

    assert f"/editions/{edition.slug}/" in listed
    assert "2 articles" in listed
    assert page.index("On Asia") < page.index("On Europe")
    assert "@example.org" not in page


def test_drafts_private_and_skipped_editions_are_not_public(client):
    edition = sending(daily(readers=1, is_private=True))
    draft = open_now(daily(readers=1))

    listed = client.get("/editions/").content.decode()

    assert edition.slug not in listed
    assert draft.slug not in listed
    assert "has appeared yet" in listed
    assert client.get(f"/editions/{edition.slug}/").status_code == 404
    assert client.get(f"/editions/{draft.slug}/").status_code == 404


def test_a_private_edition_is_read_by_its_signed_link_alone_and_kept_by_nobody(client):
    edition = sending(daily(readers=1, is_private=True))
    url = links.edition_url(edition.pk)
    path = url.removeprefix("https://news.ir-ia.example")

    answer = client.get(path)

    assert answer.status_code == 200
    page = answer.content.decode()
    assert edition.items.get().article.title in page
    assert "noindex" in answer["X-Robots-Tag"]
    assert '<meta name="robots" content="noindex' in page
    assert "canonical" not in page
    assert "no-store" in answer["Cache-Control"]
    assert edition.slug not in client.get("/editions/").content.decode()
    assert contents.page_url(edition) == url


@pytest.mark.parametrize("state", ["draft", "ready", "cancelled", "skipped"])
def test_a_link_to_a_private_edition_that_is_not_out_leads_nowhere(state, client):
    edition = open_now(daily(readers=1, is_private=True))
    edition.__class__.objects.filter(pk=edition.pk).update(
        state=state, started_at=timezone.now(), frozen_at=timezone.now()
    )

    assert client.get(links.edition_url(edition.pk)).status_code == 404


def test_only_a_token_made_for_editions_opens_a_private_one(client):
    edition = sending(daily(readers=1, is_private=True))
    good = links.edition_url(edition.pk).rstrip("/").rpartition("/")[2]
    spoiled = ("b" if good[0] == "a" else "a") + good[1:]
    others = [keys.short_token("unsubscribe", edition.pk), spoiled, good + "a", "x", "1"]

    for token in others:
        assert client.get(f"/editions/private/{token}/").status_code == 404
    assert client.post(f"/editions/private/{good}/").status_code == 405


@pytest.mark.parametrize("is_private", [False, True])
def test_a_welcome_mail_shows_what_of_the_latest_edition_is_within_the_topics(is_private):
    asia, europe, africa = (factories.make_topic(name) for name in ("Asia", "Europe", "Africa"))
    newsletter = factories.make_newsletter(is_private=is_private)
    factories.make_article("of both", topics=[asia, europe])
    factories.make_article("of Europe", topics=[europe])
    audience(newsletter, 1, [asia, europe])
    show = mail_contents.latest_edition
    edition = sending(newsletter)
    assert show(newsletter, [asia]) is None  # it is still on its way

    edition.__class__.objects.filter(pk=edition.pk).update(state=EditionState.DONE)

    assert [item.title for item in show(newsletter, [asia]).items] == ["of both"]
    whole = show(newsletter, [asia, europe, africa])
    assert [item.title for item in whole.items] == ["of Europe", "of both"]
    assert whole.url == contents.page_url(edition)
    assert show(newsletter, [africa]) is None
    assert show(factories.make_newsletter(), [asia]) is None


def test_an_article_withdrawn_after_sending_leaves_the_public_copy(client):
    newsletter = daily(readers=1, articles=2)
    edition = sending(newsletter)
    gone = edition.items.first().article
    gone.state = ArticleState.WITHDRAWN
    gone.save()

    page = client.get(f"/editions/{edition.slug}/").content.decode()

    assert f"{gone.get_absolute_url()}" not in page


@pytest.mark.parametrize("editions", [1, 3])
def test_the_list_takes_the_same_queries_for_any_number(
    editions, client, django_assert_num_queries
):
    for _ in range(editions):
        sending(daily(readers=1))

    with django_assert_num_queries(4):  # count, page, newsletters, topics of the masthead
        assert client.get("/editions/").status_code == 200


def test_the_list_can_be_narrowed_to_one_newsletter(client):
    first, second = sending(daily(readers=1)), sending(daily(readers=1))

    listed = client.get(f"/editions/?newsletter={first.newsletter.slug}").content.decode()

    assert first.slug in listed
    assert second.slug not in listed
    assert client.get("/editions/?newsletter=nope").status_code == 404


def test_ready_means_that_a_tick_was_seen(client):
    assert client.get("/healthz").status_code == 200
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "No tick has been seen" in answer.json()["parts"]["tick"]

    Pulse.objects.create(name="tick", at=timezone.now())
    assert client.get("/readyz").json()["status"] == "ready"

    Pulse.objects.update(at=timezone.now() - timezone.timedelta(minutes=4))
    assert "240 seconds ago" in client.get("/readyz").json()["parts"]["tick"]


def test_redis_away_is_said_in_words(client, settings):
    Pulse.objects.create(name="tick", at=timezone.now())
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "unix:///nowhere.sock",
        }
    }

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert "Redis does not answer" in answer.json()["parts"]["redis"]


def test_an_edition_under_way_is_public_once_it_has_begun(client):
    edition = sending(daily(readers=1))
    assert edition.state == EditionState.SENDING
    assert client.get(f"/editions/{edition.slug}/").status_code == 200
