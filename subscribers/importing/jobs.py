"""Imports as jobs: who may work at one, what its next step is, and how it ends.

Any worker may be killed at any moment: a claim runs out, and another goes on from the rows.
"""

import logging
from collections.abc import Iterable
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import OperationalError, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from subscribers.doorbell import Bell
from subscribers.importing import keeping, passes, undoing
from subscribers.importing.encodings import BadFile
from subscribers.importing.pages import Plan, plan_of
from subscribers.importing.tally import Tally
from subscribers.models import ImportState, SubscriberImport

logger = logging.getLogger(__name__)

HOLD = timedelta(minutes=2)  # renewed with every page; a silent worker is taken for dead
MOVING = [ImportState.CHECKING, ImportState.APPLYING, ImportState.UNDOING]
TO_BE_UNDONE = [ImportState.APPLIED, ImportState.FAILED]
UNEXPECTED = "Something went wrong that nobody has foreseen; the log says what. {left}"
NOTHING_WRITTEN = "Nothing was written."
PARTLY_WRITTEN = "What was written stays, and can be undone."

bell = Bell("subscribers.importing.tasks.work")


def submit(
    chunks: Iterable[bytes],
    *,
    name: str,
    plan: Plan,
    by: User | None,
    state: ImportState = ImportState.CHECKING,
) -> SubscriberImport:
    """Keep a file and write down what is to be done with it. Raises BadFile if it is too large.

    A worker looks at it first. With APPLYING it is written without a look.
    """
    path = keeping.keep(chunks)
    with transaction.atomic():
        job = SubscriberImport.objects.create(
            name=name[:200],
            path=path,
            source=plan.source,
            proof=plan.proof,
            state=state,
            created_by=by,
        )
        job.newsletters.set(plan.newsletters)
        job.topics.set(plan.topics)
        if state == ImportState.CHECKING:
            bell.ring_after_commit()
    return job


def apply(job: SubscriberImport) -> bool:
    """Have what was looked at written by a worker; False if that is no longer what waits."""
    return _begin(job, [ImportState.CHECKED], ImportState.APPLYING, {"counts": {}})


def undo(job: SubscriberImport) -> bool:
    """Have what was written taken back by a worker; False if there is nothing to take back."""
    return _begin(job, TO_BE_UNDONE, ImportState.UNDOING, {"error": ""})


def _begin(
    job: SubscriberImport, from_states: list[ImportState], to: ImportState, columns: dict[str, Any]
) -> bool:
    with transaction.atomic():
        here = SubscriberImport.objects.filter(pk=job.pk, state__in=from_states)
        begun = here.update(state=to, progress=0, claimed_until=None, **columns)
        if begun:
            bell.ring_after_commit()
    job.refresh_from_db()
    return bool(begun)


def waiting() -> bool:
    """Whether a worker is needed: an import has work to be done, and nobody is at it."""
    return _unclaimed().exists()


def _unclaimed() -> QuerySet[SubscriberImport]:
    nobody = Q(claimed_until__isnull=True) | Q(claimed_until__lt=Now())
    return SubscriberImport.objects.filter(nobody, state__in=MOVING)


def work() -> bool:
    """Take one import a step on; False if there was nothing to do."""
    for candidate in _unclaimed().order_by("pk")[:5]:
        job = claim(candidate)
        if job is not None:
            carry_on(job)
            return True
    return False


def claim(job: SubscriberImport) -> SubscriberImport | None:
    """Make it ours for two minutes at a time; None if somebody was quicker."""
    won = _unclaimed().filter(pk=job.pk, state=job.state).update(claimed_until=Now() + HOLD)
    return SubscriberImport.objects.get(pk=job.pk) if won else None


def carry_on(job: SubscriberImport, *, told: passes.Told = lambda _rows, _tally: None) -> bool:
    """Do what a claimed import waits for; False if it failed. Its row says why."""
    step = {
        ImportState.CHECKING: _check,
        ImportState.APPLYING: _apply,
        ImportState.UNDOING: _undo,
    }[ImportState(job.state)]
    try:
        step(job, told)
    except passes.LostClaim:
        logger.warning("Import %d is carried on by somebody else", job.pk)
    except BadFile as problem:
        _fail(job, str(problem))
        return False
    except FileNotFoundError:
        _fail(job, "Its file is no longer there. Upload it again.")
        return False
    except OperationalError:
        raise  # the database is away: the claim runs out, and a worker goes on
    except Exception:
        written = job.state != ImportState.CHECKING
        _fail(job, UNEXPECTED.format(left=PARTLY_WRITTEN if written else NOTHING_WRITTEN))
        raise
    return True


def _check(job: SubscriberImport, told: passes.Told) -> None:
    renewed(job, {"progress": 0})

    def count(rows: int, tally: Tally) -> None:
        if not renewed(job, {"progress": rows}):
            raise passes.LostClaim
        told(rows, tally)

    refused = keeping.refused_path_of(job)
    tally = passes.look(keeping.path_of(job), plan_of(job), refused=refused, told=count)
    _end(
        job,
        ImportState.CHECKED,
        {"counts": tally.as_json(), "rows": tally.rows, "refused_path": refused.name},
    )


def _apply(job: SubscriberImport, told: passes.Told) -> None:
    if not passes.write(job, renew=renewed, told=told):
        _end(job, ImportState.APPLYING, {})
        bell.ring_after_commit()
        return
    name = keeping.refused_path_of(job).name
    _end(
        job,
        ImportState.APPLIED,
        {"rows": job.progress, "refused_path": name, "applied_at": Now()},
    )


def _undo(job: SubscriberImport, _told: passes.Told) -> None:
    def removed(places: int) -> bool:
        return renewed(job, {"progress": job.progress + places})

    undoing.undo(job, removed=removed)
    job.refresh_from_db()
    counts = {**job.counts, "removed": job.progress, "stay": asdict(undoing.forecast(job))}
    _end(job, ImportState.UNDONE, {"counts": counts, "undone_at": Now()})


def renewed(job: SubscriberImport, columns: dict[str, Any]) -> bool:
    """Keep the claim and write columns, if nobody has moved the progress but us."""
    here = SubscriberImport.objects.filter(pk=job.pk, state=job.state, progress=job.progress)
    kept = here.update(claimed_until=Now() + HOLD, **columns)
    if kept and "progress" in columns:
        job.progress = columns["progress"]
    return bool(kept)


def _end(job: SubscriberImport, state: ImportState, columns: dict[str, Any]) -> None:
    here = SubscriberImport.objects.filter(pk=job.pk, state=job.state)
    here.update(state=state, claimed_until=None, **columns)
    job.refresh_from_db()


def _fail(job: SubscriberImport, sentence: str) -> None:
    SubscriberImport.objects.filter(pk=job.pk, state=job.state).update(
        state=ImportState.FAILED, claimed_until=None, error=sentence[:300]
    )
    job.refresh_from_db()
