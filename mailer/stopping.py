"""Whether this worker has been asked to stop: known to the pool's children as soon as the parent.

Celery tells only the parent process. One byte of memory shared since before the fork carries the
word on; no lock, because a child that is killed while it holds one would hang every later child.
"""

import mmap

from celery.signals import worker_shutting_down

_asked = mmap.mmap(-1, 1)


def ask(**_: object) -> None:
    """From now on `asked()` is true, in this process and in those forked from it."""
    _asked[0] = 1


def asked() -> bool:
    return _asked[0] == 1


def forget() -> None:
    """Take it back; for processes that live on, such as a test's."""
    _asked[0] = 0


worker_shutting_down.connect(ask)
