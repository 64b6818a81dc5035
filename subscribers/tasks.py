"""Doorbells for workers. They carry nothing; what is to be done stands in the rows."""

import logging

from celery import shared_task
from django.db import transaction
from django.utils import timezone

from subscribers import retention, service_mails

logger = logging.getLogger(__name__)


@shared_task(ignore_result=True)
def send_service_mails() -> None:
    """Lost: the next tick rings again. Doubled: the second finds nothing to claim."""
    service_mails.send_due()


@shared_task(ignore_result=True)
def housekeep() -> None:
    """Forget what is overdue. Lost: the next hour does it. Doubled: the second finds nothing."""
    for what, number in retention.forget(timezone.now()).items():
        if number:
            logger.info("Forgot %d %s", number, what)


def ring_after_commit() -> None:
    """Have the waiting service mails sent at once.

    If Redis is away the reader waits a third of a second (CELERY_TASK_PUBLISH_RETRY_POLICY) and
    the sign-up stands: Django logs what went wrong, and the tick finds the rows.
    """
    transaction.on_commit(_ring, robust=True)


def _ring() -> None:
    send_service_mails.delay()
