"""The desk of those who look after readers."""

from subscribers.admin import api_keys, holidays, imports, people, records, suppressions, webhooks
from subscribers.admin.newsletters import NewsletterAdmin
from subscribers.admin.people import subscribers_of

__all__ = [
    "NewsletterAdmin",
    "api_keys",
    "holidays",
    "imports",
    "people",
    "records",
    "subscribers_of",
    "suppressions",
    "webhooks",
]
