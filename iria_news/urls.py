"""Every address of the service, in the order of docs/architecture.md."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("iria_news.frame.urls")),
    path("", include("iria_news.articles.urls")),
    path("", include("subscribers.urls")),
    path("", include("mailer.urls")),
    path("api/", include("iria_news.api.urls")),
    path("inbox/", include("iria_news.inbox.urls")),
    path("admin/", admin.site.urls),
]
