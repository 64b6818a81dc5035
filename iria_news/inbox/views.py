"""The local inbox: what a reader would have got. It exists only with the mail catcher."""

from pathlib import Path

from csp.decorators import csp_update
from django.conf import settings
from django.core.paginator import Paginator
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from iria_news.inbox import framing, keeping, opening

PER_PAGE = 50
REFRESH_SECONDS = 10
TABS = {
    "html": "HTML",
    "phone": "HTML, phone width",
    "text": "Plain text",
    "headers": "Headers",
    "source": "Source",
}
KINDS = {"": "All", keeping.NEWSLETTERS: "Newsletters", keeping.SERVICE: "Service mail"}


def inbox_folder() -> Path:
    """Where mail is caught. 404 where it leaves for real: there is no inbox to tell about."""
    if not settings.USES_MAIL_CATCHER:
        raise Http404
    return settings.INBOX_DIR


@require_safe
@never_cache
def inbox(request: HttpRequest) -> HttpResponse:
    """The newest messages first. Words or a kind narrow it to some of the newest 2,000."""
    folder = inbox_folder()
    words = request.GET.get("q", "").strip()
    kind = request.GET.get("kind", "")
    kind = kind if kind in KINDS else ""
    ids = keeping.identifiers(folder)
    total = len(ids)
    if words or kind:
        newest = keeping.summaries(folder, ids[: keeping.SEARCH_LIMIT])
        ids = [each.id for each in newest if each.is_kind(kind) and each.holds(words)]
    page = Paginator(ids, PER_PAGE).get_page(request.GET.get("page"))
    # By itself only while there is nothing to read: a reload takes away what somebody is typing.
    asked = request.GET.get("refresh") == "on"
    refreshes = not (words or kind) and page.number == 1 and (asked or not total)
    context = {
        "page": page,
        "messages_shown": list(keeping.summaries(folder, page.object_list)),
        "words": words,
        "kind": kind,
        "kinds": KINDS,
        "total": total,
        "searched": keeping.SEARCH_LIMIT if total > keeping.SEARCH_LIMIT else None,
        "refresh_seconds": REFRESH_SECONDS if refreshes else None,
    }
    return render(request, "inbox/inbox.html", context)


@require_safe
@never_cache
@csp_update(framing.PAGE_POLICY)  # type: ignore[arg-type]  # typed for views without arguments
def message(request: HttpRequest, identifier: str) -> HttpResponse:
    """One message in tabs, each an address of its own: the page needs no script."""
    try:
        opened = opening.open_message(inbox_folder(), identifier)
    except keeping.NotKept as error:
        raise Http404 from error
    tab = request.GET.get("view", "")
    if tab not in TABS:
        tab = "html" if opened.html else "text" if opened.text else "source"
    ours = opened.one_click_url.startswith(settings.SITE_URL + "/")
    context = {
        "opened": opened,
        "summary": opened.summary,
        "tab": tab,
        "tabs": TABS,
        "framed_html": framing.framed(opened.html),
        "one_click_url": opened.one_click_url if ours else "",
    }
    return render(request, "inbox/message.html", context)


@require_safe
@never_cache
def file(_request: HttpRequest, identifier: str) -> FileResponse:
    """The message byte for byte, as a download: never shown under our address."""
    try:
        path = keeping.file_path(inbox_folder(), identifier)
        content = path.open("rb")
    except (keeping.NotKept, FileNotFoundError) as error:
        raise Http404 from error
    return FileResponse(
        content, as_attachment=True, filename=path.name, content_type="application/octet-stream"
    )
