"""What every page needs: whose site it is, and the topics in its masthead."""

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from iria_news.articles.models import Topic

NAVIGATION_TOPICS = 12  # more would push the news off a small screen


def site(_request: HttpRequest) -> dict[str, object]:
    return {
        "site_name": settings.SITE_NAME,
        "wordmark": settings.SITE_NAME.split(" ", 1),
        "site_url": settings.SITE_URL,
        "legal_name": settings.LEGAL_NAME,
        "postal_address": settings.POSTAL_ADDRESS,
        "contact_address": settings.CONTACT_ADDRESS,
        # One query for a page, and none for a page or mail that shows no masthead.
        "navigation_topics": SimpleLazyObject(
            lambda: list(Topic.objects.all()[:NAVIGATION_TOPICS])
        ),
    }
