"""What the person at the terminal reads: one short line for each step."""

import contextlib
import sys


def say(line: str) -> None:
    """Show a line at once. A terminal that is gone must not keep us from stopping in good order."""
    with contextlib.suppress(OSError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def complain(sentence: object) -> None:
    """Say on standard error why there is no service."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{sentence}\n")
        sys.stderr.flush()
