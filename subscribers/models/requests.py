"""What was typed into a form and is not yet looked at: the page answers before anybody knows it."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

TRY_AGAIN_AFTER = timedelta(hours=1)


class RequestKind(models.TextChoices):
    JOIN = "join"  # newsletters and topics
    LINK = "link"  # the mail with the preferences link


class SignUpRequestQuerySet(models.QuerySet["SignUpRequest"]):
    def waiting(self) -> SignUpRequestQuerySet:
        """To be acted on: untried, or failed an hour ago."""
        return self.filter(Q(failed_at__isnull=True) | Q(failed_at__lt=Now() - TRY_AGAIN_AFTER))


class SignUpRequest(models.Model):
    """One accepted form. A worker acts on it and deletes it, whatever is known of the address.

    So the page takes equally long for every address: it has not looked (W5).
    """

    kind = models.CharField(max_length=4, choices=RequestKind, default=RequestKind.JOIN)
    address = models.CharField(max_length=254)
    newsletters = models.JSONField(default=list)  # numbers
    topics = models.JSONField(default=list)  # numbers
    language = models.CharField(max_length=5, blank=True)
    source = models.CharField(max_length=200)
    wording = models.CharField(max_length=20, blank=True)
    at = models.DateTimeField(db_default=Now())
    failed_at = models.DateTimeField(
        null=True, blank=True, help_text="When acting on it failed; the others went on."
    )

    objects = SignUpRequestQuerySet.as_manager()

    def __str__(self) -> str:
        return f"Sign-up request {self.pk}"
