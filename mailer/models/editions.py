"""Issues of newsletters: what they carry, who approved it, and how far they are."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import models
from django.db.models import Exists, F, OuterRef, Q, Subquery, Sum, Value
from django.db.models.functions import Coalesce, JSONObject, Now, NullIf

from iria_news.articles.models import Article, Correction
from subscribers.models import Newsletter


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
    CORRECTION = "correction"  # urgent: at once to those who got what was wrong, and to no others


NEEDS_NO_APPROVAL = [EditionState.DRAFT, EditionState.CANCELLED, EditionState.SKIPPED]
TO_BE_CLEARED = -1  # a cursor: rows of an interrupted freeze may have to go first
AT_REST = [EditionState.DONE, EditionState.CANCELLED, EditionState.SKIPPED]
PUBLIC_STATES = [EditionState.SENDING, EditionState.DONE, EditionState.PAUSED]


class EditionQuerySet(models.QuerySet["Edition"]):
    def sending(self) -> EditionQuerySet:
        return self.filter(state=EditionState.SENDING)

    def waiting_for_hours(self) -> EditionQuerySet:
        """Sending, but with nothing to do before a later wave: readers' hours have not come."""
        from mailer.models.deliveries import Batch  # noqa: PLC0415  # it names this model

        to_do = Batch.objects.filter(edition=OuterRef("pk")).unfinished()
        return self.sending().filter(Exists(to_do), ~Exists(to_do.released()))

    def waiting_for_approval(self) -> EditionQuerySet:
        return self.filter(state=EditionState.DRAFT, asked_at__isnull=False)

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
        from mailer.models.deliveries import Batch  # noqa: PLC0415  # as above

        totals = JSONObject(
            **{name: Sum(name) for name in ("size", "sent", "failed", "skipped", "uncertain")}
        )
        of_this = Batch.objects.filter(edition=OuterRef("pk")).order_by().values("edition")
        return self.annotate(progress=Subquery(of_this.annotate(totals=totals).values("totals")))


class Edition(models.Model):
    """One issue of one newsletter, for one slot of its cadence."""

    newsletter = models.ForeignKey(Newsletter, models.PROTECT, related_name="editions")
    kind = models.CharField(
        max_length=10,
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
    introduction = models.TextField(
        max_length=2000, blank=True, help_text="Plain text above the articles, for every reader."
    )
    note = models.TextField(
        max_length=2000, blank=True, help_text="Plain text below the articles, for every reader."
    )
    picture = models.ImageField(
        upload_to="editions/",
        blank=True,
        width_field="picture_width",
        height_field="picture_height",
        help_text="Stands above the introduction.",
    )
    picture_width = models.PositiveIntegerField(null=True, blank=True, editable=False)
    picture_height = models.PositiveIntegerField(null=True, blank=True, editable=False)
    picture_alt = models.CharField(max_length=250, blank=True)
    picture_caption = models.CharField(max_length=300, blank=True)
    picture_credit = models.CharField(max_length=100, blank=True)
    by_topic = models.BooleanField(
        "group by topic",
        default=True,
        db_default=True,
        help_text="Off: the articles stand in their order, without sections.",
    )
    is_urgent = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Ahead of everything else; two people approve it.",
    )
    spread_minutes = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="Send over this span instead of at once."
    )
    version = models.PositiveIntegerField(default=0, db_default=0)  # of the draft: each change
    written_by = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="editions_written"
    )
    asked_at = models.DateTimeField(null=True, blank=True)  # a draft that waits for approval
    sent_back = models.CharField(
        max_length=300, blank=True, help_text="What the approver wants changed, and who it was."
    )
    reminded_at = models.DateTimeField(null=True, blank=True)  # of the approval it waits for
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
                condition=Q(
                    kind__in=["regular", "correction"],
                    away_from__isnull=True,
                    away_to__isnull=True,
                )
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
    blurb = models.TextField(
        max_length=600,
        blank=True,
        db_default="",
        help_text="Instead of the article's own standfirst.",
    )

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


class LeftOut(models.Model):
    """An article that a person took out of an edition. Dropped, no edition of its newsletter
    carries it any more; otherwise the next one may."""

    edition = models.ForeignKey(Edition, models.CASCADE, related_name="left_out")
    article = models.ForeignKey(Article, models.PROTECT, related_name="+")
    is_dropped = models.BooleanField()  # for good; else it moves to the next edition
    by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["edition", "article"], name="an_article_is_left_out_once"
            ),
        ]

    def __str__(self) -> str:
        return f"Article {self.article_id} left out of edition {self.edition_id}"


class EditionCorrection(models.Model):
    """A correction that an edition carries for those who were mailed the earlier text."""

    edition = models.ForeignKey(Edition, models.CASCADE, related_name="corrections")
    correction = models.ForeignKey(Correction, models.PROTECT, related_name="+")
    bit = models.BigIntegerField()  # 2^rank, as for articles; sets of corrections are sums

    class Meta:
        ordering = ["bit"]
        constraints = [
            models.UniqueConstraint(
                fields=["edition", "correction"], name="an_edition_has_a_correction_once"
            ),
            models.UniqueConstraint(
                fields=["edition", "bit"], name="a_rank_of_corrections_is_taken_once"
            ),
        ]

    def __str__(self) -> str:
        return f"Correction {self.correction_id} in edition {self.edition_id}"


class EditionApproval(models.Model):
    """One person's yes to exactly this content. An urgent edition needs two."""

    edition = models.ForeignKey(Edition, models.CASCADE, related_name="approvals")
    by = models.ForeignKey(User, models.PROTECT, related_name="+")
    content_hash = models.CharField(max_length=64)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["edition", "by", "content_hash"], name="a_person_approves_a_content_once"
            ),
        ]

    def __str__(self) -> str:
        return f"Approval of edition {self.edition_id} by {self.by_id}"
