"""Step 2a, a person words a draft: blurbs, subject, introduction, note, picture, grouping.

Every function is a change of one version of the draft: see `composing_changes.changing`.
"""

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.core.files.base import ContentFile

from iria_news.mail import headers
from mailer.composing_changes import NoSuchItem, changing
from mailer.models import Edition


@dataclass(frozen=True)
class Texts:
    """What an edition says besides its articles. Empty subject and preheader are made from them."""

    subject: str = ""
    preheader: str = ""
    introduction: str = ""  # plain text; an empty line parts paragraphs
    note: str = ""  # likewise


@dataclass(frozen=True)
class PictureWords:
    """What belongs to a picture."""

    alt: str
    caption: str = ""
    credit: str = ""


def rewrite_blurb(edition: Edition, *, version: int, by: User, article: int, blurb: str) -> None:
    """Say this in place of an article's standfirst; empty means the standfirst again."""
    with changing(edition, version=version, by=by, what="Changed a blurb."):
        written = headers.one_line(blurb)
        if not edition.items.filter(article=article).update(blurb=written):
            raise NoSuchItem


def set_texts(edition: Edition, *, version: int, by: User, texts: Texts) -> None:
    with changing(edition, version=version, by=by, what="Changed the texts."):
        edition.subject = headers.one_line(texts.subject)
        edition.preheader = headers.one_line(texts.preheader)
        edition.introduction = _lines(texts.introduction)
        edition.note = _lines(texts.note)
        edition.save(update_fields=["subject", "preheader", "introduction", "note"])


def set_picture(
    edition: Edition,
    *,
    version: int,
    by: User,
    words: PictureWords,
    picture: "ContentFile[bytes] | None" = None,
) -> None:
    """Give the edition a picture, which `pictures.checked` has seen; None keeps the one it has.

    A file that another replaces stays in storage: test mails that were sent show it.
    """
    with changing(edition, version=version, by=by, what="Changed the picture."):
        if picture is not None:
            edition.picture.save(picture.name or "picture", picture, save=False)
        edition.picture_alt = headers.one_line(words.alt)
        edition.picture_caption = headers.one_line(words.caption)
        edition.picture_credit = headers.one_line(words.credit)
        _save_picture(edition)


def remove_picture(edition: Edition, *, version: int, by: User) -> None:
    with changing(edition, version=version, by=by, what="Took the picture out."):
        edition.picture = ""
        edition.picture_width = edition.picture_height = None
        edition.picture_alt = edition.picture_caption = edition.picture_credit = ""
        _save_picture(edition)


def set_by_topic(edition: Edition, *, version: int, by: User, by_topic: bool) -> None:
    """Group the articles by topic, or let them stand in their order."""
    what = "Grouped by topic." if by_topic else "Took the grouping by topic away."
    with changing(edition, version=version, by=by, what=what):
        edition.by_topic = by_topic
        edition.save(update_fields=["by_topic"])


def _save_picture(edition: Edition) -> None:
    names = ["picture", "picture_width", "picture_height"]
    words = ["picture_alt", "picture_caption", "picture_credit"]
    edition.save(update_fields=names + words)


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()
