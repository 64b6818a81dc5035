"""The admin's own content policy, which its components need; other pages keep the strict one."""

from collections.abc import Callable

from csp.decorators import csp_replace
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse

View = Callable[[HttpRequest], HttpResponseBase]

POLICY = {
    # Alpine, which unfold is built on, evaluates strings from attributes.
    "script-src": ["'self'", "'unsafe-eval'"],
    "style-src": ["'self'", "'unsafe-inline'"],
    # Previews of mails name pictures by their public address.
    "img-src": [
        *("'self'", "data:", "blob:", settings.SITE_URL),
        *(f"https://{host}" for host in settings.IMAGE_HOSTS),
    ],
    "font-src": ["'self'"],
    "connect-src": ["'self'"],
    "frame-src": ["'self'"],
}


def admin_policy(get_response: View) -> View:
    """Middleware; stands below that of django-csp, which writes the header."""
    answer_admin = csp_replace(POLICY)(get_response)

    def middleware(request: HttpRequest) -> HttpResponseBase:
        inside = request.path_info.startswith(reverse("admin:index"))
        return answer_admin(request) if inside else get_response(request)

    return middleware
