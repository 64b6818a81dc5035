"""A fault: the answer to a commit never arrives, although the commit took place."""

import functools
from typing import Any

from django.db import OperationalError, connection

from tests.faults.dying import replace


def install(*, where: str, call: int) -> None:
    """After the `call`-th return of this function its connection is gone, and it raises."""
    left = [call]

    def wrap(original: Any) -> Any:
        @functools.wraps(original)
        def wrapped(*arguments: Any, **named: Any) -> Any:
            result = original(*arguments, **named)
            left[0] -= 1
            if left[0] == 0:
                connection.close()
                raise OperationalError("the connection was cut after the commit")
            return result

        return wrapped

    replace(where, wrap)
