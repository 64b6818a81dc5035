"""Files and notices that belong to the site as a whole."""

from pathlib import PurePosixPath

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views import static
from django.views.decorators.http import require_safe

# What `pictures.checked` writes. A file of another kind in the media folder is not ours to give.
PICTURE_SUFFIXES = {".jpg", ".png"}
MEDIA_AGE = 30 * 24 * 3600  # seconds; a picture never changes under its name


@require_safe
def media(request: HttpRequest, path: str) -> HttpResponseBase:
    """Give an uploaded picture. A web server in front may do so instead, with the same headers."""
    if PurePosixPath(path).suffix not in PICTURE_SUFFIXES:
        raise Http404
    response = static.serve(request, path, document_root=str(settings.MEDIA_ROOT))
    response.headers["Cache-Control"] = f"public, max-age={MEDIA_AGE}, immutable"
    return response


@require_safe
def robots(request: HttpRequest) -> HttpResponse:
    return render(request, "robots.txt", content_type="text/plain; charset=utf-8")
