"""Signatures as Standard Webhooks has them: HMAC-SHA256 over "id.timestamp.body".

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hmac
import secrets
from collections.abc import Iterable

PREFIX = "whsec_"
KEY_BYTES = 32  # the specification wants 24 to 64


def new_secret() -> str:
    """What an endpoint and we sign and check with: whsec_ and the key in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def headers(uid: str, *, at: int, body: bytes, secrets: Iterable[str]) -> dict[str, str]:
    """The three headers of a call made at `at`, in seconds since 1970.

    With several secrets there are several signatures, and one that fits is enough: so a secret can
    be replaced while the other side still checks with the old one.
    """
    content = b".".join([uid.encode(), str(at).encode(), body])
    return {
        "webhook-id": uid,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(_signature(secret, content) for secret in secrets),
    }


def _signature(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()
