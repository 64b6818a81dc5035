"""Own pages for what one does about endpoints and calls. GET asks, POST acts, and is logged."""

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from iria_news.frame import asking
from iria_news.frame.asking import NoFields, Question
from subscribers.models import CallState, WebhookCall, WebhookEndpoint
from subscribers.webhooks import endpoints

PERMISSION = "subscribers.change_webhookendpoint"


class SwitchForm(forms.Form):
    to = forms.ChoiceField(choices=[("on", "on"), ("off", "off")], widget=forms.HiddenInput)


def test(request: HttpRequest, pk: int) -> HttpResponse:
    endpoint = _endpoint(request, pk)
    if request.method == "POST":
        event = endpoints.test(endpoint)
        _log(request, endpoint, "Sent a test.")
        messages.success(request, "A test is on its way. Its line below says what came of it.")
        return redirect(_calls_of(endpoint) if event else _path(endpoint))
    sentences = ["It has the kind webhook.test and is signed like every other call."]
    if not endpoint.is_active:
        sentences.append("The endpoint is off, so the test waits until it is switched on.")
    return _ask(request, endpoint, "Send a test", sentences, button="Send 1 test")


def rotate(request: HttpRequest, pk: int) -> HttpResponse:
    endpoint = _endpoint(request, pk)
    if request.method == "POST":
        secret = endpoints.rotate(endpoint)
        _log(request, endpoint, "Changed the secret.")
        return show_secret(request, endpoint, secret, title="Secret changed")
    sentences = [
        "The new secret is shown once. For 24 hours each call is signed with both of them.",
        "Change it twice in that time, and the secret of now is worth nothing at once.",
    ]
    return _ask(request, endpoint, "Change the secret", sentences, button="Change 1 secret")


def switch(request: HttpRequest, pk: int) -> HttpResponse:
    """Off if it is on, on if it is off."""
    endpoint = _endpoint(request, pk)
    posted = SwitchForm(request.POST if request.method == "POST" else None)
    if posted.is_valid():
        return _switch(request, endpoint, to=posted.cleaned_data["to"])
    if endpoint.is_active:
        form, verb = SwitchForm(initial={"to": "off"}), "Switch off"
        sentences = [
            "It is told nothing of what happens from now on.",
            "Calls that wait go on if it is switched on within 30 days.",
        ]
    else:
        waiting = endpoint.calls.filter(state=CallState.WAITING).count()
        form, verb = SwitchForm(initial={"to": "on"}), "Switch on"
        sentences = [
            endpoint.off_because,
            f"Calls that wait, now {waiting:,}, are made. What happened meanwhile is not told.",
        ]
    return asking.ask(request, _question(endpoint, verb, sentences, button=verb), form)


def _switch(request: HttpRequest, endpoint: WebhookEndpoint, *, to: str) -> HttpResponse:
    """As the page said when it was shown: two people who press at once do not undo each other."""
    if to == "off":
        done = endpoints.switch_off(endpoint.pk, because=f"By {asking.person(request)}.")
        said = "Switched off."
    else:
        done, said = endpoints.switch_on(endpoint.pk), "Switched on."
    if done:
        _log(request, endpoint, said)
        messages.success(request, said)
    else:
        messages.warning(request, "Too late, nothing changed. Look again.")
    return redirect(_path(endpoint))


def remove(request: HttpRequest, endpoint: WebhookEndpoint | None) -> HttpResponse:
    if not request.user.has_perm("subscribers.delete_webhookendpoint"):
        raise PermissionDenied
    if endpoint is None:
        raise Http404
    if request.method == "POST":
        _log(request, endpoint, "Deleted.", flag=DELETION)
        endpoints.remove(endpoint)
        messages.success(request, f"{endpoint.name} is called no more, and its log is gone.")
        return redirect("admin:subscribers_webhookendpoint_changelist")
    waiting = endpoint.calls.filter(state=CallState.WAITING).count()
    sentences = [
        f"Calls that wait, now {waiting:,}, are never made. The log goes with it.",
        "To keep the log, switch it off instead.",
    ]
    question = _question(endpoint, "Delete", sentences, button="Delete 1 endpoint", is_grave=True)
    return asking.ask(request, question, NoFields())


def resend(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a call once more, with the same webhook-id."""
    if not request.user.has_perms([PERMISSION, "subscribers.view_webhookcall"]):
        raise PermissionDenied
    call = get_object_or_404(WebhookCall.objects.select_related("endpoint", "event"), pk=pk)
    if request.method == "POST":
        if endpoints.resend(call):
            _log(request, call.endpoint, f"Sent call {call.pk} again.")
            messages.success(request, "It is on its way again.")
        else:
            messages.warning(request, "Nothing changed: it waits, or is under way, already.")
        return redirect("admin:subscribers_webhookcall_change", call.pk)
    question = Question(
        title="Send again",
        question=f"Tell {call.endpoint} about {call.event.kind} once more?",
        sentences=["It has the same webhook-id, so the other side can tell a copy."],
        button="Send 1 call",
        back=reverse("admin:subscribers_webhookcall_change", args=[call.pk]),
    )
    return asking.ask(request, question, NoFields())


PAGES = {"test": test, "rotate": rotate, "switch": switch}


def show_secret(
    request: HttpRequest, endpoint: WebhookEndpoint, secret: str, *, title: str
) -> HttpResponse:
    """The only page that ever shows it: the answer to the POST that made it, kept nowhere."""
    context = {
        **admin.site.each_context(request),
        "title": title,
        "endpoint": endpoint,
        "secret": secret,
    }
    answer = TemplateResponse(request, "admin/subscribers/webhookendpoint/secret.html", context)
    answer["Cache-Control"] = "no-store"
    return answer


def _endpoint(request: HttpRequest, pk: int) -> WebhookEndpoint:
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    return get_object_or_404(WebhookEndpoint, pk=pk)


def _question(
    endpoint: WebhookEndpoint,
    verb: str,
    sentences: list[str],
    *,
    button: str,
    is_grave: bool = False,
) -> Question:
    return Question(
        title=verb,
        question=f"{verb}: {endpoint.name}?",
        sentences=sentences,
        button=button,
        back=_path(endpoint),
        is_grave=is_grave,
    )


def _ask(
    request: HttpRequest,
    endpoint: WebhookEndpoint,
    verb: str,
    sentences: list[str],
    *,
    button: str,
) -> HttpResponse:
    return asking.ask(request, _question(endpoint, verb, sentences, button=button), NoFields())


def _log(
    request: HttpRequest, endpoint: WebhookEndpoint, sentence: str, *, flag: int = CHANGE
) -> None:
    LogEntry.objects.log_actions(
        asking.person(request).pk, [endpoint], flag, sentence, single_object=True
    )


def _path(endpoint: WebhookEndpoint) -> str:
    return reverse("admin:subscribers_webhookendpoint_change", args=[endpoint.pk])


def _calls_of(endpoint: WebhookEndpoint) -> str:
    return (
        reverse("admin:subscribers_webhookcall_changelist") + f"?endpoint__id__exact={endpoint.pk}"
    )
