from django.urls import path

from iria_news.inbox import views

urlpatterns = [
    path("", views.inbox, name="inbox"),
    path("<str:identifier>/", views.message, name="inbox-message"),
    path("<str:identifier>/message.eml", views.file, name="inbox-file"),
]
