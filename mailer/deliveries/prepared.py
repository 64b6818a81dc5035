"""One prepared statement on PostgreSQL that runs while its caller does something else.

psycopg's own cursors wait for their answer. Its `pq` layer, libpq as it is, lets a loop that has
other sockets to serve send a statement and come back when the answer is there.
"""

import weakref
from collections.abc import Sequence

import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import pq

_names: "weakref.WeakKeyDictionary[psycopg.Connection, set[bytes]]" = weakref.WeakKeyDictionary()


class Prepared:
    """A statement whose parameters are arrays of integers, on a connection in autocommit.

    While it runs, nothing else may use the connection. A pooler in transaction mode, which hands
    out another connection for each transaction, cannot stand in between.
    """

    def __init__(self, connection: BaseDatabaseWrapper, name: str, sql: str) -> None:
        """Prepare it, unless that was done on this connection. Raises OperationalError."""
        connection.ensure_connection()
        self._connection = connection
        self._line: pq.abc.PGconn = connection.connection.pgconn
        self._name = name.encode()
        self._rows: list[list[bytes]] = []
        known = _names.setdefault(connection.connection, set())
        if self._name not in known:
            with connection.wrap_database_errors:
                self._check(self._line.prepare(self._name, sql.encode()))
            known.add(self._name)

    @property
    def fileno(self) -> int:
        return int(self._line.socket)

    def start(self, parameters: Sequence[Sequence[int]]) -> None:
        """Send it off. Raises OperationalError when the connection is gone."""
        values = [b"{%s}" % ",".join(map(str, numbers)).encode() for numbers in parameters]
        self._rows = []
        with self._connection.wrap_database_errors:
            self._line.send_query_prepared(self._name, values)
            self._line.flush()

    def rows(self) -> list[list[bytes]] | None:
        """Its rows, each column as text; None while it runs. Raises DatabaseError if it failed."""
        with self._connection.wrap_database_errors:
            self._line.flush()
            self._line.consume_input()
            while not self._line.is_busy():
                answer = self._line.get_result()
                if answer is None:
                    return self._rows
                self._check(answer)
                self._rows += _rows_of(answer)
        return None

    @staticmethod
    def _check(answer: "pq.abc.PGresult") -> None:
        if answer.status not in {pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK}:
            raise psycopg.errors.error_from_result(answer)


def _rows_of(answer: "pq.abc.PGresult") -> list[list[bytes]]:
    columns = range(answer.nfields)
    return [
        [answer.get_value(row, column) or b"" for column in columns]
        for row in range(answer.ntuples)
    ]
