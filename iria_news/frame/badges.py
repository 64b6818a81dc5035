"""States as coloured words, in lists and on pages of the admin."""

from django.utils.html import format_html
from django.utils.safestring import SafeString

# The word carries the meaning; the colour only helps to find it.
BADGES = {
    "good": {"published", "active", "sent", "done", "confirmed", "open", "applied", "taken"},
    "moving": {
        *("approved", "freezing", "rendering", "ready", "sending", "leased", "calling"),
        *("checking", "applying", "undoing"),
    },
    "waiting": {
        "checked",
        *("draft", "pending", "paused", "waiting", "deferred", "resent", "asked"),
        *("slowed", "on trial", "due now"),
    },
    "bad": {
        *("failed", "stuck", "uncertain", "withdrawn", "suppressed", "complaint"),
        *("held", "suspended", "failing", "given up", "missed"),
    },
}


def badge(state: str) -> SafeString:
    """A state as a coloured word. A state of no group stays grey."""
    colour = next((name for name, states in BADGES.items() if state in states), "quiet")
    return format_html('<span class="badge badge-{}">{}</span>', colour, state)
