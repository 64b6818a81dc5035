"""Runs one exchange at a time, where the database can beside everything else.

On PostgreSQL the usual commit is one prepared statement, which runs while the loop goes on serving
its connections. Whatever is out of the ordinary, and all of SQLite, takes a short transaction.
"""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import connection

from mailer import dialect
from mailer.deliveries.exchanging import (
    PERMITTED,
    Exchange,
    Intent,
    Request,
    exchange,
    sent_values,
)

if TYPE_CHECKING:  # psycopg is installed only where it is used
    from mailer.deliveries.prepared import Prepared


class Exchanger:
    """Runs one exchange at a time, in the background where the database can."""

    def __init__(self) -> None:
        self.is_under_way = False
        self._done: Exchange | None = None
        self._request: Request | None = None  # of what runs in the background
        self._prepared: Prepared | None = None

    @property
    def fileno(self) -> int | None:
        """Can be read when the exchange may have ended; None if none runs in the background."""
        return self._prepared.fileno if self._prepared is not None and self._request else None

    @property
    def is_quick(self) -> bool:
        """Whether `begin` will usually return before the exchange has ended."""
        return dialect.is_postgresql()

    def begin(self, request: Request) -> None:
        """Start; `result` has the answer. After a DatabaseError nothing is known."""
        if self.is_quick and _is_ordinary(request):
            if self._prepared is None:
                self._prepared = _prepared()
            self._prepared.start(_parameters(request))
            self._request = request
        else:
            self._done = exchange(request)
        self.is_under_way = True

    def result(self) -> Exchange | None:
        """What was done; None while it is under way. Raises DatabaseError as `begin`."""
        if self._request is not None and self._prepared is not None:
            try:
                rows = self._prepared.rows()
            except BaseException:
                self.forget()  # or the rest of a failed answer would pass for an empty success
                raise
            if rows is None:
                return None
            self._done, self._request = _exchange_of(self._request, rows), None
        done, self._done = self._done, None
        self.is_under_way = False
        return done

    def forget(self) -> None:
        """After an error: whatever was under way is no longer waited for."""
        self._done = self._request = self._prepared = None
        self.is_under_way = False


def _is_ordinary(request: Request) -> bool:
    """Whether one statement can do it: no row may be settled and announced in the same."""
    wanted = {(row.edition_id, row.subscriber_id) for row in request.wanted}
    settled = ((row.edition_id, row.subscriber_id) in wanted for row in request.accepted)
    return not (request.outcomes or connection.in_atomic_block or any(settled))


# --- PostgreSQL: all of it in one statement -------------------------------------------------------


def _prepared() -> "Prepared":
    from mailer.deliveries.prepared import Prepared  # noqa: PLC0415  # needs psycopg

    return Prepared(connection, "exchange", _one_statement())


def _one_statement() -> str:
    """Read `w.batch_id`, never the delivery's: else the planner may walk the index of batches."""
    return f"""
        WITH lease AS (
            UPDATE mailer_batch b SET sent = b.sent + w.sent,
                leased_until = {dialect.now(plus_seconds=settings.LEASE_SECONDS)},
                losses = CASE WHEN w.proven = 1 THEN 0 ELSE b.losses END
            FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])
                AS w(id, lease, sent, proven)
            WHERE b.id = w.id AND b.lease = w.lease AND b.state = 'leased'
            RETURNING b.id
        ), accepted AS (
            UPDATE mailer_delivery d SET {sent_values()}
            FROM unnest($5::bigint[], $6::bigint[]) AS w(edition_id, subscriber_id)
            WHERE d.edition_id = w.edition_id AND d.subscriber_id = w.subscriber_id
                AND d.state <> 'sent'
        ), intent AS (
            UPDATE mailer_delivery d SET state = 'sending', attempts = d.attempts + 1
            FROM (
                SELECT w.edition_id, r.id AS subscriber_id, r.address, r.name
                FROM unnest($7::bigint[], $8::bigint[], $9::bigint[])
                    AS w(edition_id, subscriber_id, batch_id)
                JOIN lease ON lease.id = w.batch_id
                {PERMITTED}
            ) AS may
            WHERE d.edition_id = may.edition_id AND d.subscriber_id = may.subscriber_id
                AND d.state = 'pending'
            RETURNING d.edition_id, d.subscriber_id, may.address, may.name
        )
        SELECT edition_id, subscriber_id, address, name FROM intent
        UNION ALL SELECT 0, id, '', '' FROM lease
    """  # noqa: S608  # fragments of ours


def _parameters(request: Request) -> list[list[int]]:
    sent = Counter(row.batch_id for row in request.accepted)
    leases = request.leases
    return [
        [lease.batch_id for lease in leases],
        [lease.number for lease in leases],
        [sent[lease.batch_id] for lease in leases],
        [int(lease.batch_id in request.proven) for lease in leases],
        [row.edition_id for row in request.accepted],
        [row.subscriber_id for row in request.accepted],
        [row.edition_id for row in request.wanted],
        [row.subscriber_id for row in request.wanted],
        [row.batch_id for row in request.wanted],
    ]


def _exchange_of(request: Request, rows: Sequence[Sequence[bytes]]) -> Exchange:
    done = Exchange(request)
    for edition, number, address, name in rows:
        if edition == b"0":
            done.held.add(int(number))
        else:
            done.intents.append(Intent(int(edition), int(number), address.decode(), name.decode()))
    return done
