"""The door for mail that comes in: a mail system hands it over on standard input."""

import sys
from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from subscribers import inbound

TEMPORARY_FAILURE = 75  # EX_TEMPFAIL of sysexits.h: mail systems keep the mail and try again


class Command(BaseCommand):
    help = (
        "Act on one mail (RFC 5322) from standard input. One to an unsubscribe address ends that "
        "subscription, any other is kept below DATA_DIR/inbound. Exit code 0 for any bytes; 75, "
        "for the mail system to try again, if the database or the disk is away."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--explain", action="store_true", help="say what was done, and why, in words"
        )

    def handle(self, *, explain: bool, **options: object) -> None:
        raw = sys.stdin.buffer.read(inbound.LARGEST_BYTES)
        while sys.stdin.buffer.read(2**16):  # a pipe that is closed early looks like a failure
            pass
        try:
            outcome = inbound.receive(raw)
        except (DatabaseError, OSError) as error:
            raise CommandError(
                f"Not received: {type(error).__name__}.", returncode=TEMPORARY_FAILURE
            ) from error
        if explain:
            for sentence in outcome.sentences:
                self.stdout.write(sentence)
