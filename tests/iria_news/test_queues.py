"""Which worker of the one-machine default serves which task."""

from celery import current_app
from django.conf import settings

from iria_news.supervisor import parts


def queues(child) -> set[str]:
    return set(child.command[child.command.index("--queues") + 1].split(","))


def test_every_queue_has_a_worker():
    routed = {route["queue"] for route in settings.CELERY_TASK_ROUTES.values()}
    routed.add(settings.CELERY_TASK_DEFAULT_QUEUE)

    assert routed == set().union(*map(queues, parts.workers()))


def test_nothing_waits_behind_an_edition_that_is_being_sent():
    assert queues(parts.sending_worker()) == {"send"}


def test_a_confirmation_waits_neither_for_a_freeze_nor_for_a_rendering():
    assert not queues(parts.confirming_worker()) & {"freeze", "render", "send", "default"}


def test_every_task_is_known_to_the_routes():
    ours = [name for name in current_app.tasks if name.startswith(("mailer.", "subscribers."))]

    assert {settings.CELERY_TASK_ROUTES.get(name, {}).get("queue") for name in ours} <= {
        *("tick", "freeze", "render", "send"),
        "webhooks",
        None,  # the default queue, or the pattern of service mails
    }
