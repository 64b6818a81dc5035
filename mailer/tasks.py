"""Doorbells. The rows say what there is to do; a task only makes somebody look.

Tasks carry ids or nothing and may be lost, doubled or late: each begins by asking the rows.
"""

import functools
import os
import socket

from celery import Task, shared_task
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from iria_news.environment import DEFAULT_SERVER
from mailer import (
    catching_up,
    cohorts,
    corrections,
    editions,
    monitoring,
    opening,
    production,
    reminding,
)
from mailer.deliveries import closing, reaping, sending, watching
from mailer.models import Edition, EditionState, Pulse
from mailer.throttle import hours, reactions
from subscribers import service_mails
from subscribers.importing import jobs as imports
from subscribers.importing.tasks import work as work_at_imports
from subscribers.tasks import send_service_mails
from subscribers.webhooks import calling
from subscribers.webhooks.tasks import call_endpoints

TURN = 90  # seconds; short, so that a deploy waits little
RING_EXPIRES = 10  # seconds; the next tick rings again


@shared_task(ignore_result=True)
def tick() -> None:
    """Open what is due, move each edition on, take back what was dropped, ring for workers.

    Two ticks at once do no harm: every step is compare-and-set.
    """
    opening.open_due(now=timezone.now())
    catching_up.open_due(now=timezone.now())
    corrections.take_up_into_drafts()
    for edition in Edition.objects.filter(
        state=EditionState.APPROVED, due_at__lte=timezone.now()
    ).order_by("-priority", "due_at"):
        editions.begin_freezing(edition)
    reaping.reap()
    reactions.recover()
    watching.pause_what_cannot_go_on()
    closing.close_open_batches()
    move_on()
    if calling.due_exists():
        call_endpoints.apply_async(expires=RING_EXPIRES)
    if imports.waiting():
        work_at_imports.apply_async(expires=RING_EXPIRES)
    if service_mails.due_exists():
        send_service_mails.apply_async(expires=RING_EXPIRES)
    if reminding.due().exists():
        remind.apply_async(expires=RING_EXPIRES)
    Pulse.objects.update_or_create(name="tick", defaults={"at": timezone.now()})


def ring_tick() -> None:
    """Ring once now, so that a person need not wait for beat. Losing this ring costs seconds."""
    transaction.on_commit(functools.partial(tick.apply_async, expires=RING_EXPIRES))


def move_on() -> None:
    """What follows from the rows as they are now: also called when a step has just ended."""
    production.release_rendered()
    production.start_due()
    closing.finish()
    for pk in Edition.objects.filter(state=EditionState.FREEZING).values_list("pk", flat=True):
        freeze.apply_async([pk], expires=RING_EXPIRES)
    if Edition.objects.filter(state=EditionState.RENDERING).exists():
        _ring(render, settings.SENDING_WORKERS)
    for server, batches in monitoring.ready_batches().items():
        _ring(send, min(batches, settings.SENDING_WORKERS), server)


def _ring(task: Task, times: int, *args: str) -> None:
    for _ in range(times):
        task.apply_async(args, expires=RING_EXPIRES)


@shared_task(ignore_result=True)
def freeze(edition_id: int) -> None:
    """Lost: the tick rings again. Doubled: the second finds the cursor moved and stops."""
    if cohorts.freeze(edition_id):
        move_on()


@shared_task(ignore_result=True)
def render() -> None:
    """Lost: the tick rings again. Doubled: each cohort is claimed by one of them."""
    if production.render_waiting():
        move_on()


@shared_task(ignore_result=True)
def send(server: str = DEFAULT_SERVER) -> None:
    """Lost: the tick rings again. Doubled: the second finds nothing to lease."""
    turn = sending.send_ready_batches(worker=_worker(), server=server, seconds=TURN)
    if turn.accepted:  # a server that takes nothing now is the tick's to ask again
        move_on()


@shared_task(ignore_result=True)
def remind() -> None:
    """Lost: the next tick rings again. Doubled: each edition is claimed by one of them."""
    reminding.remind_due()


@shared_task(ignore_result=True)
def forget_old_hours() -> None:
    """Drop the numbers of lanes that nobody looks at any more. Lost: the next hour does it."""
    hours.forget_old()


def _worker() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
