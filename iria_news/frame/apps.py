from django.apps import AppConfig


class FrameConfig(AppConfig):
    name = "iria_news.frame"
