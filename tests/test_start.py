import pytest

from iria_news.articles.models import Topic

pytestmark = pytest.mark.django_db


def test_db():
    Topic.objects.create(name="x", slug="x")
    assert Topic.objects.count() == 1
