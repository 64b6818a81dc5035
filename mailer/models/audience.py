"""Who of an edition's readers gets what, and when."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from iria_news.articles.models import Language
from mailer.models.editions import Edition
from subscribers.models import Subscriber


class CohortQuerySet(models.QuerySet["Cohort"]):
    def unrendered(self) -> CohortQuerySet:
        return self.filter(message__isnull=True)


class Cohort(models.Model):
    """The readers of an edition who get the same body; rendered once."""

    edition = models.ForeignKey(Edition, models.CASCADE, related_name="cohorts")
    language = models.CharField(max_length=5, choices=Language)
    list = models.BigIntegerField()  # sum of its articles' bits
    corrections = models.BigIntegerField(default=0, db_default=0)  # sum of their bits
    is_text = models.BooleanField(default=False, db_default=False)  # one part, without HTML
    size = models.PositiveIntegerField(default=0)
    message = models.BinaryField(null=True)  # a compiled message; null until rendered
    inlinings = models.PositiveSmallIntegerField(default=0)  # how often premailer ran for it
    error = models.CharField(max_length=300, blank=True)
    claimed_until = models.DateTimeField(null=True)  # a worker is rendering it

    objects = CohortQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["edition", "language", "list", "corrections", "is_text"],
                name="same_body_same_cohort",
            ),
        ]
        indexes = [  # or claiming the last of ten thousand would read all of them
            models.Index(
                fields=["edition", "id"],
                name="cohorts_unrendered",
                condition=Q(message__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"Cohort {self.pk} of edition {self.edition_id}"


class Wave(models.Model):
    """The part of an edition released at one moment."""

    edition = models.ForeignKey(Edition, models.CASCADE, related_name="waves")
    release_at = models.DateTimeField()
    label = models.CharField(max_length=60, blank=True)

    class Meta:
        ordering = ["release_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["edition", "release_at"], name="equal_instants_are_one_wave"
            ),
        ]

    def __str__(self) -> str:
        return f"Wave {self.pk} of edition {self.edition_id}"


class CatchUp(models.Model):
    """A reader who is back from a pause, and the edition that catches up with it.

    There is one for each pause: that is how nobody gets a second, and how those with nothing left
    to read are not asked about again.
    """

    subscriber = models.ForeignKey(
        Subscriber, models.CASCADE, db_constraint=False, db_index=False, related_name="catch_ups"
    )
    paused_until = models.DateTimeField()
    edition = models.ForeignKey(Edition, models.CASCADE, db_index=False, related_name="catch_ups")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["subscriber", "paused_until"], name="a_pause_is_caught_up_with_once"
            ),
        ]
        # An edition reads its readers in the order of their numbers, page by page.
        indexes = [models.Index(fields=["edition", "subscriber"], name="catch_ups_by_edition")]

    def __str__(self) -> str:
        return f"Catch-up of subscriber {self.subscriber_id} by edition {self.edition_id}"
