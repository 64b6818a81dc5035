"""Files of readers: uploaded, looked at by a worker, imported, taken back."""

from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from iria_news.frame import admin_base, asking, badges
from subscribers.admin import exports
from subscribers.admin.import_form import UploadForm
from subscribers.importing import applying, jobs, keeping, undoing, words
from subscribers.importing.encodings import BadFile
from subscribers.importing.judging import Outcome
from subscribers.importing.tally import Tally
from subscribers.models import ImportState, SubscriberImport

MAY_IMPORT = "subscribers.import_subscribers"
REFRESH_SECONDS = 3

STATE_SENTENCES = {
    ImportState.CHECKING: "A worker reads the file. Nothing is written. You may close this page.",
    ImportState.CHECKED: "Nothing is written yet. This is what the import would do.",
    ImportState.APPLYING: "A worker imports it. You may close this page.",
    ImportState.APPLIED: "It is imported.",
    ImportState.UNDOING: "A worker takes it back. You may close this page.",
    ImportState.UNDONE: "It was taken back.",
    ImportState.FAILED: "It failed.",
}


@admin.register(SubscriberImport)
class SubscriberImportAdmin(admin_base.ReadOnlyAdmin):
    empty_list = "No imports yet. Upload a CSV file, and a worker says what it would bring."
    list_display = ["name", "state_badge", "rows_read", "result", "created_by", "created_at"]
    list_filter = ["state"]
    list_select_related = ["created_by"]
    ordering = ["-pk"]
    fields = [
        ("source", "proof"),
        ("newsletters", "topics"),
        ("created_by", "created_at", "applied_at", "undone_at"),
    ]

    def has_view_permission(self, request: HttpRequest, obj=None) -> bool:
        return request.user.has_perm(MAY_IMPORT)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(MAY_IMPORT)

    def has_add_permission(self, request: HttpRequest, *_args) -> bool:
        return request.user.has_perm(MAY_IMPORT)

    @admin.display(description="State", ordering="state")
    def state_badge(self, job) -> SafeString:
        return badges.badge(job.state)

    @admin.display(description="Rows")
    def rows_read(self, job) -> str:
        return f"{job.rows:,}" if job.rows else ""

    @admin.display(description="Result")
    def result(self, job) -> str:
        tally = Tally.of_json(job.counts)
        refused = tally.number(Outcome.REFUSED)
        return job.error or (f"{tally.new:,} new, {refused:,} refused" if tally.rows else "")

    def get_urls(self) -> list[URLPattern]:
        wrap, name = self.admin_site.admin_view, "subscribers_subscriberimport"
        return [
            path("export/", wrap(exports.page), name=f"{name}_export"),
            path("<int:pk>/apply/", wrap(self.apply), name=f"{name}_apply"),
            path("<int:pk>/undo/", wrap(self.undo), name=f"{name}_undo"),
            path("<int:pk>/progress/", wrap(self.progress), name=f"{name}_progress"),
            path("<int:pk>/refused/", wrap(self.refused), name=f"{name}_refused"),
            *super().get_urls(),
        ]

    def add_view(self, request: HttpRequest, form_url="", extra_context=None) -> HttpResponse:
        """GET shows the form, POST keeps the file and has a worker look at it."""
        _demand(request, MAY_IMPORT)
        form = UploadForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            upload = form.cleaned_data["file"]
            try:
                job = jobs.submit(
                    upload.chunks(), name=upload.name, plan=form.plan(), by=asking.person(request)
                )
            except BadFile as problem:
                form.add_error("file", str(problem))
            else:
                _log(request, job, ADDITION, "Uploaded.")
                return redirect(_page(job))
        context = {
            **self.admin_site.each_context(request),
            "title": "Import readers",
            "form": form,
            "back": reverse("admin:subscribers_subscriberimport_changelist"),
        }
        return TemplateResponse(
            request,
            "admin/subscribers/subscriberimport/upload.html",
            context,
            status=422 if form.errors else 200,
        )

    def change_view(self, request: HttpRequest, object_id: str, *args, **kwargs) -> HttpResponse:
        job = self.get_object(request, object_id)
        if job is not None:
            kwargs["extra_context"] = page_of(job)
        return super().change_view(request, object_id, *args, **kwargs)

    def progress(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The part of the page that changes by itself; the whole page anew when it has come far."""
        job = _job(request, pk)
        context = {**page_of(job), "original": job}
        answer = TemplateResponse(
            request, "admin/subscribers/subscriberimport/progress.html", context
        )
        if not context["is_moving"]:
            answer["HX-Refresh"] = "true"
        return answer

    def refused(self, request: HttpRequest, pk: int) -> FileResponse:
        """The rows that could not be used, with reasons, safe to open."""
        job = _job(request, pk)
        kept = keeping.folder() / job.refused_path
        if not job.refused_path or not kept.is_file():
            raise Http404
        return FileResponse(kept.open("rb"), as_attachment=True, filename=f"refused-{job.pk}.csv")

    def apply(self, request: HttpRequest, pk: int) -> HttpResponse:
        """GET asks with numbers, POST has a worker write."""
        job = _job(request, pk)
        tally = Tally.of_json(job.counts)
        new = _many(tally.new, "reader")
        if request.method == "POST":
            return _said(request, job, done=jobs.apply(job), success=f"Importing {new}.")
        hours = -(-tally.number(Outcome.ASKED) // applying.QUESTIONS_PER_HOUR)
        proved, asked = (
            _many(tally.number(outcome), "row") for outcome in (Outcome.PROVED, Outcome.ASKED)
        )
        question = asking.Question(
            title="Import",
            question=f"Import {new} of {job.name}?",
            sentences=[
                f"{proved} with proof of consent: mail from the next edition on.",
                f"{asked} without: asked by mail, which takes {_many(hours, 'hour')}.",
                "Who has not answered 7 days after that mail is forgotten.",
                "Whoever left or was stopped stays so. The import can be undone.",
            ],
            button=f"Import {new}",
            back=_page(job),
        )
        return _ask(request, job, question, may=job.state == ImportState.CHECKED and tally.new > 0)

    def undo(self, request: HttpRequest, pk: int) -> HttpResponse:
        """GET asks with numbers, POST has a worker take back what nobody has touched."""
        job = _job(request, pk)
        if request.method == "POST":
            return _said(request, job, done=jobs.undo(job), success="Taking it back.")
        may = job.state in jobs.TO_BE_UNDONE
        would = undoing.forecast(job) if may else undoing.Undoing(0, 0, 0, 0)
        places = _many(would.places, "subscription")
        question = asking.Question(
            title="Undo",
            question=f"Undo the import of {job.name}?",
            sentences=[f"{places} will go, and people who came with nothing else.", stay(would)],
            button=f"Remove {places}",
            back=_page(job),
            is_grave=True,
        )
        return _ask(request, job, question, may=may and would.places > 0)


def page_of(job: SubscriberImport) -> dict[str, object]:
    """What the page of an import shows besides its fields. No statement."""
    tally = Tally.of_json(job.counts)
    stays = job.counts.get("stay")
    return {
        "sentence": STATE_SENTENCES[ImportState(job.state)],
        "is_moving": job.state in jobs.MOVING,
        "refresh_seconds": REFRESH_SECONDS,
        "lines": words.lines(tally) if tally.rows else [],
        "refusals": words.refusals(tally),
        "new": tally.new,
        "removed": job.counts.get("removed"),
        "stay": stay(undoing.Undoing(**stays)) if stays else "",
        "can_apply": job.state == ImportState.CHECKED and tally.new > 0,
        "can_undo": job.state == ImportState.APPLIED
        or (job.state == ImportState.FAILED and tally.rows > 0),
        "has_refused": bool(job.refused_path) and tally.number(Outcome.REFUSED) > 0,
    }


def stay(undoing_of: undoing.Undoing) -> str:
    """How many subscriptions stay, and why, in a sentence."""
    parts = [
        (undoing_of.confirmed, "confirmed by their readers"),
        (undoing_of.changed, "changed by their readers"),
        (undoing_of.ended, "ended since"),
    ]
    named = ", ".join(f"{number:,} {why}" for number, why in parts if number)
    return f"{_many(undoing_of.stay, 'subscription')} stay: {named}." if named else "None stays."


def _demand(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):
        raise PermissionDenied


def _job(request: HttpRequest, pk: int) -> SubscriberImport:
    _demand(request, MAY_IMPORT)
    return get_object_or_404(SubscriberImport, pk=pk)


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _page(job: SubscriberImport) -> str:
    return reverse("admin:subscribers_subscriberimport_change", args=[job.pk])


def _ask(
    request: HttpRequest, job: SubscriberImport, question: asking.Question, *, may: bool
) -> HttpResponse:
    """The same page without its button, when there is nothing to do."""
    if may:
        return asking.ask(request, question, asking.NoFields())
    sentence = f"There is nothing to {question.title.lower()}: the import is {job.state}."
    without = asking.Question(title=question.title, question=sentence, back=question.back)
    return asking.ask(request, without, asking.NoFields())


def _said(request: HttpRequest, job: SubscriberImport, *, done: bool, success: str) -> HttpResponse:
    if done:
        messages.success(request, success)
        _log(request, job, CHANGE, success)
    else:
        messages.warning(request, f"Too late, nothing changed: the import is {job.state}.")
    return redirect(_page(job))


def _log(request: HttpRequest, job: SubscriberImport, flag: int, sentence: str) -> None:
    LogEntry.objects.log_actions(
        asking.person(request).pk, [job], flag, sentence, single_object=True
    )
