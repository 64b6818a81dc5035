"""How the admin presents itself: name, colours, sidebar.

The settings import this module, so whatever needs settings stands in a function.
"""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def environment(_request: HttpRequest) -> tuple[str, str] | None:
    """The label at the top of every page, so that nobody mistakes a trial for the real thing."""
    if settings.USES_MAIL_CATCHER:
        return "Trial: mail stays here", "info"
    if settings.DEBUG:
        return "Development", "warning"
    return None


def _who_may(permission: str) -> Callable[[HttpRequest], bool]:
    return lambda request: request.user.has_perm(permission)


def _entry(title: str, icon: str, model: str) -> dict[str, Any]:
    """A line of the sidebar: the list of a model, for those who may see it."""
    app, name = model.split(".")
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{name}_changelist"),
        "permission": _who_may(f"{app}.view_{name}"),
    }


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": lambda _request: settings.SITE_NAME,
    "SITE_HEADER": lambda _request: settings.SITE_NAME,
    "SITE_SUBHEADER": "Newsroom and distribution",
    "SITE_SYMBOL": "newspaper",
    "SITE_FAVICONS": [{"rel": "icon", "href": lambda _request: static("frame/icon.png")}],
    "STYLES": [lambda _request: static("frame/admin.css")],
    "SCRIPTS": [lambda _request: static("frame/countdown.js")],
    "ENVIRONMENT": "iria_news.frame.unfold.environment",
    # A dotted name, because the page shows what is further downstream than we may know.
    "DASHBOARD_CALLBACK": "mailer.admin_today.dashboard",
    "COLORS": {
        "primary": {
            "50": "#fbf3f4",
            "100": "#f6e3e5",
            "200": "#ecc6ca",
            "300": "#e7abb2",
            "400": "#e49aa2",
            "500": "#e08a93",  # text on dark
            "600": "#7a1f2b",  # text on light, and the main button
            "700": "#671a24",
            "800": "#54151e",
            "900": "#431219",
            "950": "#2a0b10",
        }
    },
    "SIDEBAR": {
        "navigation": [
            {
                "items": [
                    {"title": "Today", "icon": "today", "link": reverse_lazy("admin:index")},
                ]
            },
            {
                "title": "Newsroom",
                "items": [
                    _entry("Articles", "article", "articles.article"),
                    _entry("Topics", "topic", "articles.topic"),
                ],
            },
            {
                "title": "Distribution",
                "items": [
                    _entry("Editions", "outgoing_mail", "mailer.edition"),
                    {
                        "title": "Calendar",
                        "icon": "calendar_month",
                        "link": reverse_lazy("admin:mailer_edition_calendar"),
                        "permission": _who_may("mailer.view_edition"),
                    },
                    _entry("Newsletters", "newsmode", "subscribers.newsletter"),
                    _entry("Holidays", "event_busy", "subscribers.holiday"),
                    _entry("Lanes", "speed", "mailer.throttle"),
                    _entry("Warm-up", "trending_up", "mailer.warmupday"),
                ],
            },
            {
                "title": "Readers",
                "items": [
                    _entry("Subscribers", "group", "subscribers.subscriber"),
                    {
                        "title": "Imports",
                        "icon": "upload_file",
                        "link": reverse_lazy("admin:subscribers_subscriberimport_changelist"),
                        "permission": _who_may("subscribers.import_subscribers"),
                    },
                    _entry("Suppressions", "block", "subscribers.suppression"),
                    _entry("Consent", "fact_check", "subscribers.consentevent"),
                    _entry("Service mails", "mark_email_read", "subscribers.servicemail"),
                ],
            },
            {
                "title": "Programs of others",
                "items": [
                    _entry("API keys", "key", "subscribers.apikey"),
                    _entry("Webhooks", "webhook", "subscribers.webhookendpoint"),
                    _entry("Webhook calls", "call_made", "subscribers.webhookcall"),
                ],
            },
            {
                "title": "Staff",
                "items": [
                    _entry("Users", "badge", "auth.user"),
                    _entry("Groups", "groups", "auth.group"),
                ],
            },
        ]
    },
}
