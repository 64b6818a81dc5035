"""Editions on their way to recipients. The rows are the queue of record and the ledger."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import models
from django.db.models import Exists, F, OuterRef, Q, Subquery, Sum, Value
from django.db.models.functions import Coalesce, JSONObject, Now, NullIf

from iria_news.articles.models import Article, Language
from subscribers.models import Newsletter, Subscriber


class EditionState(models.TextChoices):
    DRAFT = "draft"  # may be composed anew at any time
    APPROVED = "approved"  # the content of content_hash, and no other, may go out
    FREEZING = "freezing"  # the audience is being written down
    RENDERING = "rendering"  # one message for each cohort is being built
    READY = "ready"  # complete; waits for its first wave
    SENDING = "sending"  # workers may lease its batches
    PAUSED = "paused"  # by a person or by a watch; see reason
    DONE = "done"  # every delivery is settled and the ledger balances
    CANCELLED = "cancelled"  # stopped by a person; what has left stays sent
    SKIPPED = "skipped"  # the slot came and there was nothing to send; see reason


class EditionKind(models.TextChoices):
    REGULAR = "regular"  # of a slot, of an article that goes out at once, or sent by hand
    CATCH_UP = "catch_up"  # for readers who are back from a pause (decision 0006)


NEEDS_NO_APPROVAL = [EditionState.DRAFT, EditionState.CANCELLED, EditionState.SKIPPED]
TO_BE_CLEARED = -1  # a cursor: rows of an interrupted freeze may have to go first
AT_REST = [EditionState.DONE, EditionState.CANCELLED, EditionState.SKIPPED]
PUBLIC_STATES = [EditionState.SENDING, EditionState.DONE, EditionState.PAUSED]


class EditionQuerySet(models.QuerySet["Edition"]):
    def sending(self) -> EditionQuerySet:
        return self.filter(state=EditionState.SENDING)

    def waiting_for_hours(self) -> EditionQuerySet:
        """Sending, but with nothing to do before a later wave: readers' hours have not come."""
        to_do = Batch.objects.filter(edition=OuterRef("pk")).unfinished()
        return self.sending().filter(Exists(to_do), ~Exists(to_do.released()))

    def regular(self) -> EditionQuerySet:
        return self.filter(kind=EditionKind.REGULAR)

    def public(self) -> EditionQuerySet:
        """What anybody may read: on its way or sent, and of a newsletter that is not private."""
        return self.readable().filter(newsletter__is_private=False)

    def readable(self) -> EditionQuerySet:
        """What has a page of its own, be it only for those who have the link."""
        return self.regular().filter(started_at__isnull=False, state__in=PUBLIC_STATES)

    def gone_out(self) -> EditionQuerySet:
        """Whose audience got them, or gets them now."""
        return self.frozen().exclude(state__in=[EditionState.CANCELLED, EditionState.SKIPPED])

    def frozen(self) -> EditionQuerySet:
        return self.filter(frozen_at__isnull=False)

    def with_headline(self) -> EditionQuerySet:
        """`headline`: the subject a person wrote, else the title of the lead."""
        lead = EditionArticle.objects.filter(edition=OuterRef("pk")).order_by("bit")
        return self.annotate(
            headline=Coalesce(
                NullIf(F("subject"), Value("")),
                Subquery(lead.values("article__title")[:1]),
                Value("No articles"),
            )
        )

    def with_progress(self) -> EditionQuerySet:
        """`progress`: totals of its batches (1 row for 200 recipients), None before the freeze.

        One subquery for each edition that is shown, and none for those that are only counted.
        """
        totals = JSONObject(
            **{name: Sum(name) for name in ("size", "sent", "failed", "skipped", "uncertain")}
        )
        of_this = Batch.objects.filter(edition=OuterRef("pk")).order_by().values("edition")
        return self.annotate(progress=Subquery(of_this.annotate(totals=totals).values("totals")))


class Edition(models.Model):
    """One issue of one newsletter, for one slot of its cadence."""

    newsletter = models.ForeignKey(Newsletter, models.PROTECT, related_name="editions")
    kind = models.CharField(
        max_length=8,
        choices=EditionKind,
        default=EditionKind.REGULAR,
        db_default=EditionKind.REGULAR.value,
    )
    away_from = models.DateField(
        null=True, blank=True, help_text="Of a catch-up: the first day its readers were away."
    )
    away_to = models.DateField(
        null=True, blank=True, help_text="Of a catch-up: the last day its readers were away."
    )
    slot = models.DateTimeField(help_text="UTC; the cadence's wall time, already converted.")
    slug = models.SlugField(max_length=100, unique=True)
    subject = models.CharField(max_length=200, blank=True)
    preheader = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=9, choices=EditionState, default=EditionState.DRAFT)
    reason = models.CharField(
        max_length=200, blank=True, help_text="Why it is paused, skipped or cancelled, in words."
    )
    articles = models.ManyToManyField(Article, through="EditionArticle", related_name="editions")
    content_hash = models.CharField(max_length=64, blank=True)  # SHA-256, hex
    approved_at = models.DateTimeField(null=True, blank=True)
    approved_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True)
    due_at = models.DateTimeField(help_text="UTC; when the first mail may leave.")
    expires_at = models.DateTimeField(help_text="UTC; what is not sent by then has failed.")
    priority = models.SmallIntegerField(default=0, help_text="Higher is more urgent.")
    cursor = models.BigIntegerField(default=0)  # highest subscriber already frozen
    candidates = models.PositiveIntegerField(default=0)
    excluded = models.JSONField(default=dict)  # reason -> how many candidates got no delivery
    created_at = models.DateTimeField(db_default=Now())
    frozen_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    resumed_at = models.DateTimeField(null=True, blank=True)  # by a person: watches begin anew
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = EditionQuerySet.as_manager()

    class Meta:
        ordering = ["-slot", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["newsletter", "slot"],
                condition=Q(kind="regular"),
                name="one_edition_per_slot",
            ),
            models.UniqueConstraint(
                fields=["newsletter", "slot", "away_from", "away_to"],
                condition=Q(kind="catch_up"),
                name="one_catch_up_for_the_same_days",
            ),
            models.CheckConstraint(
                condition=Q(kind="regular", away_from__isnull=True, away_to__isnull=True)
                | Q(kind="catch_up", away_from__lte=F("away_to")),
                name="a_catch_up_has_its_days",
            ),
            # Two at once could give one reader the same article in both.
            models.UniqueConstraint(
                fields=["state"],
                condition=Q(state="freezing"),
                name="one_edition_freezes_at_a_time",
            ),
            models.CheckConstraint(
                condition=Q(state__in=NEEDS_NO_APPROVAL)
                | (Q(approved_at__isnull=False) & ~Q(content_hash="")),
                name="nothing_leaves_unapproved",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["ready", "sending", "done"]) | Q(frozen_at__isnull=False),
                name="nothing_leaves_before_the_audience_is_frozen",
            ),
        ]
        indexes = [models.Index(fields=["state", "due_at"], name="editions_by_state")]
        permissions = [
            ("approve_edition", "Can approve an edition for sending"),
            ("steer_edition", "Can pause, resume and cancel an edition"),
        ]

    def __str__(self) -> str:
        return f"{self.newsletter}, {self.slot:%Y-%m-%d %H:%M} UTC"


class EditionArticle(models.Model):
    """An article's place in an edition. Sets of articles are sums of bits."""

    edition = models.ForeignKey(Edition, models.CASCADE, related_name="items")
    article = models.ForeignKey(Article, models.PROTECT, related_name="+")
    bit = models.BigIntegerField()  # 2^rank, rank 0 (the lead) to 61: 64-bit integers have a sign

    class Meta:
        ordering = ["bit"]
        constraints = [
            models.UniqueConstraint(
                fields=["edition", "article"], name="an_edition_has_an_article_once"
            ),
            models.UniqueConstraint(fields=["edition", "bit"], name="a_rank_is_taken_once"),
        ]

    def __str__(self) -> str:
        return f"Article {self.article_id} in edition {self.edition_id}"


class CohortQuerySet(models.QuerySet["Cohort"]):
    def unrendered(self) -> CohortQuerySet:
        return self.filter(message__isnull=True)


class Cohort(models.Model):
    """The readers of an edition who get the same body; rendered once."""

    edition = models.ForeignKey(Edition, models.CASCADE, related_name="cohorts")
    language = models.CharField(max_length=5, choices=Language)
    list = models.BigIntegerField()  # sum of its articles' bits
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
                fields=["edition", "language", "list", "is_text"], name="same_body_same_cohort"
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


class Throttle(models.Model):
    """What limits a lane beyond the settings, and what of it must survive an emptied Redis.

    A lane is one submission server and one recipient domain; without a domain, the whole server.
    A lane without a row has the limits of the settings and nothing against it.
    """

    server = models.CharField(max_length=40)
    domain = models.CharField(max_length=253, blank=True, default="")
    rate_limit = models.FloatField(
        null=True, blank=True, help_text="Messages a second. Empty: what the settings say."
    )
    connection_limit = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="At once, for each worker. Empty: what the settings say."
    )
    daily_limit = models.PositiveIntegerField(
        null=True, blank=True, help_text="Messages a day, in UTC. Empty: what the settings say."
    )
    factor = models.FloatField(default=1.0)  # of the rate; halved by throttle replies
    resume_at = models.DateTimeField(null=True, blank=True)  # suspended until then
    is_held = models.BooleanField(default=False, help_text="Suspended until a person releases it.")
    reason = models.CharField(max_length=200, blank=True, default="")  # in words, for operators
    last_cut_at = models.DateTimeField(null=True, blank=True)
    cuts = models.PositiveSmallIntegerField(default=0)  # in the present ten minutes
    cuts_since = models.DateTimeField(null=True, blank=True)
    suspensions = models.PositiveSmallIntegerField(default=0)  # in a row: each is longer
    failures = models.PositiveSmallIntegerField(default=0)  # to open a session, in a row

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["server", "domain"], name="a_lane_has_one_throttle"),
            models.CheckConstraint(
                condition=Q(factor__gt=0, factor__lte=1), name="a_factor_is_a_share_of_the_rate"
            ),
        ]
        verbose_name = "lane"
        permissions = [("steer_lane", "Can change rates, suspend and release lanes")]

    def __str__(self) -> str:
        return f"{self.server}, {self.domain or 'all domains'}"


class WarmUpDay(models.Model):
    """How many messages a submission server may take on one day while its addresses are new."""

    server = models.CharField(max_length=40)
    day = models.DateField(help_text="In UTC.")
    messages = models.PositiveIntegerField()

    class Meta:
        verbose_name = "warm-up day"
        ordering = ["server", "day"]
        constraints = [
            models.UniqueConstraint(fields=["server", "day"], name="a_warm_up_day_is_planned_once"),
        ]

    def __str__(self) -> str:
        return f"{self.server}, {self.day}: {self.messages}"


class LaneHour(models.Model):
    """What became of a lane's messages in one hour: for quotas, guards and the console.

    Workers add to it every few seconds. A killed one takes its last few seconds with it, so this
    is no ledger.
    """

    server = models.CharField(max_length=40)
    domain = models.CharField(max_length=253)
    hour = models.DateTimeField()
    sent = models.PositiveIntegerField(default=0)
    deferred = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)  # because of us: blocked, auth, protocol
    failed = models.PositiveIntegerField(default=0)  # for good; `gone` included
    gone = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["server", "domain", "hour"], name="a_lane_has_one_row_an_hour"
            ),
        ]
        indexes = [models.Index(fields=["server", "hour"], name="lane_hours_by_server")]

    def __str__(self) -> str:
        return f"{self.server}, {self.domain}, {self.hour:%Y-%m-%d %H} h"


class Pulse(models.Model):
    """When something that must happen regularly last happened. Liveness is a task that ran."""

    name = models.CharField(max_length=20, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%Y-%m-%d %H:%M:%S} UTC"
