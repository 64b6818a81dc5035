"""People and what they asked for: newsletters, topics, consent. Knows no editions."""

from subscribers.models.consent import (
    ConsentEvent,
    ConsentKind,
    Leaving,
    LeavingReason,
    Suppression,
    SuppressionReason,
)
from subscribers.models.imports import (
    ImportState,
    Proof,
    SubscriberImport,
)
from subscribers.models.integrations import (
    ApiKey,
    CallState,
    EventKind,
    WebhookCall,
    WebhookCallQuerySet,
    WebhookEndpoint,
    WebhookEvent,
)
from subscribers.models.mailboxes import (
    FormerAddress,
    Mailbox,
)
from subscribers.models.newsletters import (
    Approval,
    Cadence,
    Holiday,
    InDoubt,
    Look,
    Missed,
    MonthWeek,
    Newsletter,
    NewsletterQuerySet,
    Weekday,
)
from subscribers.models.people import (
    Subscriber,
    SubscriberNote,
    SubscriberQuerySet,
    SubscriberState,
    Subscription,
    SubscriptionQuerySet,
    SubscriptionTopic,
)
from subscribers.models.requests import (
    RequestKind,
    SignUpRequest,
)
from subscribers.models.service_mails import (
    ServiceMail,
    ServiceMailKind,
    ServiceMailQuerySet,
    ServiceMailState,
)

__all__ = [
    "ApiKey",
    "Approval",
    "Cadence",
    "CallState",
    "ConsentEvent",
    "ConsentKind",
    "EventKind",
    "FormerAddress",
    "Holiday",
    "ImportState",
    "InDoubt",
    "Leaving",
    "LeavingReason",
    "Look",
    "Mailbox",
    "Missed",
    "MonthWeek",
    "Newsletter",
    "NewsletterQuerySet",
    "Proof",
    "RequestKind",
    "ServiceMail",
    "ServiceMailKind",
    "ServiceMailQuerySet",
    "ServiceMailState",
    "SignUpRequest",
    "Subscriber",
    "SubscriberImport",
    "SubscriberNote",
    "SubscriberQuerySet",
    "SubscriberState",
    "Subscription",
    "SubscriptionQuerySet",
    "SubscriptionTopic",
    "Suppression",
    "SuppressionReason",
    "WebhookCall",
    "WebhookCallQuerySet",
    "WebhookEndpoint",
    "WebhookEvent",
    "Weekday",
]
