"""The queue of record and the ledger: batches that workers lease, a row for each recipient."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from mailer.models.audience import Cohort, Wave
from mailer.models.editions import Edition
from subscribers.models import Subscriber


class BatchState(models.TextChoices):
    READY = "ready"  # may be leased from not_before on
    LEASED = "leased"  # a worker has it until leased_until
    DONE = "done"  # every delivery in it is settled
    STUCK = "stuck"  # lost five times in a row: a person must look


class BatchQuerySet(models.QuerySet["Batch"]):
    def unfinished(self) -> BatchQuerySet:
        """What workers have to do, now or later; a stuck one waits for a person instead."""
        return self.filter(state__in=[BatchState.READY, BatchState.LEASED])

    def released(self) -> BatchQuerySet:
        """Of waves whose moment has come."""
        return self.filter(wave__release_at__lte=Now())


class Batch(models.Model):
    """At most 200 deliveries of one wave: what a worker leases."""

    edition = models.ForeignKey(Edition, models.CASCADE, related_name="batches")
    wave = models.ForeignKey(Wave, models.CASCADE, related_name="batches")
    first = models.BigIntegerField()  # its first subscriber: makes a page of the freeze repeatable
    state = models.CharField(max_length=6, choices=BatchState, default=BatchState.READY)
    not_before = models.DateTimeField()
    lease = models.PositiveIntegerField(default=0)  # number of the present lease: the fence
    leased_by = models.CharField(max_length=80, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    losses = models.PositiveSmallIntegerField(default=0)  # leases lost in a row
    # For progress bars only; the truth is a count of deliveries.
    size = models.PositiveSmallIntegerField()
    sent = models.PositiveSmallIntegerField(default=0)
    failed = models.PositiveSmallIntegerField(default=0)
    skipped = models.PositiveSmallIntegerField(default=0)
    uncertain = models.PositiveSmallIntegerField(default=0)

    objects = BatchQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "batches"
        constraints = [
            models.UniqueConstraint(fields=["edition", "first"], name="a_batch_is_planned_once"),
        ]
        indexes = [
            models.Index(
                fields=["edition", "not_before", "id"],
                name="batches_ready",
                condition=Q(state="ready"),
            ),
            models.Index(fields=["id"], name="batches_leased", condition=Q(state="leased")),
        ]

    def __str__(self) -> str:
        return f"Batch {self.pk} of edition {self.edition_id}"


class DeliveryState(models.TextChoices):
    PENDING = "pending"  # to be sent; with attempts > 0, to be tried again
    SENDING = "sending"  # the intent is committed; the message may be on the wire
    SENT = "sent"  # the submission server answered 250: wins over every other state
    FAILED = "failed"  # refused for good, or expired; reason says which
    SKIPPED = "skipped"  # permission ended after the freeze
    CANCELLED = "cancelled"  # a person stopped the edition
    UNCERTAIN = "uncertain"  # nobody knows whether the server has it; waits for a person


OPEN = [DeliveryState.PENDING, DeliveryState.SENDING]
# Anything else gives its articles back to the reader's next edition.
COUNTS_AS_RECEIVED = [
    DeliveryState.PENDING,
    DeliveryState.SENDING,
    DeliveryState.SENT,
    DeliveryState.UNCERTAIN,
]


class Delivery(models.Model):
    """One edition on its way to one recipient. There is never a second: that is its key.

    No address stands here; it is read in the statement that records the intent. The foreign keys
    have no constraint in the database: a million rows come from one INSERT ... SELECT over the
    tables they point to, and the freeze proves the count before anything leaves.
    """

    pk = models.CompositePrimaryKey("edition_id", "subscriber_id")
    edition = models.ForeignKey(
        Edition, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    subscriber = models.ForeignKey(
        Subscriber, models.DO_NOTHING, db_constraint=False, related_name="deliveries"
    )
    batch = models.ForeignKey(
        Batch, models.DO_NOTHING, db_constraint=False, related_name="deliveries"
    )
    cohort = models.ForeignKey(
        Cohort, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    state = models.CharField(max_length=9, choices=DeliveryState, default=DeliveryState.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    reason = models.CharField(max_length=40, blank=True, default="")
    rule = models.CharField(
        max_length=24, blank=True, default="", help_text="The rule of mailer.replies that decided."
    )
    retry_at = models.DateTimeField(null=True, blank=True)  # pending, and not to be tried before
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"

    def __str__(self) -> str:
        return f"Delivery of edition {self.edition_id} to subscriber {self.subscriber_id}"


class EventKind(models.TextChoices):
    DEFERRED = "deferred"  # refused for now; tried again later
    FAILED = "failed"  # refused for good
    UNCERTAIN = "uncertain"  # the answer never came, and the newsletter holds such mails
    RESENT = "resent"  # the answer never came, and the same message goes out again
    RESOLVED = "resolved"  # a person decided


class DeliveryEvent(models.Model):
    """What happened to a delivery besides being sent at the first try. Never an address."""

    edition = models.ForeignKey(Edition, models.CASCADE, related_name="events")
    subscriber = models.ForeignKey(Subscriber, models.CASCADE, related_name="+")
    at = models.DateTimeField(db_default=Now())
    kind = models.CharField(max_length=9, choices=EventKind)
    code = models.CharField(max_length=40, blank=True)
    text = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["edition", "subscriber"], name="events_by_delivery"),
            models.Index(fields=["at"], name="events_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.kind}, edition {self.edition_id}, subscriber {self.subscriber_id}"
