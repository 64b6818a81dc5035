"""The acts of the composer's page: each reads its form, calls one flow function, says what it did.

Every act is a button, so the page works without a script; the script sends the same forms.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from django.contrib.auth.models import User
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest
from django.utils.datastructures import MultiValueDict

from mailer import composing, composing_order, composing_texts
from mailer.admin import acts, composer_forms
from mailer.admin.composer_page import Shown
from mailer.composing_order import Place
from mailer.models import Edition

Files = MultiValueDict[str, UploadedFile]
NOTHING = -1  # what no article and no version has


@dataclass(frozen=True)
class Act:
    """One press of a button: on which version, and by whom."""

    request: HttpRequest
    edition: Edition
    by: User

    @property
    def name(self) -> str:
        return self.request.POST.get("act", "")

    @property
    def version(self) -> int:
        return self.number("version")

    @property
    def article(self) -> int:
        return self.number("article")

    def number(self, name: str) -> int:
        typed = self.request.POST.get(name, "")
        return int(typed) if typed.isdecimal() else NOTHING

    def has(self, name: str) -> bool:
        return name in self.request.POST

    def typed(self) -> Shown:
        """What was typed, as the page shows it again; a file has to be chosen anew."""
        if self.name == "blurb":
            return Shown(blurb=(self.article, self.blurb_form()))
        if self.name == "picture":
            return Shown(forms={"picture": self.picture_form(files=None)})
        return Shown(forms={"texts": self.texts_form()} if self.name == "texts" else {})

    def texts_form(self) -> composer_forms.TextsForm:
        """With a suggestion instead of what was typed, if one was taken."""
        values = self.request.POST.copy()
        for name in ("subject", "preheader"):
            taken = self.request.POST.get(f"take_{name}")
            if taken:
                values[name] = taken
        return composer_forms.TextsForm(values)

    def blurb_form(self) -> composer_forms.BlurbForm:
        return composer_forms.BlurbForm(self.request.POST, auto_id=f"blurb-{self.article}")

    def picture_form(self, files: Files | None) -> composer_forms.PictureForm:
        has_picture = bool(self.edition.picture)
        return composer_forms.PictureForm(self.request.POST, files, has_picture=has_picture)


@dataclass(frozen=True)
class Done:
    said: str
    anchor: str  # where the person goes on


class Mistaken(Exception):
    """What was typed cannot be saved. The page shows it again, with what is wrong."""

    def __init__(self, shown: Shown) -> None:
        super().__init__()
        self.shown = replace(shown, status=422)


def _move(act: Act) -> Done:
    place = composing_order.move(
        act.edition, version=act.version, by=act.by, article=act.article, to_rank=_rank(act)
    )
    return Done(_now_at(place), f"item-{act.article}")


def _rank(act: Act) -> int:
    if act.name == "move":
        return max(act.number("to_rank"), 0)
    order = list(act.edition.items.order_by("bit").values_list("article", flat=True))
    rank = order.index(act.article) if act.article in order else 0
    return max(rank + {"up": -1, "down": 1}[act.name], 0)


def _make_lead(act: Act) -> Done:
    place = composing_order.make_lead(
        act.edition, version=act.version, by=act.by, article=act.article
    )
    return Done(_now_at(place), f"item-{act.article}")


def _move_to_next(act: Act) -> Done:
    composing_order.drop(
        act.edition, version=act.version, by=act.by, article=act.article, for_good=False
    )
    return Done("Moved to the next edition.", "left-out")


def _drop(act: Act) -> Done:
    composing_order.drop(
        act.edition, version=act.version, by=act.by, article=act.article, for_good=True
    )
    return Done(f"Dropped: no edition of {act.edition.newsletter} carries it.", "left-out")


def _take_in(act: Act) -> Done:
    place = composing_order.take_in(
        act.edition, version=act.version, by=act.by, article=act.article
    )
    return Done(f"Taken in as item {place.number} of {place.of}.", f"item-{act.article}")


def _rewrite_blurb(act: Act) -> Done:
    form = act.blurb_form()
    if not form.is_valid():
        raise Mistaken(act.typed())
    blurb = form.cleaned_data["blurb"]
    composing_texts.rewrite_blurb(
        act.edition, version=act.version, by=act.by, article=act.article, blurb=blurb
    )
    said = "The blurb is saved." if blurb else "The article's own standfirst stands there again."
    return Done(said, f"item-{act.article}")


def _set_texts(act: Act) -> Done:
    form = act.texts_form()
    if not form.is_valid():
        raise Mistaken(act.typed())
    composing_texts.set_texts(act.edition, version=act.version, by=act.by, texts=form.texts())
    return Done("The texts are saved.", "texts")


def _set_picture(act: Act) -> Done:
    form = act.picture_form(act.request.FILES)
    if not form.is_valid():
        raise Mistaken(Shown(forms={"picture": form}))
    composing_texts.set_picture(
        act.edition,
        version=act.version,
        by=act.by,
        words=form.words(),
        picture=form.cleaned_data["picture"],
    )
    return Done("The picture is saved.", "picture")


def _remove_picture(act: Act) -> Done:
    composing_texts.remove_picture(act.edition, version=act.version, by=act.by)
    return Done("The picture is taken out.", "picture")


def _group(act: Act) -> Done:
    by_topic = act.has("by_topic")
    composing_texts.set_by_topic(act.edition, version=act.version, by=act.by, by_topic=by_topic)
    said = "Grouped by topic." if by_topic else "The articles stand in their order, ungrouped."
    return Done(said, "items")


def compose_anew(act: Act) -> Done:
    number = composing.compose(act.edition, version=act.version, by=act.by)
    return Done(f"It carries {acts.many(number, 'article')} now.", "items")


def _now_at(place: Place) -> str:
    return f"Now item {place.number} of {place.of}."


ACTS: dict[str, Callable[[Act], Done]] = {
    "up": _move,
    "down": _move,
    "move": _move,  # to a rank, as by dragging
    "lead": _make_lead,
    "next": _move_to_next,
    "drop": _drop,
    "take_in": _take_in,
    "blurb": _rewrite_blurb,
    "texts": _set_texts,
    "picture": _set_picture,
    "remove_picture": _remove_picture,
    "group": _group,
}
