"""Mails that a person asked for by an act of theirs. The rows are the queue."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from subscribers.models.newsletters import Newsletter
from subscribers.models.people import Subscriber


class ServiceMailKind(models.TextChoices):
    CONFIRMATION = "confirmation"  # double opt-in
    INVITATION = "invitation"  # double opt-in to a private newsletter; its link confirms as well
    WELCOME = "welcome"  # after the confirmation, with the latest edition
    PREFERENCES = "preferences"  # "mail me my link", and the notice to those already with us
    NEW_ADDRESS = "new_address"  # to the new address: is it yours?
    OLD_ADDRESS = "old_address"  # to the old one: it has been changed


class ServiceMailState(models.TextChoices):
    WAITING = "waiting"  # asked for, or to be tried again at not_before
    SENDING = "sending"  # the intent is committed; a dead worker's row is taken up again
    SENT = "sent"  # the submission server has it
    FAILED = "failed"  # refused for good, or too late to be of use


class ServiceMailQuerySet(models.QuerySet["ServiceMail"]):
    def confirmations(self) -> ServiceMailQuerySet:
        """Mails whose link begins what was asked for."""
        return self.filter(kind__in=[ServiceMailKind.CONFIRMATION, ServiceMailKind.INVITATION])

    def unused(self) -> ServiceMailQuerySet:
        """Whose link, if it works once, still works."""
        return self.filter(used_at__isnull=True)

    def due(self) -> ServiceMailQuerySet:
        return self.filter(state=ServiceMailState.WAITING, not_before__lte=Now())

    def left_behind(self) -> ServiceMailQuerySet:
        """In flight for too long: `not_before` is then when its worker is taken for dead."""
        return self.filter(state=ServiceMailState.SENDING, not_before__lte=Now())


class ServiceMail(models.Model):
    """One mail that a person asked for by an act of theirs. The row is the queue."""

    subscriber = models.ForeignKey(Subscriber, models.CASCADE, related_name="service_mails")
    kind = models.CharField(max_length=12, choices=ServiceMailKind)
    newsletter = models.ForeignKey(
        Newsletter,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        help_text="Of an invitation or a welcome.",
    )
    to_address = models.CharField(
        max_length=254, blank=True, help_text="Where it goes if not to the subscriber's address."
    )
    state = models.CharField(
        max_length=7, choices=ServiceMailState, default=ServiceMailState.WAITING
    )
    asked_at = models.DateTimeField(db_default=Now())
    not_before = models.DateTimeField(db_default=Now())
    attempts = models.PositiveSmallIntegerField(default=0)
    reason = models.CharField(max_length=40, blank=True, help_text="Reply code of the last try.")
    settled_at = models.DateTimeField(null=True, blank=True)
    used_at = models.DateTimeField(
        null=True, blank=True, help_text="When the link in it was used, if it works once."
    )

    objects = ServiceMailQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(
                fields=["not_before"], name="service_mails_open", condition=Q(state="waiting")
            ),
            models.Index(fields=["subscriber", "kind", "asked_at"], name="service_mails_by_person"),
        ]

    def __str__(self) -> str:
        return f"Service mail {self.pk}: {self.kind}"
