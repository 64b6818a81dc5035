"""What stops an edition or should be seen first, each with the way to where it is mended."""

from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from mailer import link_checks, preflight
from mailer.admin import acts
from mailer.models import Edition
from mailer.preflight import Finding, Place


@dataclass(frozen=True)
class Shown:
    finding: Finding
    link: str  # empty where no page of the admin mends it
    mend: str  # what the link says


def page(request: HttpRequest, pk: int) -> HttpResponse:
    """GET checks; POST calls the other sites that the edition's texts link to."""
    edition = acts.edition_for(request, pk, "mailer.view_edition")
    urls = link_checks.of(edition)
    if request.method == "POST":
        wrong = [url for url, said in link_checks.check(urls).items() if said]
        messages.info(request, f"{acts.many(len(urls), 'link')} checked, {len(wrong)} wrong.")
        return redirect(request.path)
    findings = of(edition)
    return acts.show(
        request,
        edition,
        "checks",
        findings=findings,
        blocking=sum(shown.finding.is_blocking for shown in findings),
        urls=urls,
        unasked=len(urls) - len(link_checks.known(urls)),
    )


def of(edition: Edition) -> list[Shown]:
    return [Shown(finding, *_way_to(finding, edition)) for finding in preflight.check(edition)]


def _way_to(finding: Finding, edition: Edition) -> tuple[str, str]:
    if finding.place is Place.ARTICLE:
        article = reverse("admin:articles_article_change", args=[finding.number])
        return article, "Mend in the article"
    if finding.place is Place.SETTINGS:
        return "", "An operator mends this in the settings."
    if finding.place is Place.READERS:
        return reverse("admin:mailer_edition_readers", args=[edition.pk]), "Readers"
    words = {Place.ITEMS: "Items", Place.SUBJECT: "Subject"}
    return reverse("admin:mailer_edition_compose", args=[edition.pk]), words[finding.place]
