"""Files of imports on disk: below DATA_DIR/imports, for nobody else's eyes, and not for long."""

import os
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

from django.conf import settings
from django.db.models import Max, Q

from subscribers.importing.encodings import BadFile
from subscribers.importing.reading import LIMIT_BYTES
from subscribers.models import ImportState, SubscriberImport, Suppression, SuppressionReason

KEPT_FOR = timedelta(days=30)  # after an import is settled
DRAFT = ".new"  # how names end of files that are being written
DRAFTS_FOR = timedelta(days=1)  # no worker writes so long: this one was killed
# Nobody reads their uploads any more; an undo works from the rows.
DONE = [ImportState.APPLIED, ImportState.UNDOING, ImportState.UNDONE, ImportState.FAILED]
SETTLED = [ImportState.CHECKED, ImportState.APPLIED, ImportState.UNDONE, ImportState.FAILED]


def folder() -> Path:
    place: Path = settings.DATA_DIR / "imports"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    return place


def keep(chunks: Iterable[bytes]) -> str:
    """Keep an upload; return its name below `folder`. Raises BadFile, and keeps nothing, if it is
    too large. The name is ours: what its sender called it never becomes a path."""
    path = folder() / f"{secrets.token_hex(16)}.csv"
    size = 0
    try:
        with os.fdopen(_create(path), "wb") as file:
            for chunk in chunks:
                size += len(chunk)
                if size > LIMIT_BYTES:
                    raise BadFile(
                        f"It has more than {LIMIT_BYTES // 1_000_000} MB, which is the most. "
                        "Split it."
                    )
                file.write(chunk)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path.name


def path_of(job: SubscriberImport) -> Path:
    return folder() / job.path


def refused_path_of(job: SubscriberImport) -> Path:
    return folder() / f"{Path(job.path).stem}-refused.csv"


def opened_for_us(path: Path) -> TextIO:
    """Open anew, readable by us alone."""
    path.unlink(missing_ok=True)
    return os.fdopen(_create(path), "w", encoding="utf-8-sig", newline="")


def copy_for_us(lines: Iterable[str], path: Path) -> None:
    with opened_for_us(path) as file:
        file.writelines(lines)


def _create(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


def forget_person(address: str, address_key: str) -> None:
    """Delete what an erased reader may stand in: files that nobody reads any more.

    What was uploaded for an import that is done serves nothing but a look back, so it goes whole.
    Refused rows are there to be mended, and go only if one of them names the address. A file that
    still waits to be applied stays: the Suppression keeps the reader out of it, and it goes when
    the import is done (see `forget_uploads_before_an_erasure`).
    """
    for job in SubscriberImport.objects.filter(state__in=DONE).exclude(path=""):
        path_of(job).unlink(missing_ok=True)
        SubscriberImport.objects.filter(pk=job.pk).update(path="")
    spellings = (address.casefold(), address_key)
    for job in SubscriberImport.objects.exclude(refused_path=""):
        refused = folder() / job.refused_path
        if refused.is_file() and _names(refused, spellings):
            refused.unlink(missing_ok=True)
            SubscriberImport.objects.filter(pk=job.pk).update(refused_path="")


def forget_uploads_before_an_erasure() -> int:
    """Delete the files of imports that were not done when somebody was erased, and are by now.

    Return of how many imports. Refused rows go, too: nobody can say any more whom they name.
    """
    erasures = Suppression.objects.filter(reason=SuppressionReason.ERASURE)
    latest = erasures.aggregate(at=Max("created_at"))["at"]
    if latest is None:
        return 0
    older = SubscriberImport.objects.filter(state__in=DONE, created_at__lt=latest)
    # Those that were done at the time have lost their upload to `forget_person`.
    return sum(_forget_files_of(job) for job in older.exclude(path=""))


def _forget_files_of(job: SubscriberImport) -> int:
    for name in filter(None, (job.path, job.refused_path)):
        (folder() / name).unlink(missing_ok=True)
    return SubscriberImport.objects.filter(pk=job.pk).update(path="", refused_path="")


def _names(path: Path, spellings: tuple[str, str]) -> bool:
    with path.open(encoding="utf-8-sig", newline="", errors="replace") as lines:
        return any(spelling in line.casefold() for line in lines for spelling in spellings)


def forget_files(now: datetime) -> int:
    """Delete the files of imports that were settled 30 days before; say of how many imports.

    The rows and their counts stay. An upload that was checked and never applied goes as well.
    """
    before = now - KEPT_FOR
    old = SubscriberImport.objects.filter(
        Q(undone_at__lt=before)
        | Q(undone_at__isnull=True, applied_at__lt=before)
        | Q(undone_at__isnull=True, applied_at__isnull=True, created_at__lt=before),
        state__in=SETTLED,
    ).exclude(path="", refused_path="")
    for draft in folder().glob(f"*{DRAFT}"):
        if datetime.fromtimestamp(draft.stat().st_mtime, UTC) < now - DRAFTS_FOR:
            draft.unlink(missing_ok=True)
    return sum(_forget_files_of(job) for job in old)
