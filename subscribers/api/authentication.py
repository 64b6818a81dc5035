"""Who calls: a key in the header, its scope, its pace, and the page its script runs on."""

from django.http import HttpRequest
from ninja.security import HttpBearer

from iria_news.api import pace, problems
from subscribers import api_keys
from subscribers.models import ApiKey


class Key(HttpBearer):
    """Asks for a key of this scope. Cookies count for nothing: no page can act for its visitor."""

    def __init__(self, scope: api_keys.Scope) -> None:
        self.scope = scope
        super().__init__()

    def authenticate(self, request: HttpRequest, token: str) -> ApiKey | None:
        """Return the key, None for a bad one. Raises Problem: 403 and 429."""
        key = api_keys.recognise(token)
        if key is None:
            return None
        request.api_key = key  # type: ignore[attr-defined]  # for CORS, also if refused below
        _keep_pace(key)
        api_keys.note_use(key)
        if self.scope not in key.scopes:
            raise problems.Problem(
                403,
                f"This key may not “{self.scope}”. Ask whoever issued it for one that may.",
            )
        origin = request.headers.get("Origin")
        if origin is not None and origin not in key.origins:
            raise problems.Problem(
                403,
                "This key is not for scripts of web pages at this origin. "
                "Add the origin to a new key, or call from your server.",
            )
        return key


def caller(request: HttpRequest) -> ApiKey:
    """The key of a request that got as far as a route."""
    key = request.auth  # type: ignore[attr-defined]  # django-ninja's
    assert isinstance(key, ApiKey)
    return key


def _keep_pace(key: ApiKey) -> None:
    wait = pace.count(key.pk, per_minute=key.per_minute)
    if wait:
        raise problems.Problem(
            429,
            f"This key may send {key.per_minute} requests a minute. Try again in {wait} seconds.",
            headers={"Retry-After": str(wait)},
        )
