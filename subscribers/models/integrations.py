"""Programs of others: keys with which they call us, and addresses at which we call them."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import models
from django.db.models.functions import Now

from subscribers.models.people import Subscriber


class ApiKey(models.Model):
    """A key to the API. Only its hash is kept; the prefix tells keys apart."""

    name = models.CharField(max_length=60, unique=True, help_text="Who uses it, and for what.")
    prefix = models.CharField(max_length=12, unique=True, editable=False)
    secret_hash = models.CharField(max_length=64, editable=False)  # SHA-256 of 256 random bits
    scopes = models.JSONField(default=list, help_text="What it may do.")
    origins = models.JSONField(
        default=list, blank=True, help_text="Web pages whose scripts may use it (CORS)."
    )
    per_minute = models.PositiveSmallIntegerField(default=60, help_text="Requests.")
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "API key"

    def __str__(self) -> str:
        return self.name


class EventKind(models.TextChoices):
    SUBSCRIBED = "subscriber.subscribed", "asked for newsletters, not confirmed yet"
    CONFIRMED = "subscriber.confirmed", "confirmed what was asked for"
    CHANGED = "subscriber.changed", "chose newsletters or topics anew"
    UNSUBSCRIBED = "subscriber.unsubscribed", "left a newsletter"
    BOUNCED = "subscriber.bounced", "the mailbox is gone"
    COMPLAINED = "subscriber.complained", "reported a mail as spam"
    ERASED = "subscriber.erased", "asked to be erased; the number only"
    EDITION_SENT = "edition.sent", "an edition is done"
    TEST = "webhook.test", "somebody pressed “Send a test”"


class WebhookEndpoint(models.Model):
    """An address that is told what happens, by signed POST (Standard Webhooks)."""

    name = models.CharField(max_length=60, unique=True)
    url = models.URLField(max_length=500, help_text="https only; never a private address.")
    secret = models.CharField(
        max_length=80, editable=False, help_text="whsec_...; both sides sign and check with it."
    )
    previous_secret = models.CharField(
        max_length=80, blank=True, db_default="", default="", editable=False
    )
    previous_until = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Until then both secrets sign."
    )
    events = models.JSONField(default=list, help_text="What it wants to be told.")
    is_active = models.BooleanField(default=True)
    off_because = models.CharField(max_length=200, blank=True, editable=False)
    failing_since = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="The first failure after the last success."
    )
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+", editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return self.name


class WebhookEvent(models.Model):
    """What happened, as every endpoint is told it. Goes with the erasure of its subscriber."""

    uid = models.CharField(max_length=40, unique=True, help_text="The webhook-id: msg_...")
    kind = models.CharField(max_length=24, choices=EventKind)
    subscriber = models.ForeignKey(
        Subscriber, models.CASCADE, null=True, blank=True, related_name="+"
    )
    payload = models.JSONField()
    at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["at"], name="webhook_events_by_age")]

    def __str__(self) -> str:
        return f"{self.kind} {self.uid}"


class CallState(models.TextChoices):
    WAITING = "waiting"  # to be made, or made again, at not_before
    CALLING = "calling"  # a worker is at it; not_before is when it is taken for dead
    TAKEN = "taken"  # answered 2xx
    GIVEN_UP = "given_up"


class WebhookCallQuerySet(models.QuerySet["WebhookCall"]):
    def due(self) -> WebhookCallQuerySet:
        """To be made now. What an endpoint that is off should have been told waits for it."""
        return self.filter(state=CallState.WAITING, not_before__lte=Now(), endpoint__is_active=True)

    def left_behind(self) -> WebhookCallQuerySet:
        """Under way for too long: `not_before` is then when its worker is taken for dead."""
        return self.filter(state=CallState.CALLING, not_before__lte=Now())


class WebhookCall(models.Model):
    """One event on its way to one endpoint. The rows are the queue and the log."""

    endpoint = models.ForeignKey(WebhookEndpoint, models.CASCADE, related_name="calls")
    event = models.ForeignKey(WebhookEvent, models.CASCADE, related_name="calls")
    state = models.CharField(max_length=8, choices=CallState, default=CallState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    not_before = models.DateTimeField(db_default=Now())
    answer = models.CharField(max_length=120, blank=True, help_text="Of the last try, in words.")
    settled_at = models.DateTimeField(null=True, blank=True)

    objects = WebhookCallQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "event"], name="an_endpoint_is_told_once"),
        ]
        indexes = [
            models.Index(
                fields=["state", "endpoint", "not_before"], name="webhook_calls_by_endpoint"
            ),
        ]

    def __str__(self) -> str:
        return f"Webhook call {self.pk}"
