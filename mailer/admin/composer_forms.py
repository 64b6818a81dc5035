"""What an editor types on the composer's page, checked before it reaches a mail (W9, W10)."""

from django import forms
from django.core.exceptions import ValidationError

from iria_news.articles.admin import PictureField
from iria_news.frame import plain_text
from iria_news.mail import headers
from mailer.composing_texts import PictureWords, Texts
from mailer.models import Edition, EditionArticle

LINES = forms.Textarea(attrs={"rows": 4})


def check_plain(text: str) -> None:
    """Refuse what no mail can say: control characters, and those that turn text around."""
    plain_text.check_direction(text)
    try:
        headers.checked(headers.one_line(text))
    except headers.BadHeader as error:
        raise ValidationError(
            "There is a control character in it. Type it anew instead of pasting it."
        ) from error


def _text(column, label: str, *, widget=None, help_text="") -> forms.CharField:
    """A field for one of the columns of text that a mail shows."""
    return forms.CharField(
        label=label,
        max_length=column.field.max_length,
        required=False,
        validators=[check_plain],
        widget=widget or forms.TextInput,
        help_text=help_text,
    )


class TextsForm(forms.Form):
    subject = _text(Edition.subject, "Subject", help_text="Empty: made for each reader's articles.")
    preheader = _text(
        Edition.preheader, "Preheader", help_text="What lists of mails show behind the subject."
    )
    introduction = _text(
        Edition.introduction,
        "Introduction",
        widget=LINES,
        help_text="Plain text above the articles. An empty line begins a paragraph.",
    )
    note = _text(
        Edition.note, "Note", widget=LINES, help_text="Plain text below the articles, likewise."
    )

    def texts(self) -> Texts:
        return Texts(**self.cleaned_data)


class BlurbForm(forms.Form):
    blurb = _text(EditionArticle.blurb, "Blurb", widget=forms.Textarea(attrs={"rows": 3}))


class PictureForm(forms.Form):
    picture = PictureField(
        required=False, help_text="JPEG, PNG, WebP or GIF; mails show it 600 pixels wide."
    )
    alt = _text(Edition.picture_alt, "What it shows", help_text="For readers who cannot see it.")
    caption = _text(Edition.picture_caption, "Caption", help_text="What it means.")
    credit = _text(Edition.picture_credit, "Credit", help_text="Whose it is.")

    def __init__(self, *args, has_picture: bool, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.has_picture = has_picture

    def clean(self) -> dict[str, object]:
        values = super().clean() or {}
        if not (self.has_picture or values.get("picture")):
            if "picture" not in self.errors:
                self.add_error("picture", "Choose a file.")
            return values
        if not values.get("alt"):
            self.add_error("alt", "Say what the picture shows, for readers who cannot see it.")
        if not values.get("credit"):
            self.add_error("credit", "Say whose the picture is.")
        return values

    def words(self) -> PictureWords:
        return PictureWords(**{key: self.cleaned_data[key] for key in ("alt", "caption", "credit")})


class VersionForm(forms.Form):
    """Which version of the draft a person has read."""

    version = forms.IntegerField(widget=forms.HiddenInput)
