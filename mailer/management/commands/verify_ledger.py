import json
from argparse import ArgumentParser
from dataclasses import asdict

from django.core.management.base import BaseCommand, CommandError

from mailer import monitoring, proofs
from mailer.models import Edition, EditionState


class Command(BaseCommand):
    help = (
        "Check from the rows that every recipient is accounted for (G1) and, without an ID, that "
        "no reader got an article twice or missed one. Exit code 1 if not."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("edition_id", nargs="?", type=int)
        parser.add_argument("--json", action="store_true", dest="as_json")

    def handle(self, *, edition_id: int | None, as_json: bool, **options: object) -> None:
        wrong = self._books(edition_id, as_json=as_json)
        proved = edition_id is not None or self._proofs(as_json=as_json)
        said = [f"The books of these editions do not balance: {wrong}."] if wrong else []
        if not proved:
            said.append(
                "Readers got something twice, or missed something: keep this output, then ask."
            )
        if said:
            raise CommandError(" ".join(said))

    def _books(self, edition_id: int | None, *, as_json: bool) -> list[int]:
        """Tell the sums of each edition, or of one; return the editions whose sums are wrong."""
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
        return wrong

    def _proofs(self, *, as_json: bool) -> bool:
        """Tell what the rows of all editions prove together; return whether the promises hold."""
        found = proofs.prove()
        self.stdout.write(json.dumps({"proofs": found.as_dict()}) if as_json else str(found))
        return found.hold
