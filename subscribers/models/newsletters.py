"""What one subscribes to: a product with a cadence and a look."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from iria_news.articles.models import Language, Topic


class Cadence(models.TextChoices):
    AT_ONCE = "at_once", "at once, when an article is published"
    DAILY = "daily", "every day"
    WEEKDAYS = "weekdays", "Monday to Friday"
    WEEKLY = "weekly", "once a week"


class Weekday(models.IntegerChoices):
    MONDAY = 0  # as datetime.date.weekday()
    TUESDAY = 1
    WEDNESDAY = 2
    THURSDAY = 3
    FRIDAY = 4
    SATURDAY = 5
    SUNDAY = 6


class Look(models.TextChoices):
    DIGEST = "digest", "a digest: contents, a lead, then a section for each topic"
    ALERT = "alert", "an alert: one article, no picture"


class InDoubt(models.TextChoices):
    RESEND = "resend", "send again, with the same Message-ID: may double, never loses"
    HOLD = "hold", "hold for a person: may lose, never doubles"


class Approval(models.TextChoices):
    AUTOMATIC = "automatic", "leaves by itself when its slot is due"
    PERSON = "person", "waits until somebody with the right approves it"


OFFERED = Q(is_active=True, is_private=False)


class NewsletterQuerySet(models.QuerySet["Newsletter"]):
    def offered(self) -> NewsletterQuerySet:
        """What anybody may join: active and not private."""
        return self.filter(OFFERED)


class Newsletter(models.Model):
    """A product with a cadence and a look: IRIA Alerts, IRIA Daily, IRIA Weekly."""

    name = models.CharField(max_length=60, unique=True)
    slug = models.SlugField(
        max_length=60,
        unique=True,
        help_text="Part of addresses and of the List-Id. Mail filters of readers rely on it: "
        "keep it when the newsletter is renamed.",
    )
    description = models.CharField(
        max_length=200, help_text="One sentence for readers, shown beside the tick box."
    )
    look = models.CharField(max_length=6, choices=Look, default=Look.DIGEST)
    language = models.CharField(max_length=5, choices=Language, default=Language.ENGLISH)
    topics = models.ManyToManyField(
        Topic, blank=True, help_text="What it carries. None chosen means all topics."
    )

    cadence = models.CharField(max_length=8, choices=Cadence, default=Cadence.DAILY)
    weekday = models.PositiveSmallIntegerField(
        choices=Weekday, null=True, blank=True, help_text="Only for a weekly cadence."
    )
    wall_time = models.TimeField(
        null=True, blank=True, help_text="When it leaves, as a clock on the wall of the zone shows."
    )
    zone = models.CharField(
        max_length=40, default="UTC", help_text="IANA time zone, for example Europe/Berlin."
    )
    min_articles = models.PositiveSmallIntegerField(
        default=1, help_text="With fewer new articles the slot is skipped."
    )
    max_articles = models.PositiveSmallIntegerField(default=30, help_text="At most 62.")
    look_back_days = models.PositiveSmallIntegerField(
        default=8,
        help_text="How old an article may be and still be news to a reader: 1 to 366 days.",
    )
    approval = models.CharField(max_length=9, choices=Approval, default=Approval.AUTOMATIC)
    in_doubt = models.CharField(
        max_length=6,
        choices=InDoubt,
        default=InDoubt.RESEND,
        help_text="What to do when a server never answered whether it took a mail.",
    )
    server = models.CharField(
        "submission server",
        max_length=40,
        default="default",
        help_text="Which of the configured servers takes its mails.",
    )
    is_active = models.BooleanField(
        default=True, help_text="Off: no new edition is opened and nobody can join."
    )
    is_private = models.BooleanField(
        default=False, help_text="Invisible to the public; cannot be joined by a form."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = NewsletterQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(cadence=Cadence.AT_ONCE) | Q(wall_time__isnull=False),
                name="a_cadence_has_a_wall_time",
                violation_error_message="Give the wall time at which it leaves.",
            ),
            models.CheckConstraint(
                condition=~Q(cadence=Cadence.WEEKLY) | Q(weekday__isnull=False),
                name="a_weekly_cadence_has_a_weekday",
                violation_error_message="Give the weekday on which it leaves.",
            ),
            models.CheckConstraint(
                condition=Q(look_back_days__gte=1, look_back_days__lte=366),
                name="a_look_back_is_1_to_366_days",
                violation_error_message="Look back at least 1 day and at most 366.",
            ),
            models.CheckConstraint(
                condition=Q(max_articles__gte=1, max_articles__lte=62)
                & Q(min_articles__gte=1, min_articles__lte=models.F("max_articles")),
                name="an_edition_has_1_to_62_articles",
                violation_error_message="An edition has at least 1 and at most 62 articles.",
            ),
        ]

    def __str__(self) -> str:
        return self.name
