"""Parse, stream, end."""

from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from subscribers import exporting
from subscribers.models import Newsletter


class Command(BaseCommand):
    help = (
        "Write readers as CSV to standard output: a row for each place on a newsletter. Safe to "
        "open in a spreadsheet; import_subscribers takes it back."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--newsletter", metavar="SLUG", help="this newsletter only")
        parser.add_argument(
            "--state",
            choices=[state.value for state in exporting.ExportState],
            default=exporting.ExportState.ACTIVE.value,
            help="who: those who get mail, unless something else is said",
        )

    def handle(self, *, newsletter: str | None, state: str, **options: object) -> None:
        chosen = None
        if newsletter is not None:
            chosen = Newsletter.objects.filter(slug=newsletter).first()
            if chosen is None:
                raise CommandError(f"There is no newsletter “{newsletter}”.")
        for block in exporting.rows(newsletter=chosen, state=state):
            self.stdout.write(block, ending="")
