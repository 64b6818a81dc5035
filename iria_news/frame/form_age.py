"""When a public form was shown, signed: stands in for a CSRF token where there is no cookie."""

from datetime import timedelta

from django.core import signing
from django.utils import timezone

SALT = "iria_news.frame.form_age"


class BadFormAge(Exception):
    """Missing, changed or not ours: the form did not come from one of our pages."""


def issue() -> str:
    """A signed value that says when the form was made."""
    return signing.dumps(int(timezone.now().timestamp()), salt=SALT)


def read(value: str) -> timedelta:
    """Return how long ago the form was made, to the second. Raises BadFormAge.

    What is too young (a program filled it in) or too old is the caller's to decide.
    """
    try:
        made_at = int(signing.loads(value, salt=SALT))
    except (signing.BadSignature, TypeError, ValueError) as error:
        raise BadFormAge from error
    return timedelta(seconds=timezone.now().timestamp() - made_at)
