from django.apps import AppConfig


class ArticlesConfig(AppConfig):
    name = "iria_news.articles"
