"""A file of readers on its way in: looked at, then applied; undone as a whole if need be."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import models
from django.db.models.functions import Now

from iria_news.articles.models import Topic
from subscribers.models.newsletters import Newsletter


class ImportState(models.TextChoices):
    CHECKING = "checking"  # a worker reads the file; nothing is written
    CHECKED = "checked"  # `counts` says what applying would do
    APPLYING = "applying"
    APPLIED = "applied"
    UNDOING = "undoing"
    UNDONE = "undone"
    FAILED = "failed"  # see `error`; what was written stays, and can be undone


class Proof(models.TextChoices):
    ASK = "ask", "Ask each reader to confirm by mail"
    KEPT = "kept", "Each row carries where and when its reader agreed"


class SubscriberImport(models.Model):
    """One file. Its rows may hold addresses, so the file goes when the import is settled."""

    name = models.CharField(max_length=200, help_text="Of the file, as its sender called it.")
    path = models.CharField(max_length=300, blank=True, help_text="Below DATA_DIR/imports.")
    source = models.CharField(
        max_length=200,
        help_text="Where these readers agreed, for example: paper form, conference of May 2026.",
    )
    proof = models.CharField(max_length=4, choices=Proof, default=Proof.ASK)
    newsletters = models.ManyToManyField(Newsletter, related_name="+")
    topics = models.ManyToManyField(
        Topic,
        blank=True,
        related_name="+",
        help_text="For rows that name none. None chosen means all.",
    )
    state = models.CharField(max_length=8, choices=ImportState, default=ImportState.CHECKING)
    rows = models.PositiveIntegerField(default=0, help_text="In the file, without its head.")
    progress = models.PositiveIntegerField(default=0, help_text="Rows done in the present state.")
    counts = models.JSONField(default=dict)  # what became of the rows -> how many
    refused_path = models.CharField(max_length=300, blank=True)
    error = models.CharField(max_length=300, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)  # a worker is at it
    created_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    applied_at = models.DateTimeField(null=True, blank=True)
    undone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name = "import"
        permissions = [
            ("import_subscribers", "Can import subscribers from a file"),
            ("export_subscribers", "Can export subscribers to a file"),
        ]

    def __str__(self) -> str:
        return f"Import {self.pk}: {self.name}"
