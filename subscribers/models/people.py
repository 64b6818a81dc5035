"""A person's address, and that person's places on newsletters."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from iria_news.articles.models import Language, Topic
from subscribers.models.imports import SubscriberImport
from subscribers.models.newsletters import Newsletter


class SubscriberState(models.TextChoices):
    PENDING = "pending"  # asked, has not confirmed; gone after 7 days
    ACTIVE = "active"  # confirmed at least once; what they get depends on their subscriptions
    ERASED = "erased"  # the person is gone from the row; its number stays for old ledgers


class SubscriberQuerySet(models.QuerySet["Subscriber"]):
    def active(self) -> SubscriberQuerySet:
        return self.filter(state=SubscriberState.ACTIVE)


class Subscriber(models.Model):
    """A person's address. Two spellings of one address are one row (`address_key`)."""

    address = models.CharField(
        max_length=254, blank=True, help_text="As the reader typed it; that is what we write to."
    )
    address_key = models.CharField(
        max_length=254,
        null=True,
        unique=True,
        help_text="NFC, domain as lower-case A-label, local part folded: for comparing only.",
    )
    address_hash = models.CharField(
        max_length=64, blank=True, help_text="Keyed hash of address_key: what a suppression holds."
    )
    name = models.CharField(max_length=64, blank=True)
    language = models.CharField(max_length=5, choices=Language, default=Language.ENGLISH)
    state = models.CharField(max_length=7, choices=SubscriberState, default=SubscriberState.PENDING)
    created_at = models.DateTimeField(db_default=Now())
    confirmed_at = models.DateTimeField(null=True, blank=True)
    imported_by = models.ForeignKey(
        SubscriberImport,
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        db_index=False,
        db_constraint=False,  # or each row of an import is looked up there
        related_name="+",
    )

    # --- how they want their mails ---
    zone = models.CharField(
        max_length=40,
        blank=True,
        db_default="",
        help_text="IANA time zone of the reader. Empty: that of each newsletter.",
    )
    hour = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        help_text="0 to 23, on the reader's clock. Empty: when each newsletter leaves.",
    )
    wants_text = models.BooleanField(
        "text only", default=False, db_default=False, help_text="Mails without HTML."
    )
    refuses_tracking = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Clicks are left out of every sum, should a newsletter ever count them.",
    )
    paused_from = models.DateTimeField(null=True, blank=True)
    paused_until = models.DateTimeField(
        null=True,
        blank=True,
        help_text="No edition due before this instant. Articles published before are no news.",
    )
    wants_catch_up = models.BooleanField(
        default=True, db_default=True, help_text="One mail after a pause with the best of it."
    )

    objects = SubscriberQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state=SubscriberState.ERASED)
                | (~Q(address="") & ~Q(address_hash="") & Q(address_key__isnull=False)),
                name="only_the_erased_have_no_address",
            ),
            models.CheckConstraint(
                condition=~Q(state=SubscriberState.ACTIVE) | Q(confirmed_at__isnull=False),
                name="nobody_is_active_without_confirmation",
            ),
            models.CheckConstraint(
                condition=Q(hour__isnull=True) | Q(hour__lte=23), name="an_hour_is_0_to_23"
            ),
            models.CheckConstraint(
                condition=Q(paused_from__isnull=True, paused_until__isnull=True)
                | Q(paused_from__lt=models.F("paused_until")),
                name="a_pause_has_two_ends",
            ),
        ]
        indexes = [
            # A bounce knows the mark of an address, not its reader.
            models.Index(fields=["address_hash"], name="subscribers_by_hash"),
            models.Index(
                fields=["paused_until"],
                name="subscribers_who_paused",
                condition=Q(paused_until__isnull=False),
            ),
            models.Index(
                fields=["imported_by"],
                name="subscribers_by_import",
                condition=Q(imported_by__isnull=False),
            ),
        ]
        permissions = [
            ("mail_link_to_subscriber", "Can mail a subscriber their preferences link"),
            ("download_subscriber", "Can download all we know of a subscriber"),
            ("erase_subscriber", "Can erase a subscriber"),
        ]

    def __str__(self) -> str:
        return f"Subscriber {self.pk}"  # never the address: this lands in logs


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def open(self) -> SubscriptionQuerySet:
        """Not ended, confirmed or not."""
        return self.filter(ended_at__isnull=True)

    def asked_for(self) -> SubscriptionQuerySet:
        """Waiting for its confirmation."""
        return self.open().filter(confirmed_at__isnull=True)

    def active(self) -> SubscriptionQuerySet:
        """Confirmed and not ended, of a person who is still there."""
        return self.filter(
            confirmed_at__isnull=False,
            ended_at__isnull=True,
            subscriber__state=SubscriberState.ACTIVE,
        )


class Subscription(models.Model):
    """A person's place on one newsletter. Ended ones stay: they are history."""

    subscriber = models.ForeignKey(Subscriber, models.CASCADE, related_name="subscriptions")
    newsletter = models.ForeignKey(Newsletter, models.PROTECT, related_name="subscriptions")
    created_at = models.DateTimeField(db_default=Now())
    confirmed_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(
        max_length=20, blank=True, help_text="one-click, page, preferences, complaint ..."
    )
    topics = models.ManyToManyField(Topic, through="SubscriptionTopic", related_name="+")
    imported_by = models.ForeignKey(
        SubscriberImport,
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        db_index=False,
        db_constraint=False,  # or each row of an import is looked up there
        related_name="+",
    )

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["newsletter", "subscriber"],
                condition=Q(ended_at__isnull=True),
                name="one_open_subscription_per_newsletter",
            ),
        ]
        indexes = [
            models.Index(
                fields=["imported_by"],
                name="subscriptions_by_import",
                condition=Q(imported_by__isnull=False),
            ),
        ]
        permissions = [
            ("end_subscription", "Can end a subscription on request"),
            ("invite_subscription", "Can invite readers to a private newsletter"),
        ]

    def __str__(self) -> str:
        return f"Subscription {self.pk}"


class SubscriptionTopic(models.Model):
    """A topic that a subscription follows, and since when: older articles are not news to it."""

    subscription = models.ForeignKey(Subscription, models.CASCADE, related_name="follows")
    topic = models.ForeignKey(Topic, models.CASCADE, related_name="+")
    since = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["subscription", "topic"], name="a_topic_is_followed_once"
            ),
        ]

    def __str__(self) -> str:
        return f"Subscription {self.subscription_id} follows topic {self.topic_id}"


class SubscriberNote(models.Model):
    """What staff write down about a reader, for staff. Never mailed, never shown to anybody else.

    It goes into the file of one person's data, for it is about them, and goes with their erasure.
    """

    subscriber = models.ForeignKey(Subscriber, models.CASCADE, related_name="notes")
    text = models.CharField(max_length=1000)
    author = models.ForeignKey(User, models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-at", "-pk"]

    def __str__(self) -> str:
        return f"Note {self.pk} on subscriber {self.subscriber_id}"
