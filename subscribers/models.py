"""People and what they asked for: newsletters, topics, consent. Knows no editions."""

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


class NewsletterQuerySet(models.QuerySet["Newsletter"]):
    def offered(self) -> NewsletterQuerySet:
        """What anybody may join: active and not private."""
        return self.filter(is_active=True, is_private=False)


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

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["newsletter", "subscriber"],
                condition=Q(ended_at__isnull=True),
                name="one_open_subscription_per_newsletter",
            ),
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


class ConsentKind(models.TextChoices):
    ASKED = "asked"  # a form was sent; nothing is agreed yet
    CONFIRMED = "confirmed"  # the button behind the mailed link was pressed
    CHANGED = "changed"  # newsletters or topics were chosen anew
    LEFT = "left"  # a subscription was ended by its reader
    SUPPRESSED = "suppressed"  # we stopped: bounce, complaint, operator
    ERASED = "erased"


class ConsentEvent(models.Model):
    """Append-only: what was agreed to, in which words, when, from where."""

    subscriber = models.ForeignKey(Subscriber, models.CASCADE, related_name="consent_events")
    newsletter = models.ForeignKey(Newsletter, models.PROTECT, null=True, blank=True)
    kind = models.CharField(max_length=10, choices=ConsentKind)
    wording = models.CharField(max_length=20, help_text="Version of the words that were shown.")
    source = models.CharField(max_length=200, help_text="The page, mail or file it came from.")
    topics = models.CharField(max_length=500, blank=True, help_text="Slugs, separated by commas.")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["subscriber", "at"], name="consent_by_subscriber")]

    def __str__(self) -> str:
        return f"{self.kind}, subscriber {self.subscriber_id}"


class SuppressionReason(models.TextChoices):
    GONE = "gone", "the mailbox does not exist (hard bounce)"
    COMPLAINT = "complaint", "the reader reported a mail as spam"
    ERASURE = "erasure", "the reader asked to be erased"
    OPERATOR = "operator", "an operator stopped it"


class Suppression(models.Model):
    """We stopped. A keyed hash, so that it outlives the erasure of the person."""

    address_hash = models.CharField(max_length=64, unique=True)
    reason = models.CharField(max_length=9, choices=SuppressionReason)
    note = models.CharField(max_length=200, blank=True, help_text="Never an address.")
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"Suppression {self.pk}: {self.reason}"


class ServiceMailKind(models.TextChoices):
    CONFIRMATION = "confirmation"  # double opt-in
    PREFERENCES = "preferences"  # "mail me my link", and the notice to those already with us


class ServiceMailState(models.TextChoices):
    WAITING = "waiting"  # asked for, or to be tried again at not_before
    SENDING = "sending"  # the intent is committed; a dead worker's row is taken up again
    SENT = "sent"  # the submission server has it
    FAILED = "failed"  # refused for good, or too late to be of use


class ServiceMailQuerySet(models.QuerySet["ServiceMail"]):
    def confirmations(self) -> ServiceMailQuerySet:
        return self.filter(kind=ServiceMailKind.CONFIRMATION)

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
