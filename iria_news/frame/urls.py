from django.urls import path

from iria_news.frame import views

urlpatterns = [
    path("media/<path:path>", views.media, name="media"),
    path("robots.txt", views.robots, name="robots"),
]
