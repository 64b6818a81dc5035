"""Keyed hashes that outlive a row about a person, so that a limit and a "no" outlive it, too."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from subscribers.models.people import Subscriber


class Mailbox(models.Model):
    """How many mails went to one mailbox that anybody can cause, whoever it was that asked.

    Of all spellings that usually reach it (`limits.mailbox`), for a year after the last mail. So
    the limits hold when the rows about its owner are long forgotten.
    """

    mark = models.CharField(max_length=64, unique=True, help_text="A keyed hash.")
    unanswered = models.PositiveSmallIntegerField(
        default=0, help_text="Mails that asked for a press of a button since the last press."
    )
    # The last three, for there are three a day; NULL: there were not so many.
    last_at = models.DateTimeField(db_default=Now())
    second_last_at = models.DateTimeField(null=True, blank=True)
    third_last_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "mailboxes"
        indexes = [models.Index(fields=["last_at"], name="mailboxes_by_last_mail")]

    def __str__(self) -> str:
        return f"Mailbox {self.pk}"


class FormerAddress(models.Model):
    """That a reader had another address before. No import writes to it; an erasure covers it."""

    subscriber = models.ForeignKey(Subscriber, models.CASCADE, related_name="former_addresses")
    address_hash = models.CharField(max_length=64, help_text="As Subscriber.address_hash.")
    left_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "former addresses"
        constraints = [
            models.UniqueConstraint(
                fields=["address_hash", "subscriber"], name="an_address_is_left_once"
            )
        ]

    def __str__(self) -> str:
        return f"Former address {self.pk} of subscriber {self.subscriber_id}"
