from django.apps import AppConfig
from django.db.backends.signals import connection_created


class MailerConfig(AppConfig):
    name = "mailer"

    def ready(self) -> None:
        # Models are not ready before.
        from mailer import dialect, passport, showcase, timeline  # noqa: PLC0415

        connection_created.connect(dialect.teach_sqlite)
        timeline.register()
        passport.register()
        showcase.register()
