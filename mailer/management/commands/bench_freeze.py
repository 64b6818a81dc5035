import json
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from mailer import bench, bench_costs, bench_freezing, ledger, rendering
from mailer.models import Edition, EditionState

PAGE_BEGINS = "SELECT MAX(subscriber_id)"


class Command(BaseCommand):
    help = (
        "Measure the freeze of one edition. First with --prepare N, which makes N readers with a "
        "history and needs a database of its own; then without, in a process that did nothing else."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--prepare", type=int, metavar="READERS")
        parser.add_argument("--render", type=int, default=0, help="so many cohorts afterwards")

    def handle(self, *, prepare: int | None, render: int, **options: object) -> None:
        if prepare:
            try:
                bench_freezing.prepare(prepare)
            except bench.NotEmpty as error:
                raise CommandError(str(error)) from error
            return
        edition = Edition.objects.filter(state=EditionState.APPROVED).order_by("-pk").first()
        if edition is None:
            raise CommandError("There is no approved edition. Run it with --prepare first.")
        found = _measure(edition) | _render(edition, render)
        self.stdout.write(json.dumps(found))
        if not found["balanced"]:
            raise CommandError("The ledger does not balance.")


class _Statements:
    """Counts what we ask of the database, page by page."""

    def __init__(self) -> None:
        self.pages: list[int] = [0]

    def __call__(self, execute: Callable[..., Any], sql: str, *others: Any) -> Any:
        if PAGE_BEGINS in sql:
            self.pages.append(0)
        self.pages[-1] += 1
        return execute(sql, *others)


def _measure(edition: Edition) -> dict[str, Any]:
    statements = _Statements()
    with connection.execute_wrapper(statements):
        cost = bench_costs.cost_of(lambda: bench_freezing.freeze(edition))
    edition.refresh_from_db()
    books = ledger.read(edition.pk)
    # The first page also makes the waves, the last step finds no further reader.
    of_pages = statements.pages[2:-1]
    return {
        "database": connection.vendor,
        "candidates": books.candidates,
        "deliveries": books.deliveries,
        "excluded": books.excluded,
        "cohorts": edition.cohorts.count(),
        "told": sum(edition.cohorts.exclude(corrections=0).values_list("size", flat=True)),
        "waves": edition.waves.count(),
        "batches": edition.batches.count(),
        "seconds": round(cost.seconds, 2),
        "cpu_seconds": round(cost.cpu, 2),
        "database_cpu_seconds": round(cost.database_cpu or 0, 2),
        "pages": len(statements.pages) - 2,
        "statements_of_a_page": [min(of_pages, default=0), max(of_pages, default=0)],
        "peak_rss_mb": bench_costs.peak_rss_mb(),
        "balanced": books.balanced,
    }


def _render(edition: Edition, number: int) -> dict[str, int]:
    """Build the messages of the largest cohorts, and count how often premailer ran."""
    largest = edition.cohorts.filter(is_text=False).order_by("-size", "pk")[:number]
    inlinings = [rendering.render(cohort)[1] for cohort in largest]
    return {"rendered": len(inlinings), "inlinings": sum(inlinings)}
