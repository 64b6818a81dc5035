"""The doorbell of the calls. They stand in rows."""

from celery import shared_task

from subscribers.webhooks import bell, calling


@shared_task(ignore_result=True)
def call_endpoints() -> None:
    """Lost: the next tick rings again. Doubled: each call is claimed by one of them."""
    bell.heard()
    if calling.call_due() and calling.due_exists():  # its turn was over before its work
        bell.ring_after_commit()
