"""What gunicorn serves."""

import os
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

from django.core.wsgi import get_wsgi_application
from django.utils.http import parse_header_parameters

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iria_news.settings")

_django = get_wsgi_application()


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Django, which never hears of a charset but UTF-8: our pages and programs send no other.

    It believes any name of a codec, also one that makes no text (base64, rot13), and fails before
    it could answer in our words.
    """
    if "CONTENT_TYPE" in environ:
        environ["CONTENT_TYPE"] = _in_utf8(environ["CONTENT_TYPE"])
    return _django(environ, start_response)


def _in_utf8(content_type: str) -> str:
    """A Content-Type without its charset, unless that is UTF-8; empty if nobody can read it."""
    try:
        kind, parameters = parse_header_parameters(content_type)
    except (LookupError, TypeError, ValueError):  # pieces that do not fit (RFC 2231 section 3)
        return ""
    if parameters.get("charset", "utf-8").lower() in {"utf-8", "utf8"}:
        return content_type
    boundary = parameters.get("boundary", "").replace("\\", "\\\\").replace('"', '\\"')
    return f'{kind}; boundary="{boundary}"' if boundary else kind
