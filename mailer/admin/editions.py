"""The list of editions, and the page of one: its way with live totals, and links to steer it."""

from dataclasses import dataclass

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import BooleanField, Count, ExpressionWrapper, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.safestring import SafeString

from iria_news.frame import admin_base, badges
from mailer import editions
from mailer.admin import (
    approval,
    calendar,
    checks,
    composer,
    deliveries,
    previews,
    readers,
    steering,
    totals,
    urgent,
)
from mailer.models import (
    AT_REST,
    BatchState,
    Cohort,
    DeliveryEvent,
    Edition,
    EditionArticle,
    EditionState,
    EventKind,
)
from subscribers.models import Newsletter

PAGES = {
    **composer.PAGES,
    **approval.PAGES,
    **previews.PAGES,
    **steering.PAGES,
    "readers": readers.page,
    "checks": checks.page,
    "urgent": urgent.urgent,
}
COHORTS_SHOWN = 20
EVENTS_SHOWN = 20


@admin.register(Edition)
class EditionAdmin(admin_base.ReadOnlyAdmin):
    empty_list = "No editions yet. The next slot makes the first, or send one now."
    list_display = ["slot", "newsletter", "headline", "state_badge", "readers", "result"]
    list_display_links = ["slot"]
    list_filter = ["state", "newsletter"]
    list_select_related = ["newsletter"]
    list_per_page = 50
    fields = [
        ("newsletter", "slot", "due_at", "expires_at"),
        ("subject_line", "preheader_line"),
        ("approval", "approved_at", "content"),
        ("created_at", "frozen_at", "started_at", "finished_at"),
    ]

    readonly_fields = ["content", "subject_line", "preheader_line", "approval"]
    show_full_result_count = True  # editions are few

    def get_queryset(self, request: HttpRequest) -> QuerySet[Edition]:
        return super().get_queryset(request).with_progress().with_headline()

    @admin.display(description="Headline")
    def headline(self, edition) -> str:
        return edition.headline

    @admin.display(description="Subject")
    def subject_line(self, edition) -> str:
        return edition.subject or "Made for each cohort, from the lead of its list."

    @admin.display(description="Preheader")
    def preheader_line(self, edition) -> str:
        return edition.preheader or "Made for each cohort, from the articles after the lead."

    @admin.display(description="Approved by")
    def approval(self, edition) -> str:
        if edition.approved_by:
            return str(edition.approved_by)
        return "nobody: this newsletter leaves by itself" if edition.approved_at else "not yet"

    @admin.display(description="State", ordering="state")
    def state_badge(self, edition) -> SafeString:
        return badges.badge(edition.state)

    @admin.display(description="Readers")
    def readers(self, edition) -> str:
        return f"{edition.progress['size']:,}" if edition.frozen_at and edition.progress else ""

    @admin.display(description="Result")
    def result(self, edition) -> str:
        return result_in_words(edition)

    @admin.display(description="Content")
    def content(self, edition) -> str:
        """As much of the hash as the page of approval shows."""
        return edition.content_hash[: approval.HASH_SHOWN]

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            *(
                path(f"<int:pk>/{name}/", wrap(page), name=f"mailer_edition_{name}")
                for name, page in PAGES.items()
            ),
            path("<int:pk>/totals/", wrap(self.totals), name="mailer_edition_totals"),
            path("urgent/", wrap(urgent.new), name="mailer_edition_new_urgent"),
            path("deliveries/", wrap(deliveries.page), name="mailer_edition_deliveries"),
            path("calendar/", wrap(calendar.page), name="mailer_edition_calendar"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context=None) -> HttpResponse:
        active = Newsletter.objects.filter(is_active=True)
        return super().changelist_view(request, {**(extra_context or {}), "can_send": active})

    def change_view(self, request: HttpRequest, object_id: str, *args, **kwargs) -> HttpResponse:
        edition = self.get_object(request, object_id)
        if edition is not None:
            kwargs["extra_context"] = page_of(edition)
        return super().change_view(request, object_id, *args, **kwargs)

    def totals(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The part of the page that changes by itself; the whole page anew when nothing moves."""
        edition = self._readable(request, pk)
        read = totals.read(edition)
        response = TemplateResponse(
            request, "admin/mailer/edition/totals.html", {"totals": read, "original": edition}
        )
        if not read.is_moving:
            response["HX-Refresh"] = "true"
        return response

    def _readable(self, request: HttpRequest, pk: int) -> Edition:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return get_object_or_404(Edition.objects.select_related("newsletter"), pk=pk)


def result_in_words(edition) -> str:
    """One line about an edition that was read `with_progress`."""
    if edition.state == EditionState.DRAFT:
        return edition.reason or "waits for approval"
    if edition.state in {EditionState.PAUSED, EditionState.SKIPPED, EditionState.CANCELLED}:
        return edition.reason
    if not edition.progress:
        return ""
    parts = [(word, edition.progress[word]) for word in ("sent", "failed", "skipped", "uncertain")]
    return ", ".join(f"{number:,} {word}" for word, number in parts if number or word == "sent")


@dataclass(frozen=True)
class CohortRow:
    cohort: Cohort
    items: list[int]  # places in the edition, from 1


def page_of(edition: Edition) -> dict[str, object]:
    """What the page of an edition shows besides its fields, in a constant number of statements."""
    items = EditionArticle.objects.filter(edition=edition).select_related("article")
    return {
        "totals": totals.read(edition),
        "items": items.defer("article__body"),
        "cohorts": cohort_rows(edition),
        "cohort_count": edition.cohorts.count(),
        "batches": batch_counts(edition),
        "events": DeliveryEvent.objects.filter(edition=edition)
        .filter(kind__in=[EventKind.DEFERRED, EventKind.FAILED, EventKind.UNCERTAIN])
        .order_by("-pk")[:EVENTS_SHOWN],
        "can_approve": edition.state == EditionState.DRAFT
        or editions.frozen_and_paused(edition).filter(reason=editions.CHANGED).exists(),
        "can_undo": edition.state == EditionState.APPROVED,
        "is_draft": edition.state == EditionState.DRAFT,
        "edition": edition,
        "tab": "change",
        "can_pause": edition.state in editions.UNDER_WAY,
        "can_resume": edition.state == EditionState.PAUSED,
        "can_cancel": edition.state not in AT_REST,
        "is_public": Edition.objects.public().filter(pk=edition.pk).exists(),
    }


def cohort_rows(edition: Edition) -> list[CohortRow]:
    rendered = ExpressionWrapper(Q(message__isnull=False), output_field=BooleanField())
    largest = edition.cohorts.defer("message").annotate(rendered=rendered).order_by("-size", "pk")
    return [
        CohortRow(cohort, [n for n in range(1, 63) if cohort.list >> (n - 1) & 1])
        for cohort in largest[:COHORTS_SHOWN]
    ]


def batch_counts(edition: Edition) -> list[tuple[str, int]]:
    """How many batches are in each state, in the order of a batch's life."""
    counted = edition.batches.order_by().values_list("state").annotate(number=Count("pk"))
    by_state = dict(counted)
    return [(state.value, by_state[state]) for state in BatchState if state in by_state]
