"""Each page in a language that its visitor reads."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils import translation
from django.utils.cache import patch_vary_headers

from iria_news import languages

View = Callable[[HttpRequest], HttpResponseBase]

# What people of the newsroom and programs read.
IN_ENGLISH = ("/admin/", "/api/", "/inbox/")


def language(get_response: View) -> View:
    """Middleware: speak what Accept-Language asks for, as far as we have it.

    A page may know better and change to another language, for example that of the reader whose
    link it is; the change ends with the answer. Django's own LocaleMiddleware would leave the
    language on in its thread, and listen to a cookie that no cache is told of.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        is_ours = request.path_info.startswith(IN_ENGLISH)
        asked = request.headers.get("Accept-Language", "")
        chosen = settings.LANGUAGE_CODE if is_ours else languages.preferred(asked)
        with translation.override(chosen):
            response = get_response(request)
            if not is_ours and response.headers.get("Content-Type", "").startswith("text/html"):
                response.headers["Content-Language"] = languages.current()
                patch_vary_headers(response, ["Accept-Language"])
        return response

    return middleware
