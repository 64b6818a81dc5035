"""The moment at which a person was asked, signed: an act that is pressed twice is done once."""

from datetime import datetime, timedelta

from django import forms
from django.core import signing
from django.db.models import Model
from django.utils import timezone

MOMENT_LASTS = timedelta(hours=1)  # later the numbers on the page are no longer what was read
SALT = "mailer.admin.moments"


class MomentForm(forms.Form):
    """Carries the moment; what is done about `about` twice at one moment names the same edition."""

    moment = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, data=None, *, about: Model) -> None:
        self.about = [type(about).__name__, about.pk]
        written = signing.dumps([*self.about, timezone.now().isoformat()], salt=SALT)
        super().__init__(data, initial={"moment": written})

    def clean_moment(self) -> datetime:
        try:
            *about, moment = signing.loads(
                self.cleaned_data["moment"], salt=SALT, max_age=MOMENT_LASTS
            )
        except signing.BadSignature as error:
            raise forms.ValidationError("This page is too old.") from error
        if about != self.about:
            raise forms.ValidationError("This page was for something else.")
        return datetime.fromisoformat(moment)
