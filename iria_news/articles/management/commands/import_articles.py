"""Parse, fetch or read, import, print."""

from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from iria_news import fetching
from iria_news.articles import importing


class Command(BaseCommand):
    help = (
        "Import the articles of an RSS or Atom feed (as WordPress writes it). May be repeated: "
        "what is known by its guid is compared. Exit code 1 if anything was refused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", help="a file, or an address that starts with https://")

    def handle(self, *, source: str, **options: object) -> None:
        content = _content(source)
        try:
            report = importing.import_feed(content)
        except importing.BrokenFeed as problem:
            raise CommandError(f"{source} {problem}. Nothing was imported.") from problem
        for sentence in report.refused:
            self.stderr.write(sentence)
        self.stdout.write(_table(report))
        if report.foreign_hosts:
            hosts = ", ".join(sorted(report.foreign_hosts))
            self.stdout.write(
                f"Pictures from {hosts} are shown as links. To show them on pages and in mails, "
                "name the host in IMAGE_HOSTS."
            )
        if report.refused:
            raise CommandError(f"{len(report.refused)} of the items could not be imported.")


def _content(source: str) -> bytes:
    limit = importing.LIMIT_BYTES
    if "://" in source:
        try:
            return fetching.fetch(source, limit_bytes=limit)
        except fetching.FetchFailed as problem:
            raise CommandError(f"{problem} Nothing was imported.") from problem
    try:
        with Path(source).open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise CommandError(
            f"{source} cannot be read: {error.strerror}. Nothing was imported."
        ) from error
    if len(content) > limit:
        raise CommandError(
            f"{source} is larger than {limit // 1_000_000} MB. Nothing was imported."
        )
    return content


def _table(report: importing.Report) -> str:
    numbers = [(str(outcome), report.counts[outcome]) for outcome in importing.Outcome]
    numbers.append(("refused", len(report.refused)))
    return "\n".join(f"{name:<10}{number:>6}" for name, number in numbers)
