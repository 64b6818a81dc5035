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
    DAYS = "days", "on chosen weekdays"
    WEEKLY = "weekly", "once a week"
    MONTHLY = "monthly", "once a month"


class Weekday(models.IntegerChoices):
    MONDAY = 0  # as datetime.date.weekday()
    TUESDAY = 1
    WEDNESDAY = 2
    THURSDAY = 3
    FRIDAY = 4
    SATURDAY = 5
    SUNDAY = 6


class MonthWeek(models.IntegerChoices):
    FIRST = 1
    SECOND = 2
    THIRD = 3
    FOURTH = 4
    LAST = 5


class Missed(models.TextChoices):
    LATE = "late", "is sent late, if it is not too late"
    SKIP = "skip", "is skipped"


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
        choices=Weekday,
        null=True,
        blank=True,
        help_text="Of a weekly cadence, and of one like “the first Monday of a month”.",
    )
    days = models.PositiveSmallIntegerField(
        "weekdays",
        default=0,
        db_default=0,
        help_text="Of chosen weekdays: the sum of 2^weekday, Monday being 0.",
    )
    month_day = models.PositiveSmallIntegerField(
        "day of the month",
        null=True,
        blank=True,
        help_text="Of a monthly cadence: 1 to 31. In a shorter month, its last day.",
    )
    month_week = models.PositiveSmallIntegerField(
        "week of the month",
        choices=MonthWeek,
        null=True,
        blank=True,
        help_text="Of a monthly cadence on a weekday, such as the first Monday.",
    )
    wall_time = models.TimeField(
        null=True, blank=True, help_text="When it leaves, as a clock on the wall of the zone shows."
    )
    zone = models.CharField(
        max_length=40, default="UTC", help_text="IANA time zone, for example Europe/Berlin."
    )
    missed = models.CharField(
        "a missed slot",
        max_length=4,
        choices=Missed,
        default=Missed.LATE,
        db_default=Missed.LATE.value,
        help_text="What becomes of an edition when the service was off at its time.",
    )
    late_hours = models.PositiveSmallIntegerField(
        default=6,
        db_default=6,
        help_text="How late an edition may still be sent: 1 to 36 hours.",
    )
    draft_hours = models.PositiveSmallIntegerField(
        default=0,
        db_default=0,
        help_text="How long before its slot the draft of an edition is made, for somebody to "
        "work on: 0 to 168 hours. 0: only when it is due.",
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
    grace_minutes = models.PositiveSmallIntegerField(
        default=10,
        db_default=10,
        help_text="How long an approval can be undone, at least, before the first mail leaves: "
        "0 to 1,440 minutes.",
    )
    urgent_per_week = models.PositiveSmallIntegerField(
        default=3,
        db_default=3,
        help_text="How many urgent editions may go out in seven days. 0: none.",
    )
    spread_minutes = models.PositiveSmallIntegerField(
        default=0,
        db_default=0,
        help_text="Send over this span instead of at once: 0 to 1,440 minutes.",
    )
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
    # Since when it has its present days and time. Slots before that were never missed.
    scheduled_since = models.DateTimeField(null=True, blank=True, editable=False)

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
                condition=~Q(cadence=Cadence.DAYS) | Q(days__gte=1, days__lte=127),
                name="chosen_weekdays_are_chosen",
                violation_error_message="Choose at least one weekday.",
            ),
            models.CheckConstraint(
                condition=~Q(cadence=Cadence.MONTHLY)
                | Q(month_day__isnull=False, month_day__range=(1, 31), month_week__isnull=True)
                | Q(month_day__isnull=True, month_week__isnull=False, weekday__isnull=False),
                name="a_monthly_cadence_has_its_day",
                violation_error_message="Give either a day of the month, or a week and a weekday.",
            ),
            models.CheckConstraint(
                condition=Q(late_hours__gte=1, late_hours__lte=36, draft_hours__lte=168)
                & Q(grace_minutes__lte=1440, spread_minutes__lte=1440),
                name="spans_of_a_newsletter_are_sensible",
                violation_error_message="Late by 1 to 36 hours; drafts at most 168 hours ahead; "
                "grace and spread at most 1,440 minutes.",
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


class Holiday(models.Model):
    """A day on which newsletters do not come out."""

    newsletter = models.ForeignKey(
        Newsletter,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="holidays",
        help_text="Empty: all newsletters.",
    )
    day = models.DateField(help_text="In the zone of the newsletter.")
    name = models.CharField(max_length=60, help_text="Easter Monday, for example.")

    class Meta:
        ordering = ["day"]
        constraints = [
            models.UniqueConstraint(fields=["newsletter", "day"], name="a_holiday_is_named_once"),
            models.UniqueConstraint(
                fields=["day"],
                condition=Q(newsletter__isnull=True),
                name="a_holiday_of_all_is_named_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name}, {self.day}"
