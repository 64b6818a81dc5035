"""The addresses of the API. Routers are named, not imported: they belong to apps downstream."""

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, path, re_path
from django.views.decorators.csrf import csrf_exempt

from iria_news.api import problems
from iria_news.api.description import Api

ROUTERS = [
    "subscribers.api.offered.router",
    "subscribers.api.signing_up.router",
    "subscribers.api.readers.router",
    "mailer.api.router",
]

api = Api(
    title="IRIA News",
    version="1",
    description="Sign-ups, readers' choices and past editions, for programs. See docs/api.md.",
    urls_namespace="api",
)
for router in ROUTERS:
    api.add_router("", router)


@csrf_exempt
def nothing_here(_request: HttpRequest) -> HttpResponse:
    """Also for an address with a slash too many: a redirect would lose a POST."""
    return problems.answer(problems.Problem(404))


urlpatterns: list[URLPattern | URLResolver] = [
    path("v1/", api.urls),
    re_path(r"", nothing_here),
]
