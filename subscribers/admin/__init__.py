"""The desk of those who look after readers."""

from subscribers.admin import people, records, suppressions
from subscribers.admin.newsletters import NewsletterAdmin
from subscribers.admin.people import subscribers_of

__all__ = ["NewsletterAdmin", "people", "records", "subscribers_of", "suppressions"]
