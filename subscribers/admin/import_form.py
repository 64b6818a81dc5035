"""What is asked for besides a file of readers."""

from django import forms

from iria_news.articles.models import Topic
from iria_news.frame import admin_base
from subscribers.importing.pages import Plan
from subscribers.models import Newsletter, Proof


class UploadForm(forms.Form):
    file = forms.FileField(
        label="CSV file",
        help_text="With a row of column names, of which “email” is needed. Others that are read: "
        "name, newsletter, topics, language, zone, hour, consented_at, consent_source, state.",
    )
    newsletters = forms.ModelMultipleChoiceField(
        Newsletter.objects.filter(is_active=True),
        required=False,
        widget=admin_base.CheckboxSelectMultiple,
        help_text="For rows that name none.",
    )
    topics = forms.ModelMultipleChoiceField(
        Topic.objects.all(),
        required=False,
        widget=admin_base.CheckboxSelectMultiple,
        help_text="For rows that name none. None ticked means all.",
    )
    source = forms.CharField(
        max_length=150,
        widget=admin_base.TextInput,
        help_text="Where these readers agreed, for example: paper form, conference of May 2026.",
    )
    proof = forms.ChoiceField(choices=Proof.choices, widget=admin_base.Select, initial=Proof.ASK)

    def plan(self) -> Plan:
        values = self.cleaned_data
        return Plan(
            list(values["newsletters"]),
            list(values["topics"]),
            values["source"],
            Proof(values["proof"]),
        )
