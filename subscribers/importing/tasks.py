"""The doorbell of imports. It carries nothing; which imports wait stands in their rows."""

from celery import shared_task

from subscribers.importing import jobs


@shared_task(ignore_result=True)
def work() -> None:
    """Take one import on. Lost: the tick rings again. Doubled: the second finds it claimed."""
    jobs.bell.heard()
    if jobs.work() and jobs.waiting():
        jobs.bell.ring_after_commit()
