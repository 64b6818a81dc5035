"""What was typed into a form and is not yet looked at: the page answers before anybody knows it."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class RequestKind(models.TextChoices):
    JOIN = "join"  # newsletters and topics
    LINK = "link"  # the mail with the preferences link


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

    def __str__(self) -> str:
        return f"Sign-up request {self.pk}"
