from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from mailer import approving, tasks
from mailer.models import Edition, EditionState


class Command(BaseCommand):
    help = "Approve a draft edition; the workers send it as soon as it is due."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("edition_id", type=int)

    def handle(self, *, edition_id: int, **options: object) -> None:
        edition = Edition.objects.filter(pk=edition_id).first()
        if edition is None:
            raise CommandError(f"There is no edition {edition_id}.")
        if not approving.approve(edition, content_hash=edition.content_hash, by=None):
            state = EditionState(edition.state).label.lower()
            raise CommandError(f"Edition {edition_id} is no draft: it is {state}. Nothing changed.")
        tasks.ring_tick()
        self.stdout.write(f"Approved: {edition}. Follow it with: manage.py queue_status")
