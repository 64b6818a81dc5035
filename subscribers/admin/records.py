"""What is only ever read: consent, service mails."""

from django.contrib import admin
from django.utils.safestring import SafeString

from iria_news.frame import admin_base, badges
from subscribers.models import (
    ConsentEvent,
    ServiceMail,
)


@admin.register(ConsentEvent)
class ConsentEventAdmin(admin_base.ReadOnlyAdmin):
    paginator = admin_base.EndlessPaginator
    empty_list = "No consent yet. Each sign-up, confirmation and change appends a line here."
    list_display = ["at", "kind", "subscriber", "newsletter", "wording", "source"]
    list_filter = ["kind", "newsletter"]
    list_select_related = ["subscriber", "newsletter"]
    ordering = ["-pk"]


@admin.register(ServiceMail)
class ServiceMailAdmin(admin_base.ReadOnlyAdmin):
    paginator = admin_base.EndlessPaginator
    empty_list = "No service mails yet. A sign-up asks for the first."
    list_display = ["__str__", "state_badge", "subscriber", "asked_at", "attempts", "reason"]
    list_filter = ["state", "kind"]
    list_select_related = ["subscriber"]
    ordering = ["-pk"]

    @admin.display(description="State", ordering="state")
    def state_badge(self, mail) -> SafeString:
        return badges.badge(mail.state)
