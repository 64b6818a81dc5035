from django.urls import path

from iria_news.articles import views

urlpatterns = [
    path("", views.front, name="front"),
    path("articles/<slug:slug>/", views.article, name="article"),
    path("topics/<slug:slug>/", views.topic, name="topic"),
]
