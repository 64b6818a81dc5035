"""The composer's page: what a draft carries, what it leaves out, and what it says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib import admin
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from mailer import composing_changes, composing_order, contents, corrections, suggesting
from mailer.admin import composer_forms
from mailer.contents import Facts, Item
from mailer.models import Edition, EditionArticle


@dataclass(frozen=True)
class Shown:
    """Something that went wrong, and what the person had typed: nothing of it is lost."""

    problem: str = ""
    status: int = 200
    forms: Mapping[str, Form] = field(default_factory=dict)  # "texts" or "picture"
    blurb: tuple[int, Form] | None = None  # of this article


@dataclass(frozen=True)
class Row:
    """An article in its place."""

    row: EditionArticle
    item: Item
    form: Form
    is_open: bool  # its blurb is being written


def show(request: HttpRequest, edition: Edition, shown: Shown | None = None) -> HttpResponse:
    """The whole page, in a constant number of statements."""
    shown = shown or Shown()
    rows = list(edition.items.select_related("article").defer("article__body").order_by("bit"))
    facts, items = contents.load(edition.pk, sum(row.bit for row in rows))
    context = {
        **admin.site.each_context(request),
        "title": f"Compose {edition.newsletter}",
        "original": edition,
        "edition": edition,
        "slot": slot_in_words(edition),
        "problem": shown.problem,
        "last_change": composing_changes.last_change(edition),
        "rows": _rows(rows, items, shown),
        "left_out": edition.left_out.select_related("article", "by").order_by("at", "pk"),
        "corrections": corrections.of_edition(edition),
        "no_place": composing_order.found_no_place(edition),
        "texts": shown.forms.get("texts") or _texts(edition),
        "picture": shown.forms.get("picture") or _picture(edition),
        **_inbox(edition, facts, items),
    }
    page = "admin/mailer/composer/page.html"
    return TemplateResponse(request, page, context, status=shown.status)


def slot_in_words(edition: Edition) -> str:
    """Its slot as a clock on the wall of the newsletter's zone shows it."""
    wall = edition.slot.astimezone(ZoneInfo(edition.newsletter.zone))
    return f"{wall:%A} {wall.day} {wall:%B %Y}, {wall:%H:%M} {edition.newsletter.zone}"


def _rows(rows: Sequence[EditionArticle], items: Sequence[Item], shown: Shown) -> list[Row]:
    found = []
    for row, item in zip(rows, items, strict=True):
        is_open = shown.blurb is not None and shown.blurb[0] == row.article_id
        form = shown.blurb[1] if shown.blurb and is_open else _blurb(row)
        found.append(Row(row, item, form, is_open))
    return found


def _blurb(row: EditionArticle) -> Form:
    named = f"blurb-{row.article_id}"  # every item has one
    return composer_forms.BlurbForm(initial={"blurb": row.blurb}, auto_id=named)


def _texts(edition: Edition) -> Form:
    names = ("subject", "preheader", "introduction", "note")
    return composer_forms.TextsForm(initial={name: getattr(edition, name) for name in names})


def _picture(edition: Edition) -> Form:
    words = {name: getattr(edition, f"picture_{name}") for name in ("alt", "caption", "credit")}
    return composer_forms.PictureForm(initial=words, has_picture=bool(edition.picture))


def _inbox(edition: Edition, facts: Facts, items: Sequence[Item]) -> dict[str, object]:
    """The line of a list of mails, what else it could be, and what speaks against it."""
    subjects, preheader = suggesting.subjects(facts, items), suggesting.preheader(items)
    made = subjects[0] if subjects else ""
    last = last_subject(edition)
    return {
        "sender": settings.SITE_NAME,
        "subjects": subjects,
        "subject_made": made,
        "subject_shown": edition.subject or made,
        "preheader_made": preheader,
        "preheader_shown": edition.preheader or preheader,
        "last_subject": last,
        "warnings": suggesting.warnings(edition.subject or made, last=last),
        "long_subject": suggesting.LONG_SUBJECT,
        "phone": suggesting.PHONE,
        "preheader_from": suggesting.PREHEADER[0],
        "preheader_to": suggesting.PREHEADER[1],
    }


def last_subject(edition: Edition) -> str:
    """The subject, or the lead, of the newsletter's edition before this one; empty without one."""
    before = edition.newsletter.editions.regular().gone_out().filter(slot__lt=edition.slot)
    last = before.order_by("-slot").first()
    if last is None or last.subject:
        return last.subject if last else ""
    return last.items.order_by("bit").values_list("article__title", flat=True).first() or ""
