"""What we hold about a reader: handed out as a file, or erased. Both need a fresh link (W4)."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from subscribers import addresses, consent, erasure, passport
from subscribers.views import choosing
from subscribers.views.pages import CHANGES, SeeOther, page, token_page

FILE_NAME = "iria-news-your-data.json"


@token_page
@page(CHANGES)
def download(request: HttpRequest, token: str) -> HttpResponse:
    """POST hands the file out; GET shows the preferences, so that no program fetches it ahead."""
    reader = choosing.reader_with(token)
    back = reverse("preferences", args=[token])
    if request.method != "POST":
        return SeeOther(back)
    if not reader.fresh_for:
        return SeeOther(f"{back}?done=old")
    return HttpResponse(
        passport.as_json(reader.subscriber),
        content_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{FILE_NAME}"'},
    )


@token_page
@page(CHANGES)
def erase(request: HttpRequest, token: str) -> HttpResponse:
    """GET asks once more; POST erases, for good."""
    reader = choosing.reader_with(token)
    if not reader.fresh_for:
        return SeeOther(f"{reverse('preferences', args=[token])}?done=old")
    if request.method != "POST":
        context = {
            "token": token,
            "masked": addresses.masked(reader.subscriber.address),
            "wording": consent.words(consent.ERASE),
        }
        return render(request, "subscribers/erase.html", context)
    erasure.erase(reader.subscriber, source="preferences", wording=consent.ERASE)
    return render(request, "subscribers/erased.html")
