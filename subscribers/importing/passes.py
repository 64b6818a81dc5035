"""A whole file, page by page: looked at, or written. Whose turn it is, `jobs` knows."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import Any

from django.db import transaction

from subscribers.importing import applying, judging, keeping
from subscribers.importing.pages import Page, Plan, Reader, plan_of
from subscribers.importing.reading import BadFile
from subscribers.importing.refused import RefusedRows
from subscribers.importing.staging import Lines, Staging
from subscribers.importing.tally import Tally
from subscribers.models import SubscriberImport

# Two million rows take five minutes. Celery ends a task after fifteen (CELERY_TASK_TIME_LIMIT).
LOOK_WITHIN = 12 * 60  # seconds
WRITE_FOR = 8 * 60  # seconds; then another task goes on, after reading what is done once more

Told = Callable[[int, Tally], None]  # after each page: rows so far, what became of them
# Keeps the claim and writes columns, of which `progress` moves; False if the claim was lost.
Renewed = Callable[[SubscriberImport, dict[str, Any]], bool]


def look(path: Path, plan: Plan, *, refused: Path | None, told: Told) -> Tally:
    """Say what applying a file would do. Writes nothing but the refused rows. Raises BadFile."""
    tally = Tally()
    deadline = monotonic() + LOOK_WITHIN
    reader = Reader(path, plan)
    with ExitStack() as stack:
        staged = stack.enter_context(Staging(plan, reader.words))
        kept = stack.enter_context(RefusedRows(refused, reader)) if refused else None
        for page, lines in _ahead(staged.prepared(reader.pages())):
            staged.fill(lines)
            tally.add(page, judging.judge(None))
            if kept:
                kept.add(page)
            told(page.upto, tally)
            if monotonic() > deadline:
                raise BadFile(
                    f"Reading {page.upto:,} rows of it took {LOOK_WITHIN // 60} minutes, which is "
                    "the most. Split it."
                )
    return tally


def _ahead(pages: Iterator[tuple[Page, Lines]]) -> Iterator[tuple[Page, Lines]]:
    """Read the next page while the database is at this one: each keeps a processor busy."""
    with ThreadPoolExecutor(1, "reading ahead") as pool:
        coming = pool.submit(next, pages, None)
        while (prepared := coming.result()) is not None:
            coming = pool.submit(next, pages, None)
            yield prepared


class LostClaim(Exception):
    """Somebody else works at this import by now, or it has ended. Stand down."""


def write(job: SubscriberImport, *, renew: Renewed, told: Told) -> bool:
    """Write a file from row `job.progress` on; False if there is more of it, for another turn.

    Each page is one transaction, and its last statement moves `progress` from where we left it:
    killed anywhere, the next call goes on with the first page that is not written. The rows
    before it are read once more, for what is doubled and for the file of refused rows.
    Raises BadFile, and LostClaim.
    """
    plan, tally = plan_of(job), Tally.of_json(job.counts)
    deadline = monotonic() + WRITE_FOR
    reader = Reader(keeping.path_of(job), plan)
    with (
        Staging(plan, reader.words) as staged,
        RefusedRows(keeping.refused_path_of(job), reader) as kept,
    ):
        for page, lines in _ahead(staged.prepared(reader.pages())):
            kept.add(page)
            if page.upto > job.progress:
                staged.fill(lines)
                _write_page(job, page, tally, renew)
                told(page.upto, tally)
                if monotonic() > deadline:
                    return False
            elif not renew(job, {}):
                raise LostClaim
    return True


def _write_page(job: SubscriberImport, page: Page, tally: Tally, renew: Renewed) -> None:
    with transaction.atomic():
        outcomes, mails = applying.write(job)
        tally.add(page, outcomes, mails=mails)
        if not renew(job, {"progress": page.upto, "counts": tally.as_json()}):
            raise LostClaim
