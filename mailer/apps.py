from django.apps import AppConfig
from django.db.backends.signals import connection_created


class MailerConfig(AppConfig):
    name = "mailer"

    def ready(self) -> None:
        from mailer import dialect  # noqa: PLC0415  # models are not ready before

        connection_created.connect(dialect.teach_sqlite)
