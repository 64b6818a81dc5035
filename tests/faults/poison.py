"""A fault: a message that kills its worker, each time."""

from tests.faults import dying


def install(*, subscriber_id: int) -> None:
    dying.install_poison(subscriber_id=subscriber_id)
