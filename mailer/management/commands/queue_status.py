import json
from argparse import ArgumentParser
from dataclasses import asdict

from django.core.management.base import BaseCommand
from django.core.serializers.json import DjangoJSONEncoder

from mailer import monitoring


class Command(BaseCommand):
    help = "Say what waits, what moves and whether the tick runs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *, as_json: bool, **options: object) -> None:
        status = asdict(monitoring.queue_status())
        if as_json:
            self.stdout.write(json.dumps(status, cls=DjangoJSONEncoder))
            return
        for name, value in status.items():
            shown = "none" if value in ({}, [], None) else value
            self.stdout.write(f"{name.replace('_', ' ')}: {shown}")
