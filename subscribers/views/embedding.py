"""The small form that other sites show in a frame. No cookie, no script; only chosen sites (W8)."""

import functools
from collections.abc import Callable

from csp.decorators import csp_replace
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.clickjacking import xframe_options_exempt

from subscribers import consent
from subscribers.views import asking
from subscribers.views.pages import CHANGES, SHOWS, page, speak_as_named

View = Callable[..., HttpResponse]

IN_A_FRAME = asking.Look(
    action="embed-subscribe",
    wording=consent.BAND,
    done="embed-check-inbox",
    form="subscribers/embed.html",
    suggestion="subscribers/embed_did_you_mean.html",
    press_again="subscribers/embed_press_again.html",
    too_many="subscribers/embed_too_many.html",
)


def framed(view: View) -> Callable[[HttpRequest], HttpResponseBase]:
    """May stand in the frames of EMBED_ORIGINS, and of nobody else.

    X-Frame-Options knows no list of sites, and browsers that know `frame-ancestors` ignore it.
    """

    @xframe_options_exempt
    @functools.wraps(view)
    def wrapper(request: HttpRequest) -> HttpResponseBase:
        ancestors = settings.EMBED_ORIGINS or ["'none'"]
        return csp_replace({"frame-ancestors": ancestors})(view)(request)

    return wrapper


@framed
@page(CHANGES)
def subscribe(request: HttpRequest) -> HttpResponse:
    """GET shows the form, POST takes it; every answer stays in the frame's look."""
    if request.method != "POST":
        return asking.blank(request, IN_A_FRAME)
    return asking.answer(request, IN_A_FRAME)


@framed
@page(SHOWS)
def check_inbox(request: HttpRequest) -> HttpResponse:
    """The same for everybody, byte for byte (W5)."""
    speak_as_named(request)
    return render(request, "subscribers/embed_check_inbox.html")
