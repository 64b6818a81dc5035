from argparse import ArgumentParser

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError

from mailer import approving, tasks
from mailer.models import Edition, EditionState


class Command(BaseCommand):
    help = "Approve a draft edition; the workers send it as soon as it is due."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("edition_id", type=int)
        parser.add_argument(
            "--by", metavar="USERNAME", help="who approves it, where a newsletter wants a person"
        )

    def handle(self, *, edition_id: int, by: str | None = None, **options: object) -> None:
        edition = Edition.objects.filter(pk=edition_id).first()
        if edition is None:
            raise CommandError(f"There is no edition {edition_id}.")
        person = _approver(by)
        try:
            current = approving.content_hash(edition)
            done = approving.approve(edition, content_hash=current, by=person)
        except (approving.Refused, approving.ContentChanged) as error:
            why = str(error) if isinstance(error, approving.Refused) else "It changed just now."
            hint = " Name who approves it with --by." if person is None else ""
            raise CommandError(f"{why} Nothing changed.{hint}") from error
        edition.refresh_from_db()
        if not done:
            state = EditionState(edition.state).label.lower()
            why = edition.reason or f"Edition {edition_id} is no draft: it is {state}."
            raise CommandError(f"{why} Nothing changed.")
        if edition.state == EditionState.DRAFT:
            self.stdout.write(f"1 of 2 approvals: {edition}. A second person must approve it.")
            return
        tasks.ring_tick()
        self.stdout.write(f"Approved: {edition}. Follow it with: manage.py queue_status")


def _approver(username: str | None) -> User | None:
    """Raises CommandError for somebody who may not approve."""
    if username is None:
        return None
    person = User.objects.filter(username=username, is_active=True).first()
    if person is None or not person.has_perm("mailer.approve_edition"):
        raise CommandError(f"{username} is nobody who may approve editions. Nothing changed.")
    return person
