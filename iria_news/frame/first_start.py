"""The first editor: made on the first start, so that somebody can log in to the admin."""

import secrets

from django.contrib.auth import get_user_model

USERNAME = "editor"
PASSWORD_BYTES = 12  # 96 random bits: 16 characters to copy once


def create_editor() -> str | None:
    """Make the account "editor" unless there is a superuser; return its password.

    The password is kept nowhere but as a hash: whoever gets it shows it now or never. None means
    that nothing was changed: there is a superuser, or an "editor" whose rights a person took away.
    """
    users = get_user_model().objects
    if editor_username() or users.filter(username=USERNAME).exists():
        return None
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    users.create_superuser(USERNAME, password=password)
    return password


def editor_username() -> str | None:
    """The superuser who has been here longest; None when there is none."""
    superusers = get_user_model().objects.filter(is_superuser=True, is_active=True)
    first = superusers.order_by("pk").first()
    return first.get_username() if first else None
