"""Starts Celery workers quickly: forks them from a process that has read the libraries already.

A worker spends most of its first two seconds on imports, and the fault tests start hundreds. What
is ours (settings, models, tasks) is read after the fork, from an environment of the worker's own.
Orders come as lines of JSON on standard input; the answer to each is the new process's id.

An order may name faults: modules whose `install` changes something in that process before Celery
begins. Nothing in the product knows of them.
"""

import importlib
import json
import os
import select
import signal
import sys
import traceback
from typing import Any

HEAVY = [
    *("celery.bin.celery", "celery.bin.worker", "celery.bin.beat", "celery.apps.worker"),
    *("celery.apps.beat", "celery.concurrency.prefork", "celery.worker.consumer"),
    *("celery.fixups.django", "kombu.transport.redis", "billiard.pool"),
    *("django.contrib.admin.sites", "django.db.models", "django.core.cache.backends.redis"),
    *("environs", "premailer", "cssutils", "lxml.html", "nh3", "PIL.Image", "feedparser"),
    *("email_validator", "django.db.backends.sqlite3.base", "smtplib"),
]


def main() -> None:
    for name in HEAVY:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for children; the kernel reaps
    _answer("ready")
    started = []
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            run(json.loads(line))
        started.append((pid, os.pidfd_open(pid)))
        _answer(pid)
    for pid, descriptor in started:  # the run is over, or was killed: leave nothing behind
        if not select.select([descriptor], [], [], 0)[0]:
            os.killpg(pid, signal.SIGKILL)


def _answer(words: object) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def run(order: dict[str, Any]) -> None:
    """Become the process of an order; never returns."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _write_to(order["log"])
        os.environ.clear()
        os.environ.update(order["environment"])
        sys.argv = ["celery", "-A", "iria_news", *order["arguments"]]
        import django

        django.setup()
        for name, options in order["faults"]:
            importlib.import_module(name).install(**options)
        from celery.bin.celery import main as celery

        celery()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # noqa: BLE001  # whatever it is: the log shall say it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _write_to(log: str) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(nothing, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)


if __name__ == "__main__":
    main()
