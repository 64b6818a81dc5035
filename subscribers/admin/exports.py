"""The page from which readers go out as a file."""

from datetime import date

from django import forms
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import reverse

from iria_news.frame import admin_base, asking
from subscribers import exporting
from subscribers.models import Newsletter, Subscriber

MAY_EXPORT = "subscribers.export_subscribers"


class ExportForm(forms.Form):
    newsletter = forms.ModelChoiceField(
        Newsletter.objects.all(),
        required=False,
        empty_label="all newsletters",
        widget=admin_base.Select,
    )
    state = forms.ChoiceField(
        label="Who",
        choices=[
            (exporting.ExportState.ACTIVE.value, "who gets mail"),
            (exporting.ExportState.PENDING.value, "who has not confirmed"),
            (exporting.ExportState.LEFT.value, "who left"),
            (exporting.ExportState.SUPPRESSED.value, "to whom we stopped writing"),
            (exporting.ExportState.ALL.value, "everybody, each with the state"),
        ],
        widget=admin_base.Select,
    )


def page(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """GET asks what, POST streams it. The history of staff keeps who took it along."""
    if not request.user.has_perm(MAY_EXPORT):
        raise PermissionDenied
    form = ExportForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        chosen = form.cleaned_data
        LogEntry.objects.create(
            user_id=asking.person(request).pk,
            content_type=ContentType.objects.get_for_model(Subscriber),
            object_repr="all subscribers",
            action_flag=CHANGE,
            change_message=f"Exported {chosen['newsletter'] or 'all'}: {chosen['state']}.",
        )
        lines = exporting.rows(newsletter=chosen["newsletter"], state=chosen["state"])
        answer = StreamingHttpResponse(
            exporting.encoded(lines, marked=True), content_type="text/csv; charset=utf-8"
        )
        name = f"readers-{date.today():%Y-%m-%d}.csv"  # noqa: DTZ011  # of the server
        answer["Content-Disposition"] = f'attachment; filename="{name}"'
        return answer
    question = asking.Question(
        title="Export",
        question="Export readers as CSV?",
        sentences=[
            "The file holds addresses. Keep it no longer than you need it.",
            "It opens safely in a spreadsheet, and the import takes it back.",
        ],
        button="Export",
        back=reverse("admin:index"),
    )
    return asking.ask(request, question, form)
