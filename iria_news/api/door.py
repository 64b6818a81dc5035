"""The way in and out of /api/: what holds for every answer, from whichever layer it comes."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from iria_news.api import problems

PREFIX = "/api/"
View = Callable[[HttpRequest], HttpResponseBase]


def door(get_response: View) -> View:
    """Middleware; stands above all others but that for CORS, to see their failures too.

    Every error is a problem in JSON. No cookie goes out, and no answer is kept by anybody. HEAD
    and OPTIONS work where GET and other methods do (RFC 9110 sections 9.3.2 and 9.3.7).
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(PREFIX):
            return get_response(request)
        response = _answered(request, get_response)
        if request.method == "OPTIONS" and response.status_code == 405:
            return HttpResponse(status=204, headers={"Allow": _allowed(response)})
        if response.status_code >= 400 and not problems.is_problem(response):
            response = _as_problem(response)
        # Or Django logs the address of every answer from 400 on, in which somebody may have put
        # an address of mail by mistake.
        response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001
        response.cookies.clear()
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return middleware


def _answered(request: HttpRequest, get_response: View) -> HttpResponseBase:
    """HEAD is answered as GET; the server leaves the body out."""
    if request.method != "HEAD":
        return get_response(request)
    request.method = "GET"
    response = get_response(request)
    request.method = "HEAD"
    return response


def _as_problem(failed: HttpResponseBase) -> HttpResponseBase:
    headers = {name: failed.headers[name] for name in ("Retry-After",) if name in failed.headers}
    if failed.status_code == 405:
        headers["Allow"] = _allowed(failed)
    return problems.answer(problems.Problem(failed.status_code, headers=headers))


def _allowed(response: HttpResponseBase) -> str:
    methods = {each.strip() for each in response.headers.get("Allow", "").split(",")} - {""}
    if "GET" in methods:
        methods.add("HEAD")
    return ", ".join(sorted(methods | {"OPTIONS"}))
