"""What all pages of readers have in common: methods, privacy of links, no cookie.

What a press may do is decided by the signed token in the address, or, on the sign-up pages, by the
mailbox that is asked to confirm. So there is nothing that another site could do in a reader's
name, and the CSRF check, which needs a cookie, is switched off.
"""

import functools
from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import translation
from django.utils.cache import add_never_cache_headers
from django.views.decorators.csrf import csrf_exempt

from iria_news import languages
from subscribers import links
from subscribers.models import Subscriber

View = Callable[..., HttpResponse]
CHANGES = ["GET", "HEAD", "OPTIONS", "POST"]
SHOWS = ["GET", "HEAD", "OPTIONS"]


class SeeOther(HttpResponseRedirect):
    """Look there, by GET (RFC 9110 15.4.4): reloading that page presses no button again."""

    status_code = HTTPStatus.SEE_OTHER


def page(methods: list[str]) -> Callable[[View], View]:
    """Methods, with a page for the wrong ones, and no CSRF cookie (see above)."""

    def decorate(view: View) -> View:
        @csrf_exempt
        @functools.wraps(view)
        def wrapper(request: HttpRequest, **kwargs: str) -> HttpResponse:
            if request.method == "OPTIONS":
                return HttpResponse(status=204, headers={"Allow": ", ".join(methods)})
            if request.method not in methods:
                response = render(request, "subscribers/wrong_method.html", status=405)
                response["Allow"] = ", ".join(methods)
                return response
            return view(request, **kwargs)

        return wrapper

    return decorate


def speak_to(subscriber: Subscriber) -> None:
    """Say the rest of this answer in the language of the reader whose link it is."""
    translation.activate(languages.supported(subscriber.language))


def speak_as_named(request: HttpRequest) -> str:
    """Say it in the language that a form or an address names; return what was named, or nothing.

    What we do not have is as good as nothing. For pages that read their form anyway.
    """
    named = request.POST.get("language") or request.GET.get("language", "")
    if not languages.is_supported(named):
        return ""
    translation.activate(named)
    return named


def with_language(request: HttpRequest, address: str) -> str:
    """The address of the next page, which names the language if the browser asks for another."""
    spoken = languages.current()
    asked = languages.preferred(request.headers.get("Accept-Language", ""))
    return address if spoken == asked else f"{address}?language={spoken}"


def token_page(view: View) -> View:
    """A page behind a signed link: kept by nobody, found by nobody, and clear about a bad link."""

    @functools.wraps(view)
    def wrapper(request: HttpRequest, **kwargs: str) -> HttpResponse:
        try:
            response = view(request, **kwargs)
        except links.BadLink:
            response = render(request, "subscribers/bad_link.html", status=404)
        add_never_cache_headers(response)
        response["X-Robots-Tag"] = "noindex, nofollow"
        response["Referrer-Policy"] = "same-origin"  # "no-referrer" would make Origin "null"
        # Or Django logs the address of every answer from 400 on, and with it the token.
        response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001
        return response

    return wrapper
