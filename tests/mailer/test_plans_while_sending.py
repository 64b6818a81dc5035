"""The database's plans are kept for a turn of sending, and only for that."""

import pytest
from django.db import connection

from mailer import dialect
from mailer.deliveries import sending

pytestmark = pytest.mark.django_db(transaction=True)


def _mode() -> str:
    return dialect.fetch("SHOW plan_cache_mode")[0][0]


@pytest.fixture(autouse=True)
def _only_on_postgresql() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite keeps every plan of a prepared statement")


def test_plans_are_kept_while_sending_and_made_for_their_values_afterwards(sink, monkeypatch):
    seen = []
    run = sending._Loop.run

    def spy(loop, *, until):
        seen.append(_mode())
        run(loop, until=until)

    monkeypatch.setattr(sending._Loop, "run", spy)

    sending.send_ready_batches(worker="w", seconds=1)

    assert seen == ["force_generic_plan"]
    assert _mode() == "auto"


def test_a_turn_that_fails_leaves_the_connection_as_it_was(sink, monkeypatch):
    def fail(_loop, *, until):
        raise RuntimeError

    monkeypatch.setattr(sending._Loop, "run", fail)

    with pytest.raises(RuntimeError):
        sending.send_ready_batches(worker="w", seconds=1)

    assert _mode() == "auto"
