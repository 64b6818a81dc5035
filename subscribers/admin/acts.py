"""What staff do for or about one reader. Each asks by GET, acts by POST, and is written down."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from iria_news.frame import asking
from iria_news.frame.asking import NoFields, Question
from subscribers import on_request, suppression
from subscribers.admin import personal_data, standing
from subscribers.admin.suppressions import NoteForm
from subscribers.models import Subscriber, Subscription, SuppressionReason


def suppress(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop every mail to this address."""
    subscriber = standing.subscriber(request, pk, "subscribers.add_suppression")
    form = NoteForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        done = suppression.suppress(
            subscriber.address_hash, SuppressionReason.OPERATOR, note=form.cleaned_data["note"]
        )
        if done:
            standing.log(request, subscriber, "Stopped every mail.")
            messages.success(request, "Stopped: no more mail.")
        else:
            messages.warning(request, "It was stopped before.")
        return redirect(standing.path(subscriber))
    question = Question(
        title="Suppress",
        question=f"Stop every mail to {subscriber.address}?",
        sentences=[
            "All subscriptions end now.",
            "Only a new sign-up with confirmation, by its reader, lifts it again.",
        ],
        button="Stop mail to 1 address",
        back=standing.path(subscriber),
        is_grave=True,
    )
    return asking.ask(request, question, form)


def mail_link(request: HttpRequest, pk: int) -> HttpResponse:
    """Send the preferences link to its owner."""
    subscriber = standing.subscriber(request, pk, "subscribers.mail_link_to_subscriber")
    if request.method == "POST":
        _mail_link(request, subscriber)
        return redirect(standing.path(subscriber))
    question = Question(
        title="Mail the preferences link",
        question=f"Mail the preferences link to {subscriber.address}?",
        sentences=[
            "Behind it they choose newsletters, topics and hours, pause, leave, or take their data."
        ],
        button="Mail 1 link",
        back=standing.path(subscriber),
    )
    return asking.ask(request, question, NoFields())


def _mail_link(request: HttpRequest, subscriber: Subscriber) -> None:
    try:
        asked = on_request.mail_link(subscriber)
    except on_request.NoMailGoesThere:
        messages.warning(
            request,
            "No mail was sent: they have not confirmed yet, or we stopped writing to this address.",
        )
        return
    if asked:
        standing.log(request, subscriber, "Had the preferences link mailed.")
        messages.success(request, "The link is on its way.")
    else:
        messages.warning(
            request,
            "No mail was sent: one went there in the last 15 minutes, or three in the last day.",
        )


class PlaceField(forms.ModelChoiceField):
    def label_from_instance(self, place: Subscription) -> str:
        return str(place.newsletter)


class PlaceForm(forms.Form):
    """Which of a person's open subscriptions."""

    place = PlaceField(
        Subscription.objects.none(),
        label="Which subscription",
        widget=forms.RadioSelect,
        empty_label=None,
        error_messages={
            "required": "Choose the subscription that ends.",
            "invalid_choice": "This subscription has ended already. Choose another, or go back.",
        },
    )

    def __init__(self, data=None, *, subscriber: Subscriber, **kwargs) -> None:
        super().__init__(data, **kwargs)
        field = self.fields["place"]
        assert isinstance(field, PlaceField)
        field.queryset = subscriber.subscriptions.open().select_related("newsletter")


def end(request: HttpRequest, pk: int) -> HttpResponse:
    """End one subscription, as its reader has asked us to."""
    subscriber = standing.subscriber(request, pk, "subscribers.end_subscription")
    form = PlaceForm(
        request.POST if request.method == "POST" else None,
        subscriber=subscriber,
        initial={"place": request.GET.get("place")},
    )
    if request.method == "POST" and form.is_valid():
        place = form.cleaned_data["place"]
        if on_request.end(place):
            standing.log(request, subscriber, f"Ended {place.newsletter} on request.")
            messages.success(request, f"Ended: no more {place.newsletter}.")
        else:
            messages.warning(request, f"{place.newsletter} had ended before.")
        return redirect(standing.path(subscriber))
    there_are_some = subscriber.subscriptions.open().exists()
    question = Question(
        title="End a subscription",
        question=f"End a subscription of {subscriber.address}?"
        if there_are_some
        else "There is no subscription to end.",
        sentences=["It ends now, and nothing tells them: answer their letter."]
        if there_are_some
        else [],
        button="End 1 subscription" if there_are_some else "",
        back=standing.path(subscriber),
    )
    return asking.ask(request, question, form if there_are_some else NoFields())


PAGES = {
    "suppress": suppress,
    "mail-link": mail_link,
    "end": end,
    **personal_data.PAGES,
}
