"""The form above the list of subscribers. It is read by GET, so it never takes an address."""

from django import forms

from iria_news.articles.models import Language, Topic
from subscribers.finding import Criteria
from subscribers.models import Newsletter, SubscriberImport, SubscriberState

ANY = "any"
YES_OR_NO = [("", ANY), ("yes", "yes"), ("no", "no")]
DAY = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


def _answer(text: str) -> bool | None:
    return {"yes": True, "no": False}.get(text)


class FindingForm(forms.Form):
    """Every field may stay empty."""

    state = forms.ChoiceField(required=False, choices=[("", ANY), *SubscriberState.choices])
    newsletter = forms.ModelChoiceField(Newsletter.objects.all(), required=False, empty_label=ANY)
    topic = forms.ModelChoiceField(Topic.objects.all(), required=False, empty_label=ANY)
    suppressed = forms.ChoiceField(required=False, choices=YES_OR_NO)
    paused = forms.ChoiceField(required=False, choices=YES_OR_NO)
    text_only = forms.ChoiceField(required=False, choices=YES_OR_NO)
    joined_from = forms.DateField(
        required=False, widget=DAY, label="Joined from", input_formats=["%Y-%m-%d"]
    )
    joined_until = forms.DateField(
        required=False, widget=DAY, label="Joined until", input_formats=["%Y-%m-%d"]
    )
    language = forms.ChoiceField(required=False, choices=[("", ANY), *Language.choices])
    imported_by = forms.ModelChoiceField(
        SubscriberImport.objects.all(), required=False, empty_label=ANY
    )

    def criteria(self) -> Criteria:
        """What was chosen; of what makes no sense, nothing, and the form says so."""
        self.is_valid()
        chosen = {name: of for name, of in self.cleaned_data.items() if of}
        for name in ("suppressed", "paused", "text_only"):
            chosen[name] = _answer(chosen.get(name, ""))
        return Criteria(**chosen)

    def asks_for_something(self) -> bool:
        return any(self.data.get(name) for name in NAMES)


NAMES = frozenset(FindingForm.base_fields)
