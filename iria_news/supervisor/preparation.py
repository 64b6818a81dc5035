"""Everything that needs Django before the parts start, in one process: loading it takes a second.

Run by the supervisor as `python -m iria_news.supervisor.preparation`. Each step returns at once
when its work is done already, so that the second start is quick. Exit code 2 is a sentence for the
operator; anything else is a fault of ours and shows its traceback.
"""

import hashlib
import io
import os
import sys
from argparse import ArgumentParser
from pathlib import Path

import django
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from iria_news import celery
from iria_news.environment import Misconfigured
from iria_news.frame import first_start, servers
from iria_news.supervisor.console import say

TICK_EXPIRES = 60  # seconds; should no worker start, the next start rings anew


def check_servers() -> None:
    """What is not ours to start must answer before we start the rest."""
    servers.check_database()
    servers.check_redis()
    servers.check_submission_server()


def migrate() -> None:
    executor = MigrationExecutor(connection)
    steps = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    if steps:
        call_command("migrate", verbosity=0, interactive=False)
    say(f"Database: {steps} migrations applied." if steps else "Database: up to date.")


def collect_static_files() -> None:
    """Copy and compress them when one has changed since the last time."""
    mark = Path(settings.STATIC_ROOT) / ".collected"
    current = _static_files_mark()
    if mark.exists() and mark.read_text() == current:
        return
    call_command("collectstatic", verbosity=0, interactive=False)
    mark.write_text(current)
    say("Static files: collected.")


def _static_files_mark() -> str:
    """Changes when a static file is added, removed, touched, or to be stored in another way."""
    seen = hashlib.sha256(repr(settings.STORAGES["staticfiles"]).encode())
    for finder in get_finders():
        for path, storage in finder.list([]):
            stat = Path(storage.path(path)).stat()
            seen.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return seen.hexdigest()


def ring_first_tick() -> None:
    """Let the first worker find work at once: beat rings only when its first interval is over."""
    celery.app.send_task(settings.CELERY_BEAT_SCHEDULE["tick"]["task"], expires=TICK_EXPIRES)


def welcome_editor() -> None:
    password = first_start.create_editor()
    name = first_start.editor_username()
    if password:
        say(
            f'Editor: user "{name}", password "{password}" (shown this once). '
            f"Log in at {settings.SITE_URL}/admin/"
        )
    elif name:
        say(
            f'Editor: user "{name}" logs in at {settings.SITE_URL}/admin/. '
            f"New password: .venv/bin/python manage.py changepassword {name}"
        )


def main() -> int:
    parser = ArgumentParser()
    parser.add_argument("--no-demo", action="store_true")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iria_news.settings")
    django.setup()
    try:
        call_command("check", stdout=io.StringIO())  # once here, instead of in each worker
        check_servers()
    except (Misconfigured, SystemCheckError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    migrate()
    collect_static_files()
    if not options.no_demo:
        call_command("load_demo", "--if-empty")
    ring_first_tick()
    welcome_editor()
    return 0


if __name__ == "__main__":
    sys.exit(main())
