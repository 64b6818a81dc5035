"""Which web pages' scripts may read our answers: those of the origins that a key names."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.utils.cache import patch_vary_headers

from iria_news.api.door import PREFIX
from subscribers import api_keys
from subscribers.models import ApiKey

PREFLIGHT_AGE = 600  # seconds; a revoked origin is refused by its key at once all the same
View = Callable[[HttpRequest], HttpResponseBase]


def cors(get_response: View) -> View:
    """Middleware; stands above all others, so that scripts can read every error.

    A preflight carries no key, so it asks whether any key names its origin. An answer is readable
    for the origins of the key that was used. Never with credentials: cookies mean nothing here.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if not request.path_info.startswith(PREFIX):
            return response
        patch_vary_headers(response, ["Origin"])
        origin = request.headers.get("Origin", "")
        if origin and _may_read(request, origin):
            response["Access-Control-Allow-Origin"] = origin
            response["Access-Control-Expose-Headers"] = "Retry-After"
            if request.method == "OPTIONS":
                response["Access-Control-Allow-Methods"] = response.get("Allow", "")
                response["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
                response["Access-Control-Max-Age"] = str(PREFLIGHT_AGE)
        return response

    return middleware


def _may_read(request: HttpRequest, origin: str) -> bool:
    key: ApiKey | None = getattr(request, "api_key", None)
    return origin in key.origins if key else api_keys.may_call(origin)
