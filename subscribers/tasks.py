"""Doorbells for workers. They carry nothing; what is to be done stands in the rows."""

import logging

from celery import shared_task
from django.utils import timezone

from subscribers import doorbell, receiving, retention, service_mails

logger = logging.getLogger(__name__)

# So many mails, then a look at who has asked in between; so often, then another task goes on, for
# Celery ends one that runs too long (CELERY_TASK_TIME_LIMIT), in the middle of a mail.
MAILS_EACH = 25
TURNS = 20


@shared_task(ignore_result=True)
def send_service_mails() -> None:
    """Act on what was asked for, and send the mails it takes.

    Lost: the next tick rings again. Doubled: the second finds nothing to claim.
    """
    doorbell.heard()
    for _ in range(TURNS):
        receiving.process()
        if not service_mails.send_due(at_most=MAILS_EACH):
            return
    doorbell.ring_after_commit()


@shared_task(ignore_result=True)
def housekeep() -> None:
    """Forget what is overdue. Lost: the next hour does it. Doubled: the second finds nothing."""
    for what, number in retention.forget(timezone.now()).items():
        if number:
            logger.info("Forgot %d %s", number, what)
