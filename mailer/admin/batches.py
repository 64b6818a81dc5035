"""Batches, read-only; the page of one shows its deliveries."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from iria_news.frame import admin_base, badges
from mailer.models import Batch, Delivery


@admin.register(Batch)
class BatchAdmin(admin_base.ReadOnlyAdmin):
    """Django's admin takes no model with a composite key, so deliveries are shown here."""

    paginator = admin_base.EndlessPaginator
    empty_list = "No batches yet. The freeze of an edition makes them."
    list_display = [
        *("__str__", "state_badge", "size", "sent", "failed", "skipped", "uncertain"),
        *("not_before", "leased_by", "losses"),
    ]
    list_filter = ["state"]
    ordering = ["-pk"]
    fields = [
        ("edition", "state", "not_before", "losses"),
        ("lease", "leased_by", "leased_until"),
        ("size", "sent", "failed", "skipped", "uncertain"),
    ]

    @admin.display(description="State", ordering="state")
    def state_badge(self, batch) -> SafeString:
        return badges.badge(batch.state)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """The page of an edition links to its batches."""
        return lookup == "edition__id__exact" or super().lookup_allowed(lookup, value, request)

    def change_view(self, request: HttpRequest, object_id: str, *args, **kwargs) -> HttpResponse:
        batch = self.get_object(request, object_id)
        if batch is not None:
            # At most 200: a batch is one page.
            rows = Delivery.objects.filter(edition_id=batch.edition_id, batch=batch)
            kwargs["extra_context"] = {
                "deliveries": rows.select_related("subscriber").order_by("subscriber_id")
            }
        return super().change_view(request, object_id, *args, **kwargs)
