from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from mailer import opening, reach
from subscribers.models import Newsletter


class Command(BaseCommand):
    help = "Open an edition of a newsletter for this moment and list what it would carry."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("newsletter", help="its slug, for example iria-daily")

    def handle(self, *, newsletter: str, **options: object) -> None:
        found = Newsletter.objects.filter(slug=newsletter).first()
        if found is None:
            known = ", ".join(Newsletter.objects.values_list("slug", flat=True)) or "none yet"
            raise CommandError(f"There is no newsletter {newsletter!r}. Newsletters: {known}.")
        edition = opening.open_edition(found, slot=timezone.now(), hold=True)
        if edition is None:
            raise CommandError("Another edition was opened in this very moment. Try again.")
        items = edition.items.select_related("article")
        for rank, item in enumerate(items, 1):
            self.stdout.write(f"{rank:3}  {item.article.title}")
        if edition.reason:
            raise CommandError(f"Edition {edition.pk} is {edition.state}: {edition.reason}.")
        readers = reach.expected_readers(found)
        self.stdout.write(
            f"Edition {edition.pk} is a draft with {len(items)} articles, for at most {readers} "
            f"readers. Send it with: manage.py send_edition {edition.pk}"
        )
