"""The page on which staff put in a reader who agreed elsewhere. The mailbox is always asked."""

from django import forms
from django.contrib import messages
from django.contrib.admin.models import ADDITION, LogEntry
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from iria_news.articles.models import Topic
from iria_news.frame import asking, plain_text
from subscribers import adding, addresses, offers
from subscribers.adding import Added
from subscribers.models import Newsletter, Subscriber

LONGEST_SOURCE = 190  # characters; "staff: " comes before it in the column of 200
SHORTEST_SOURCE = 10  # less cannot say where and when


class AddForm(forms.Form):
    address = forms.CharField(
        max_length=addresses.LONGEST, widget=forms.TextInput(attrs={"size": 40})
    )
    newsletters = forms.ModelMultipleChoiceField(
        Newsletter.objects.offered(),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Tick at least one newsletter, or there is nothing to ask."},
    )
    topics = forms.ModelMultipleChoiceField(
        Topic.objects.all(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None ticked means all topics.",
    )
    source = forms.CharField(
        min_length=SHORTEST_SOURCE,
        max_length=LONGEST_SOURCE,
        label="Where and when they agreed",
        widget=forms.TextInput(attrs={"size": 60}),
        help_text="A sentence, for example: paper form, conference of May 2026. Never an address.",
        error_messages={
            "required": "Say where and when this person agreed: it is the proof of their consent.",
            "min_length": "Say it in a sentence: where and when did this person agree?",
        },
    )

    def clean_address(self) -> addresses.Address:
        try:
            return addresses.parse(self.cleaned_data["address"])
        except addresses.BadAddress as error:
            raise forms.ValidationError(str(error)) from error

    def clean_source(self) -> str:
        source = plain_text.check_line(self.cleaned_data["source"])
        if "@" in source:
            raise forms.ValidationError(
                "This looks like an address. The sentence outlives the person: leave it out."
            )
        return source

    def clean(self) -> dict[str, object]:
        """A newsletter that carries none of the topics would have nothing to send."""
        values = super().clean() or {}
        topics = list(values.get("topics") or Topic.objects.all())
        for newsletter in values.get("newsletters") or []:
            if not offers.carried(newsletter, topics):
                self.add_error(
                    "topics", f"{newsletter} carries none of these topics. Tick one that it has."
                )
        values["topics"] = topics
        return values


SENTENCES = {
    Added.ASKED: "They get a mail that asks for confirmation. Nothing else is sent before.",
    Added.ASKED_ENOUGH: (
        "Nothing was changed: this address was asked in the last 15 minutes, three times in a day, "
        "or five times without an answer. Try again later."
    ),
    Added.ALREADY_THERE: (
        "Nothing was changed: this address is on a newsletter already. "
        "Have its preferences link mailed, and its owner chooses anew."
    ),
    Added.SUPPRESSED: (
        "Nothing was changed: we stopped writing to this address. "
        "Only its owner can come back, by signing up on the site."
    ),
}


def page(request: HttpRequest) -> HttpResponse:
    """Behind the right to add subscribers. GET shows the form, POST asks the mailbox."""
    form = AddForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        return _add(request, form)
    question = asking.Question(
        title="Add subscriber",
        question="Add a reader who agreed elsewhere",
        sentences=["They get a mail with a button, and nothing else until they press it."],
        button="Ask 1 address to confirm",
        back=reverse("admin:subscribers_subscriber_changelist"),
    )
    return asking.ask(request, question, form)


def _add(request: HttpRequest, form: AddForm) -> HttpResponse:
    chosen = form.cleaned_data
    added = adding.add(
        chosen["address"],
        newsletters=chosen["newsletters"],
        topics=chosen["topics"],
        source=chosen["source"],
    )
    subscriber = Subscriber.objects.filter(address_key=chosen["address"].key).first()
    if added is Added.ASKED and subscriber is not None:
        LogEntry.objects.log_actions(
            *(asking.person(request).pk, [subscriber], ADDITION),
            "Added by hand; asked to confirm.",
            single_object=True,
        )
        messages.success(request, SENTENCES[added])
    else:
        messages.warning(request, SENTENCES[added])
    if subscriber is None or not request.user.has_perm("subscribers.view_subscriber"):
        return redirect("admin:subscribers_subscriber_add")
    return redirect("admin:subscribers_subscriber_change", subscriber.pk)
