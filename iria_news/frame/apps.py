from django.apps import AppConfig
from django.core import checks


class FrameConfig(AppConfig):
    name = "iria_news.frame"

    def ready(self) -> None:
        from iria_news.frame.checks import check_production  # noqa: PLC0415  # needs the settings

        checks.register(check_production, checks.Tags.security, deploy=True)
