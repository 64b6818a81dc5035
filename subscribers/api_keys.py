"""Keys with which programs of others call us: issued once, recognised, ended.

The text of a key is `iria_<prefix>_<secret>`. The prefix tells keys apart and is no secret.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from datetime import timedelta
from urllib.parse import urlsplit

from django.contrib.auth.models import User
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from subscribers.models import ApiKey

PREFIX_DIGITS = "abcdefghijkmnpqrstuvwxyz23456789"  # none that look alike
PREFIX_LENGTH = 8
SECRET_BYTES = 32
# 43 characters are 32 bytes in base64url.
SHAPE = re.compile(rf"iria_([{PREFIX_DIGITS}]{{{PREFIX_LENGTH}}})_([A-Za-z0-9_-]{{43}})", re.ASCII)
USE_IS_NOTED_EVERY = timedelta(minutes=1)  # a row written with each request would be a queue
MOST_PER_MINUTE = 6_000  # a hundred a second; whoever needs more wants an export


class Scope(models.TextChoices):
    """What a key may do. One scope does not bring another."""

    READ = "read", "Read what is public"  # newsletters, topics, past editions
    SUBSCRIBE = "subscribe", "Send sign-ups"  # which their reader confirms by mail
    MANAGE = "manage", "Manage readers"  # find them, change choices, end subscriptions


class BadKey(ValueError):
    """A key like this cannot be issued. The message is a sentence for the operator."""


def issue(
    *,
    name: str,
    scopes: Collection[str],
    origins: Collection[str] = (),
    per_minute: int = 60,
    by: User,
) -> tuple[ApiKey, str]:
    """Make a key; return its row and its text, which nobody can read again.

    Raises BadKey, as `check` does.
    """
    check(name=name, scopes=scopes, origins=origins, per_minute=per_minute)
    secret = secrets.token_urlsafe(SECRET_BYTES)
    key = ApiKey.objects.create(
        name=name,
        prefix="".join(secrets.choice(PREFIX_DIGITS) for _ in range(PREFIX_LENGTH)),
        secret_hash=_hash(secret),
        scopes=[scope for scope in Scope.values if scope in scopes],
        origins=[checked_origin(origin) for origin in origins],
        per_minute=per_minute,
        created_by=by,
    )
    return key, f"iria_{key.prefix}_{secret}"


def check(*, name: str, scopes: Collection[str], origins: Collection[str], per_minute: int) -> None:
    """Raise BadKey unless such a key may be issued.

    A key that scripts of web pages use is readable by every visitor of them, so it may not manage
    readers.
    """
    if not name.strip() or not name.isprintable():
        raise BadKey("Name the key on one line: who uses it, and for what.")
    if not scopes or not set(scopes) <= set(Scope.values):
        raise BadKey(f"A key may do at least one of: {', '.join(Scope.values)}.")
    if origins and Scope.MANAGE in scopes:
        raise BadKey(
            "Every visitor of a web page can read the key its scripts use. "
            "Take “manage” away, or name no origin."
        )
    if not 1 <= per_minute <= MOST_PER_MINUTE:
        raise BadKey(f"A key may send 1 to {MOST_PER_MINUTE:,} requests a minute.")
    for origin in origins:
        checked_origin(origin)


def recognise(text: str) -> ApiKey | None:
    """The key with this text, if it is one of ours and not revoked."""
    shape = SHAPE.fullmatch(text)
    if shape is None:
        return None
    prefix, secret = shape.groups()
    key = ApiKey.objects.filter(prefix=prefix, revoked_at__isnull=True).first()
    # Compared also where there is no such key: a prefix takes as long to refuse as a secret.
    matches = hmac.compare_digest(key.secret_hash if key else "0" * 64, _hash(secret))
    return key if matches else None


def note_use(key: ApiKey) -> None:
    """Write down that the key is in use, to the minute. The only thing that reading changes."""
    if key.last_used_at and timezone.now() - key.last_used_at < USE_IS_NOTED_EVERY:
        return
    noted_before = Q(last_used_at__isnull=True) | Q(last_used_at__lt=Now() - USE_IS_NOTED_EVERY)
    ApiKey.objects.filter(noted_before, pk=key.pk).update(last_used_at=Now())


def revoke(key: ApiKey) -> bool:
    """End a key at once and for good; False if it was revoked before."""
    return ApiKey.objects.filter(pk=key.pk, revoked_at__isnull=True).update(revoked_at=Now()) == 1


def checked_origin(typed: str) -> str:
    """An origin as browsers write it (RFC 6454 section 6.2). Raises BadKey."""
    sentence = f"“{typed[:100]}” is no origin. It looks like https://www.example.org, without path."
    try:
        parts = urlsplit(typed)
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise BadKey(sentence) from error
    host = parts.hostname or ""
    is_local = host in {"localhost", "127.0.0.1"}
    if not re.fullmatch(r"[a-z0-9.-]+", host) or typed.lower() != f"{parts.scheme}://{host}{port}":
        raise BadKey(sentence)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_local):
        raise BadKey(f"“{typed[:100]}” is not protected on its way. Use https.")
    return typed.lower()


def may_call(origin: str) -> bool:
    """Whether scripts of this origin may use any key: all that a preflight can ask."""
    in_force = ApiKey.objects.filter(revoked_at__isnull=True).values_list("origins", flat=True)
    return any(origin in origins for origins in in_force)


def _hash(secret: str) -> str:
    # Plain SHA-256: 256 random bits need neither salt nor slowness.
    return hashlib.sha256(secret.encode()).hexdigest()
