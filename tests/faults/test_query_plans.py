"""What made storms stand still: a lookup that walks the whole table for each batch."""

import pytest
from django.conf import settings
from django.db import connection

from mailer.deliveries import leases
from mailer.deliveries.recipients import Recipients
from tests.faults import audience

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]


@pytest.mark.skipif(not settings.IS_SQLITE, reason="PostgreSQL gathers statistics by itself")
def test_a_batch_looks_its_readers_up_and_never_walks_all_of_them():
    audience.going_out(30)
    lease = leases.claim("w1")
    assert lease is not None
    asked: list[str] = []
    connection.connection.set_trace_callback(asked.append)
    Recipients().load(lease, leases.waiting(lease))
    connection.connection.set_trace_callback(None)

    lists = [sql for sql in asked if "json_each" in sql]
    assert lists
    for sql in lists:
        plan = [step for *_, step in connection.connection.execute(f"EXPLAIN QUERY PLAN {sql}")]
        assert plan[0].startswith("SCAN json_each"), plan
