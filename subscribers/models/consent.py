"""What was agreed to and what was stopped: records that outlive the choice itself."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy

from subscribers.models.newsletters import Newsletter
from subscribers.models.people import Subscriber


class ConsentKind(models.TextChoices):
    ASKED = "asked"  # a form was sent; nothing is agreed yet
    CONFIRMED = "confirmed"  # the button behind the mailed link was pressed
    CHANGED = "changed"  # newsletters or topics were chosen anew
    LEFT = "left"  # a subscription was ended by its reader
    SUPPRESSED = "suppressed"  # we stopped: bounce, complaint, operator
    ERASED = "erased"


class ConsentEvent(models.Model):
    """Append-only: what was agreed to, in which words, when, from where."""

    subscriber = models.ForeignKey(Subscriber, models.CASCADE, related_name="consent_events")
    newsletter = models.ForeignKey(Newsletter, models.PROTECT, null=True, blank=True)
    kind = models.CharField(max_length=10, choices=ConsentKind)
    wording = models.CharField(max_length=20, help_text="Version of the words that were shown.")
    language = models.CharField(
        max_length=5, default="en", db_default="en", help_text="In which the words were shown."
    )
    source = models.CharField(max_length=200, help_text="The page, mail or file it came from.")
    topics = models.CharField(max_length=500, blank=True, help_text="Slugs, separated by commas.")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["subscriber", "at"], name="consent_by_subscriber")]

    def __str__(self) -> str:
        return f"{self.kind}, subscriber {self.subscriber_id}"


class SuppressionReason(models.TextChoices):
    GONE = "gone", "the mailbox does not exist (hard bounce)"
    COMPLAINT = "complaint", "the reader reported a mail as spam"
    ERASURE = "erasure", "the reader asked to be erased"
    OPERATOR = "operator", "an operator stopped it"


class Suppression(models.Model):
    """We stopped. A keyed hash, so that it outlives the erasure of the person."""

    address_hash = models.CharField(max_length=64, unique=True)
    reason = models.CharField(max_length=9, choices=SuppressionReason)
    note = models.CharField(max_length=200, blank=True, help_text="Never an address.")
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"Suppression {self.pk}: {self.reason}"


class LeavingReason(models.TextChoices):
    OFTEN = "often", gettext_lazy("Too many mails")
    TOPICS = "topics", gettext_lazy("Not the topics I follow")
    TIME = "time", gettext_lazy("Arrives at the wrong hour")
    HARD = "hard", gettext_lazy("Hard to read")
    NEVER = "never", gettext_lazy("I never asked for it")


class Leaving(models.Model):
    """Why somebody left a newsletter, if they said so. Of whom is not kept, and the day only."""

    newsletter = models.ForeignKey(Newsletter, models.CASCADE, related_name="+")
    reason = models.CharField(max_length=6, choices=LeavingReason)
    on = models.DateField()

    class Meta:
        verbose_name_plural = "leavings"

    def __str__(self) -> str:
        return f"{self.newsletter}: {self.reason}"
