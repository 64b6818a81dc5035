from django.apps import AppConfig


class InboxConfig(AppConfig):
    name = "iria_news.inbox"
