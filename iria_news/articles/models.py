"""What the newsroom publishes, and what a reader can follow."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone


class Topic(models.Model):
    """What a reader can follow: Asia-Pacific, Security, US ..."""

    name = models.CharField(max_length=60, unique=True)
    slug = models.SlugField(max_length=60, unique=True)
    description = models.CharField(
        max_length=200, blank=True, help_text="One sentence, shown at the head of the topic's page."
    )
    position = models.PositiveSmallIntegerField(
        default=0, help_text="Order in the navigation; smaller comes first."
    )

    class Meta:
        ordering = ["position", "name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("topic", args=[self.slug])


class ArticleState(models.TextChoices):
    DRAFT = "draft"  # nobody but the newsroom sees it
    PUBLISHED = "published"  # public from published_at on, which may lie ahead
    WITHDRAWN = "withdrawn"  # the headline stays, a note replaces the text, no edition carries it


class Language(models.TextChoices):
    ENGLISH = "en", "English"
    ARABIC = "ar", "العربية"
    GERMAN = "de", "Deutsch"
    FRENCH = "fr", "Français"
    JAPANESE = "ja", "日本語"


RIGHT_TO_LEFT = {Language.ARABIC}


class ArticleQuerySet(models.QuerySet["Article"]):
    def published(self) -> ArticleQuerySet:
        """What a reader may see now, by the database's clock."""
        return self.filter(state=ArticleState.PUBLISHED, published_at__lte=Now())

    def readable(self) -> ArticleQuerySet:
        """What has a page: everything published, and the headlines of what was withdrawn since."""
        return self.exclude(state=ArticleState.DRAFT).filter(published_at__lte=Now())

    def newest_first(self) -> ArticleQuerySet:
        return self.order_by("-published_at", "-pk")

    def without_body(self) -> ArticleQuerySet:
        """For lists: the text is by far the largest column."""
        return self.defer("body")


class Article(models.Model):
    """One published piece. Its body has always passed `sanitising.clean_body`."""

    title = models.CharField(max_length=200)
    slug = models.SlugField(max_length=120, unique=True)
    kind = models.CharField(
        max_length=30, blank=True, help_text="Analysis, Commentary, Backgrounder ... or nothing."
    )
    standfirst = models.TextField(
        max_length=600, blank=True, help_text="Two or three sentences. Digests show them in full."
    )
    body = models.TextField(help_text="HTML. Whatever is not allowed is taken out when saved.")
    byline = models.CharField(max_length=100, help_text="The desk or person that signs.")
    language = models.CharField(max_length=5, choices=Language, default=Language.ENGLISH)
    topics = models.ManyToManyField(Topic, related_name="articles")

    lead_image = models.ImageField(
        upload_to="articles/", blank=True, width_field="lead_width", height_field="lead_height"
    )
    lead_width = models.PositiveIntegerField(null=True, blank=True, editable=False)
    lead_height = models.PositiveIntegerField(null=True, blank=True, editable=False)
    lead_alt = models.CharField(
        max_length=250, blank=True, help_text="What the picture shows, for those who cannot see it."
    )
    lead_caption = models.CharField(max_length=300, blank=True, help_text="What it means.")
    lead_credit = models.CharField(max_length=100, blank=True, help_text="Whose it is.")

    state = models.CharField(max_length=9, choices=ArticleState, default=ArticleState.DRAFT)
    published_at = models.DateTimeField(
        null=True, blank=True, help_text="UTC. A time ahead publishes the article then."
    )
    modified_at = models.DateTimeField(auto_now=True)
    arrived_at = models.DateTimeField(
        default=timezone.now,
        editable=False,
        help_text="When it came into this newsroom; by import that may be long after it appeared.",
    )
    reading_minutes = models.PositiveSmallIntegerField(default=1, editable=False)
    source_guid = models.CharField(
        max_length=300,
        null=True,
        blank=True,
        unique=True,
        editable=False,
        help_text="The guid of the feed item this was imported from.",
    )

    objects = ArticleQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(state=ArticleState.PUBLISHED) | Q(published_at__isnull=False),
                name="published_articles_have_a_time",
            ),
        ]
        indexes = [models.Index(fields=["state", "-published_at"], name="articles_by_time")]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("article", args=[self.slug])

    @property
    def direction(self) -> str:
        """The value of HTML's `dir`."""
        return "rtl" if self.language in RIGHT_TO_LEFT else "ltr"


class Correction(models.Model):
    """What was wrong with an article and is right now, or why it was withdrawn: for its readers.

    Readers who were mailed the article before `at` hear of it with their next edition.
    """

    article = models.ForeignKey(Article, models.CASCADE, related_name="corrections")
    at = models.DateTimeField(db_default=Now(), editable=False)
    note = models.CharField(
        max_length=500,
        help_text="One or two sentences: what the article said, and what is right. "
        "Shown on its page and mailed to those who read the earlier text.",
    )
    is_withdrawal = models.BooleanField(
        default=False, help_text="The article is withdrawn; the note says why."
    )

    class Meta:
        ordering = ["at", "pk"]
        indexes = [models.Index(fields=["at"], name="corrections_by_time")]

    def __str__(self) -> str:
        return f"Correction of {self.article_id} at {self.at:%Y-%m-%d %H:%M} UTC"
