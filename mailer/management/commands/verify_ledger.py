import json
from argparse import ArgumentParser
from dataclasses import asdict

from django.core.management.base import BaseCommand, CommandError

from mailer import monitoring
from mailer.models import Edition, EditionState


class Command(BaseCommand):
    help = "Check from the rows that every recipient is accounted for (G1). Exit code 1 if not."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("edition_id", nargs="?", type=int)
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *, edition_id: int | None, as_json: bool, **options: object) -> None:
        editions = Edition.objects.frozen().order_by("pk")
        if edition_id is not None:
            editions = editions.filter(pk=edition_id)
            if not editions:
                raise CommandError(f"Edition {edition_id} does not exist, or is not frozen yet.")
        wrong = []
        for edition in editions:
            ledger = monitoring.ledger(edition)
            as_dict = {**asdict(ledger), "balanced": ledger.balanced, "settled": ledger.settled}
            self.stdout.write(json.dumps(as_dict) if as_json else str(ledger))
            if not ledger.balanced or (edition.state == EditionState.DONE and not ledger.settled):
                wrong.append(edition.pk)
        if wrong:
            raise CommandError(f"The books of these editions do not balance: {wrong}.")
