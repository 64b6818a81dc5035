"""The newsroom's desk: articles and topics."""

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.files import File
from django.db.models import Count, ImageField, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from iria_news.articles import correcting, pictures, sanitising, writing
from iria_news.articles.models import Article, ArticleState, Correction, Topic
from iria_news.frame import admin_base, asking, badges, plain_text


class TopicForm(plain_text.Named, forms.ModelForm):
    """Its name stands in mails and lists, so it is one line."""


@admin.register(Topic)
class TopicAdmin(admin_base.ModelAdmin):
    form = TopicForm
    empty_list = "No topics yet. Articles are sorted into topics, and readers follow them."
    list_display = ["name", "position", "article_count", "description"]
    search_fields = ["name"]
    prepopulated_fields = {"slug": ["name"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Topic]:
        return super().get_queryset(request).annotate(article_count=Count("articles"))

    @admin.display(description="Articles", ordering="article_count")
    def article_count(self, topic) -> int:
        return topic.article_count

    def has_delete_permission(self, *_args, **_kwargs) -> bool:
        """Never: with a topic would go what its readers follow."""
        return False


class PictureField(forms.FileField):
    """Takes a file only as a picture, and keeps it as `pictures.checked` encodes it anew."""

    def to_python(self, data: File | None) -> File | None:
        upload = super().to_python(data)
        if upload is None:
            return None
        try:
            return pictures.checked(upload.read(), upload.name or "")
        except pictures.BadPicture as error:
            raise forms.ValidationError(str(error)) from error


NOTE_CHARACTERS = 500  # as many as its column takes


class NoteForm(forms.ModelForm):
    """What was wrong and what is right, as readers will see it."""

    class Meta:
        model = Correction
        fields = ["note"]
        widgets = {"note": forms.Textarea(attrs={"rows": 4})}

    def clean_note(self) -> str:
        return plain_text.check_direction(sanitising.one_line(self.cleaned_data["note"]))


class ArticleForm(forms.ModelForm):
    withdrawal_note = forms.CharField(
        required=False,
        max_length=NOTE_CHARACTERS,
        widget=admin_base.Textarea(attrs={"rows": 3}),
        help_text="Needed to withdraw a published article: one or two sentences on why. They stand "
        "on its page, and those who were mailed it are told.",
    )

    class Meta:
        model = Article
        fields = "__all__"  # noqa: DJ007  # the fieldsets of the page choose
        widgets = {"topics": admin_base.CheckboxSelectMultiple}
        help_texts = {
            "slug": "The last part of its address. Mails link to it: keep it once published.",
            "topics": "At least one: readers find and get the article through its topics.",
        }

    def clean(self) -> dict[str, object]:
        values = super().clean() or {}
        if values.get("state") == ArticleState.PUBLISHED:
            values["published_at"] = values.get("published_at") or timezone.now()
            self._check_picture(values)
            self._check_body(values)
        if self.withdraws(values) and not values.get("withdrawal_note"):
            self.add_error("withdrawal_note", "Say why it is withdrawn: readers are told.")
        return values

    def withdraws(self, values) -> bool:
        """Whether this takes an article back that readers may have seen."""
        is_public = Article.objects.published().filter(pk=self.instance.pk).exists()
        return values.get("state") == ArticleState.WITHDRAWN and is_public

    def _check_picture(self, values) -> None:
        if not values.get("lead_image"):
            return
        if not values.get("lead_alt"):
            self.add_error("lead_alt", "Say what the picture shows, for readers who cannot see it.")
        if not values.get("lead_credit"):
            self.add_error("lead_credit", "Say whose the picture is.")

    def _check_body(self, values) -> None:
        body = values.get("body")
        if body and not sanitising.clean_body(body).strip():
            self.add_error("body", "Nothing of this may be shown. Write text, as HTML.")


@admin.register(Article)
class ArticleAdmin(admin_base.ModelAdmin):
    form = ArticleForm
    formfield_overrides = {ImageField: {"form_class": PictureField}}
    empty_list = "No articles yet. Write the first, or import them: import_articles."
    list_display = ["title", "state_badge", "published_at", "kind", "topic_names", "language"]
    list_filter = ["state", "topics", "language"]
    search_fields = ["title", "slug", "byline"]
    ordering = ["-modified_at", "-pk"]
    list_per_page = 50
    prepopulated_fields = {"slug": ["title"]}
    readonly_fields = ["reading_minutes", "modified_at", "source_guid"]
    fieldsets = [
        (None, {"fields": ["title", "slug", ("kind", "byline"), "standfirst", "body"]}),
        (
            "Where and when",
            {"fields": [("state", "published_at"), "withdrawal_note", ("language",), "topics"]},
        ),
        ("Picture", {"fields": ["lead_image", "lead_alt", "lead_caption", "lead_credit"]}),
        ("About", {"fields": [("reading_minutes", "modified_at", "source_guid")]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Article]:
        """Lists without the text, by far the largest column; the page of one loads it then."""
        return super().get_queryset(request).without_body().prefetch_related("topics")

    @admin.display(description="State", ordering="state")
    def state_badge(self, article) -> SafeString:
        return badges.badge(article.state)

    @admin.display(description="Topics")
    def topic_names(self, article) -> str:
        return ", ".join(topic.name for topic in article.topics.all())

    def view_on_site(self, article) -> str | None:
        """No link while there is no page to see."""
        at = article.published_at
        is_public = article.state != ArticleState.DRAFT and at and at <= timezone.now()
        return article.get_absolute_url() if is_public else None

    def get_urls(self) -> list[URLPattern]:
        correct = self.admin_site.admin_view(self.correct)
        return [
            path("<int:pk>/correct/", correct, name="articles_article_correct"),
            *super().get_urls(),
        ]

    def save_model(self, request: HttpRequest, obj: Article, form, change) -> None:
        withdraws = form.withdraws(form.cleaned_data)
        writing.prepare(obj)
        super().save_model(request, obj, form, change)
        if withdraws:
            correcting.withdraw(obj, form.cleaned_data["withdrawal_note"])

    def correct(self, request: HttpRequest, pk: int) -> HttpResponse:
        """GET asks for the note, POST records it. The text itself is mended on another page."""
        if not request.user.has_perm("articles.change_article"):
            raise PermissionDenied
        article = get_object_or_404(Article.objects.without_body(), pk=pk)
        form = NoteForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            return self._record(request, article, form.cleaned_data["note"])
        is_public = Article.objects.readable().filter(pk=pk).exists()
        question = asking.Question(
            title="Correct",
            question=f"Correct “{article}”?"
            if is_public
            else f"“{article}” is not public yet. Change it: there is nothing to correct.",
            sentences=[
                "The note stands on the article's page with today's date, and cannot be changed.",
                "Those who were mailed the article before are told with their next edition.",
            ]
            if is_public
            else [],
            button="Record the correction" if is_public else "",
            back=_page(article),
        )
        return asking.ask(request, question, form if is_public else asking.NoFields())

    def _record(self, request: HttpRequest, article: Article, note: str) -> HttpResponse:
        try:
            correcting.correct(article, note)
        except correcting.NotPublic as reason:
            messages.warning(request, f"{reason} Nothing was recorded.")
            return redirect(_page(article))
        self.log_change(request, article, f"Corrected: {note}")
        messages.success(request, "The correction is recorded, and stands on the article's page.")
        return redirect(_page(article))


def _page(article: Article) -> str:
    return reverse("admin:articles_article_change", args=[article.pk])
