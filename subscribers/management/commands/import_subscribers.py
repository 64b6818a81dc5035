"""Parse, look or write, print."""

import functools
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from django.core.management.base import BaseCommand, CommandError
from django.db import models

from iria_news.articles.models import Topic
from subscribers.importing import jobs, keeping, passes, words
from subscribers.importing.encodings import BadFile
from subscribers.importing.pages import Plan
from subscribers.importing.tally import Tally
from subscribers.models import ImportState, Newsletter, Proof

BLOCK = 1_000_000  # bytes
REFUSED_SOME, UNREADABLE = 2, 1  # exit codes

Row = TypeVar("Row", Newsletter, Topic)


class Command(BaseCommand):
    help = (
        "Import readers from a CSV file. Without --apply it only says what it would do. Nobody's "
        "state changes, whoever left stays away, and whoever comes without proof is asked by "
        "mail. Exit code 1: nothing was written; 2: some rows were refused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--newsletter", metavar="SLUG", nargs="+", default=[], help="for rows that name none"
        )
        parser.add_argument(
            "--topics", metavar="SLUG", nargs="+", default=[], help="for rows that name none"
        )
        parser.add_argument("--source", default="", help="where these readers agreed")
        parser.add_argument(
            "--proof",
            choices=Proof.values,
            default=Proof.ASK.value,
            help="kept: rows with consented_at and consent_source begin at once",
        )
        parser.add_argument("--refused", type=Path, metavar="OUT.csv", help="rows with reasons")
        parser.add_argument("--apply", action="store_true", help="write")

    def handle(
        self,
        *,
        file: Path,
        newsletter: Sequence[str],
        topics: Sequence[str],
        source: str,
        proof: str,
        refused: Path | None,
        apply: bool,
        **options: object,
    ) -> None:
        plan = Plan(
            _found(Newsletter.objects.filter(is_active=True), newsletter, "active newsletter"),
            _found(Topic.objects.all(), topics, "topic"),
            source or f"file {file.name}"[:150],
            Proof(proof),
        )
        if not file.is_file():
            raise CommandError(f"{file} is no file. Nothing was written.")
        if refused is not None and refused.exists():
            raise CommandError(f"{refused} is there already. Name a file that is not.")
        step = self._write if apply else self._look
        tally = step(file, plan, refused)
        for line in words.table(tally, done=apply):
            self.stdout.write(line)
        if refused_rows := tally.outcomes["refused"]:
            number = "1 row was" if refused_rows == 1 else f"{refused_rows:,} rows were"
            raise CommandError(f"{number} refused.", returncode=REFUSED_SOME)

    def _look(self, file: Path, plan: Plan, refused: Path | None) -> Tally:
        try:
            return passes.look(file, plan, refused=refused, told=self._told)
        except BadFile as problem:
            raise _unreadable(file, problem) from problem

    def _write(self, file: Path, plan: Plan, refused: Path | None) -> Tally:
        """Here and now; should we be killed, a worker goes on."""
        try:
            job = jobs.submit(
                _blocks(file), name=file.name, plan=plan, by=None, state=ImportState.APPLYING
            )
        except BadFile as problem:
            raise _unreadable(file, problem) from problem
        while job.state == ImportState.APPLYING:
            held = jobs.claim(job)
            if held is None:
                raise CommandError(f"A worker has taken import {job.pk} on; see its page.")
            job = held
            if not jobs.carry_on(job, told=self._told):
                raise CommandError(f"{file} was not imported. {job.error}", returncode=UNREADABLE)
        if refused is not None:
            with keeping.refused_path_of(job).open(encoding="utf-8-sig", newline="") as rows:
                keeping.copy_for_us(rows, refused)
        self.stdout.write(f"Import {job.pk}")
        return Tally.of_json(job.counts)

    def _told(self, rows: int, tally: Tally) -> None:
        self.stderr.write(f"{rows:,} rows, {tally.new:,} new")


def _found(rows: "models.QuerySet[Row]", slugs: Sequence[str], noun: str) -> list[Row]:
    by_slug = {row.slug: row for row in rows}
    for slug in slugs:
        if slug not in by_slug:
            raise CommandError(f"There is no {noun} “{slug}”. There are: {', '.join(by_slug)}.")
    return [by_slug[slug] for slug in slugs]


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        yield from iter(functools.partial(opened.read, BLOCK), b"")


def _unreadable(file: Path, problem: BadFile) -> CommandError:
    return CommandError(f"{file}: {problem} Nothing was written.", returncode=UNREADABLE)
