"""Articles, topics and newsletters at the desk of editors."""

import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from iria_news.articles.models import Article, ArticleState
from subscribers.models import Newsletter
from tests import factories

pytestmark = pytest.mark.django_db
ADD = "admin:articles_article_add"


def article_form(**fields) -> dict[str, object]:
    return {
        "title": "Cable ships",
        "slug": "cable-ships",
        "byline": "IRIA Asia desk",
        "body": "<p>Three small fleets.</p><script>alert(1)</script>",
        "language": "en",
        "state": "published",
        "topics": [factories.make_topic("Europe").pk],
        **fields,
    }


def newsletter_form(**fields) -> dict[str, object]:
    return {
        "name": "IRIA Daily",
        "slug": "iria-daily",
        "description": "Everything new.",
        "look": "digest",
        "language": "en",
        "cadence": "daily",
        "wall_time": "06:00",
        "zone": "Europe/Berlin",
        "min_articles": 1,
        "max_articles": 30,
        "look_back_days": 8,
        "missed": "late",
        "late_hours": 6,
        "draft_hours": 0,
        "grace_minutes": 10,
        "urgent_per_week": 3,
        "spread_minutes": 0,
        "server": "default",
        "approval": "automatic",
        "in_doubt": "resend",
        "is_active": "on",
        **fields,
    }


def picture(name: str = "Ship at sea.jpg", *, width: int = 1600) -> SimpleUploadedFile:
    output = io.BytesIO()
    Image.new("RGB", (width, 900), "navy").save(output, "JPEG")
    return SimpleUploadedFile(name, output.getvalue(), "image/jpeg")


def test_an_article_is_cleaned_and_published_now(admin_client):
    answer = admin_client.post(reverse(ADD), article_form())

    article = Article.objects.get()
    assert answer.status_code == 302
    assert article.body == "<p>Three small fleets.</p>"
    assert article.reading_minutes == 1
    assert abs((timezone.now() - article.published_at).total_seconds()) < 60
    assert article in Article.objects.published()


def test_a_draft_needs_no_time_and_has_no_public_page(admin_client):
    admin_client.post(reverse(ADD), article_form(state="draft"))

    article = Article.objects.get()
    page = admin_client.get(reverse("admin:articles_article_change", args=[article.pk]))
    assert article.published_at is None
    assert "View on site" not in page.content.decode()


def test_a_published_article_links_to_its_page(admin_client):
    article = factories.make_article()
    page = admin_client.get(reverse("admin:articles_article_change", args=[article.pk]))

    assert f'href="{article.get_absolute_url()}"' in page.content.decode()


def test_a_picture_without_alt_and_credit_is_pointed_out_and_nothing_is_saved(admin_client):
    answer = admin_client.post(reverse(ADD), article_form(lead_image=picture()))

    page = answer.content.decode()
    assert "Say what the picture shows" in page
    assert "Say whose the picture is." in page
    assert not Article.objects.exists()


def test_a_picture_is_kept_encoded_anew(admin_client, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    form = article_form(lead_image=picture(), lead_alt="A ship", lead_credit="IRIA")

    admin_client.post(reverse(ADD), form)
    article = Article.objects.get()

    assert article.lead_image.name == "articles/ship-at-sea.jpg"
    assert (article.lead_width, article.lead_height) == (1200, 675)

    # Saved again without a new file, it stays; with the box ticked, it goes.
    path = reverse("admin:articles_article_change", args=[article.pk])
    kept = article_form(lead_alt="A cable ship", lead_credit="IRIA")
    admin_client.post(path, kept)
    article.refresh_from_db()
    assert (article.lead_image.name, article.lead_alt) == (
        "articles/ship-at-sea.jpg",
        "A cable ship",
    )
    admin_client.post(path, {**kept, "lead_image-clear": "on"})
    article.refresh_from_db()
    assert not article.lead_image


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG drawings can carry programs"),
        (b"%PDF-1.7", "This is not a JPEG, PNG, WebP or GIF picture."),
    ],
)
def test_a_file_that_is_no_picture_is_refused_with_a_sentence(content, sentence, admin_client):
    upload = SimpleUploadedFile("drawing.jpg", content, "image/jpeg")
    answer = admin_client.post(
        reverse(ADD), article_form(lead_image=upload, lead_alt="A", lead_credit="B")
    )

    assert sentence in answer.content.decode()
    assert not Article.objects.exists()


def test_a_body_of_which_nothing_may_be_shown_is_not_published(admin_client):
    answer = admin_client.post(reverse(ADD), article_form(body="<script>alert(1)</script>"))

    assert "Nothing of this may be shown." in answer.content.decode()
    assert not Article.objects.exists()


def test_the_list_of_articles_does_not_read_their_text(admin_client, django_assert_max_num_queries):
    factories.make_article("Cable ships", body="<p>Three small fleets.</p>")
    factories.make_article("A pier", state=ArticleState.DRAFT, published_at=None)

    with django_assert_max_num_queries(12) as captured:
        admin_client.get(reverse("admin:articles_article_changelist"), {"q": "ships"})

    assert not [q["sql"] for q in captured.captured_queries if '"body"' in q["sql"]]


def test_a_newsletter_is_made_and_its_next_slot_shown_with_its_zone(admin_client):
    answer = admin_client.post(reverse("admin:subscribers_newsletter_add"), newsletter_form())
    listed = admin_client.get(reverse("admin:subscribers_newsletter_changelist"))

    assert answer.status_code == 302
    assert "06:00 Europe/Berlin" in listed.content.decode()


def test_a_zone_that_is_not_in_the_list_is_answered_with_the_nearest(admin_client):
    path = reverse("admin:subscribers_newsletter_add")
    answer = admin_client.post(path, newsletter_form(zone="Asia/Tokio"))

    page = answer.content.decode()
    assert "The time zone “Asia/Tokio” is not in our list." in page
    assert "for example Asia/Tokyo." in page
    assert 'value="Asia/Tokio"' in page
    assert not Newsletter.objects.exists()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"wall_time": ""}, "Give the wall time at which it leaves."),
        ({"cadence": "weekly"}, "Give the weekday on which it leaves."),
        ({"max_articles": 63}, "An edition has at least 1 and at most 62 articles."),
    ],
)
def test_a_cadence_that_cannot_work_is_refused_with_a_sentence(fields, sentence, admin_client):
    path = reverse("admin:subscribers_newsletter_add")
    answer = admin_client.post(path, newsletter_form(**fields))

    assert sentence in answer.content.decode()
    assert not Newsletter.objects.exists()


def test_readers_are_counted_who_are_active(admin_client):
    newsletter = factories.make_newsletter("IRIA Daily")
    factories.make_subscription(newsletter)
    factories.make_subscription(newsletter, confirmed=False)
    factories.make_subscription(newsletter, ended_at=timezone.now(), ended_by="page")

    path = reverse("admin:subscribers_newsletter_change", args=[newsletter.pk])
    page = " ".join(admin_client.get(path).content.decode().split())

    assert "1 reader follows it." in page


def test_a_newsletter_takes_only_a_server_that_is_configured(admin_client):
    newsletter = factories.make_newsletter(server="bulk")  # taken out of the settings since
    path = reverse("admin:subscribers_newsletter_change", args=[newsletter.pk])

    page = admin_client.get(path).content.decode()
    assert "bulk (not configured)" in page

    fields = {"server": "bulk", "name": newsletter.name, "slug": newsletter.slug}
    answer = admin_client.post(path, fields).content.decode()
    assert "No submission server is called “bulk”" in answer
