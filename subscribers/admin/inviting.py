"""Inviting readers to a private newsletter: paste, see what would happen, invite; and who waits."""

from collections import Counter

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from iria_news.articles.models import Topic
from iria_news.frame import admin_base, asking
from subscribers import addresses, invitations
from subscribers.invitations import Invited
from subscribers.models import Newsletter, Subscription

AT_ONCE = 500  # addresses; more come in a file, by an import
LONGEST = AT_ONCE * (addresses.LONGEST + 2)  # characters of what is pasted
REASONS_SHOWN = 10  # of addresses that cannot be right
WAITING_EACH = 100  # on one page


class InviteForm(forms.Form):
    addresses = forms.CharField(
        max_length=LONGEST,
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false"}),
        help_text=f"One on each line, or with commas between; at most {AT_ONCE}.",
        error_messages={"required": "Paste at least one address."},
    )
    topics = forms.ModelMultipleChoiceField(
        Topic.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None ticked means all that it carries.",
    )

    def __init__(self, data=None, *, newsletter: Newsletter) -> None:
        super().__init__(data)
        its_own = newsletter.topics.all()
        field = self.fields["topics"]
        assert isinstance(field, forms.ModelMultipleChoiceField)
        field.queryset = its_own if its_own.exists() else Topic.objects.all()

    def clean_addresses(self) -> list[str]:
        pasted = self.cleaned_data["addresses"].replace(",", "\n").replace(";", "\n")
        found = [line.strip() for line in pasted.splitlines() if line.strip()]
        if len(found) > AT_ONCE:
            raise forms.ValidationError(
                f"These are {len(found):,} addresses. Invite at most {AT_ONCE} at once, "
                "or import them as a file."
            )
        if not found:
            raise forms.ValidationError("Paste at least one address.")
        return found


def invite(request: HttpRequest, pk: int) -> HttpResponse:
    """GET asks for addresses; POST says what would happen, and with its button pressed acts."""
    newsletter = _private(request, pk)
    form = InviteForm(request.POST if request.method == "POST" else None, newsletter=newsletter)
    if not newsletter.is_private or not newsletter.is_active:
        return _nothing_to_invite_to(request, newsletter)
    if request.method != "POST" or not form.is_valid():
        return _show(request, newsletter, form)
    try:
        if "invite" not in request.POST:
            return _show(request, newsletter, form, look=_rehearse(request, newsletter, form))
        done = _invite(request, newsletter, form)
    except invitations.NoTopic as reason:
        form.add_error("topics", str(reason))
        return _show(request, newsletter, form)
    LogEntry.objects.log_actions(
        *(asking.person(request).pk, [newsletter], CHANGE, f"Invited {_people(done.invited)}."),
        single_object=True,
    )
    messages.success(request, f"Invited: {_people(done.invited)}. Their mails are on their way.")
    return redirect("admin:subscribers_newsletter_invited", newsletter.pk)


def invited(request: HttpRequest, pk: int) -> HttpResponse:
    """Who was invited and has not answered, latest first."""
    newsletter = _private(request, pk, "subscribers.view_subscriber")
    waiting = Subscription.objects.asked_for().filter(newsletter=newsletter)
    rows = waiting.select_related("subscriber").order_by("-pk")
    paginator = admin_base.EndlessPaginator(rows, WAITING_EACH)
    page = paginator.get_page(request.GET.get("page"))
    context = {
        **admin.site.each_context(request),
        "title": f"Invited to {newsletter}",
        "newsletter": newsletter,
        "page": page,
        "has_older": len(page) == WAITING_EACH,
    }
    return TemplateResponse(request, "admin/subscribers/newsletter/invited.html", context)


def _private(request: HttpRequest, pk: int, *more: str) -> Newsletter:
    if not request.user.has_perms(["subscribers.invite_subscription", *more]):
        raise PermissionDenied
    return get_object_or_404(Newsletter, pk=pk)


def _invite(request: HttpRequest, newsletter: Newsletter, form: InviteForm) -> Invited:
    return invitations.invite(
        newsletter,
        form.cleaned_data["addresses"],
        by=asking.person(request),
        topics=list(form.cleaned_data["topics"]) or None,
    )


def _rehearse(request: HttpRequest, newsletter: Newsletter, form: InviteForm) -> Invited:
    """The very act, taken back: so its numbers are those of the act, and nothing is written."""
    with transaction.atomic():
        would = _invite(request, newsletter, form)
        transaction.set_rollback(True)
    return would


def _show(
    request: HttpRequest, newsletter: Newsletter, form: InviteForm, *, look: Invited | None = None
) -> HttpResponse:
    reasons = Counter(look.invalid if look else []).most_common(REASONS_SHOWN)
    context = {
        **admin.site.each_context(request),
        "title": f"Invite readers to {newsletter}",
        "newsletter": newsletter,
        "form": form,
        "look": look,
        "invalid": len(look.invalid) if look else 0,
        "reasons": [reason for reason, _ in reasons],
        "button": f"Invite {_people(look.invited)}" if look and look.invited else "",
        "back": reverse("admin:subscribers_newsletter_change", args=[newsletter.pk]),
    }
    return TemplateResponse(
        request,
        "admin/subscribers/newsletter/invite.html",
        context,
        status=422 if form.errors else 200,
    )


def _nothing_to_invite_to(request: HttpRequest, newsletter: Newsletter) -> HttpResponse:
    question = asking.Question(
        title="Invite readers",
        question=f"Nobody is invited to {newsletter}.",
        sentences=[
            "It is switched off: nobody can join it."
            if not newsletter.is_active
            else "Anybody may join it by the form on the site. Only private ones take invitations."
        ],
        back=reverse("admin:subscribers_newsletter_change", args=[newsletter.pk]),
    )
    return asking.ask(request, question, asking.NoFields())


def _people(number: int) -> str:
    return f"{number:,} {'person' if number == 1 else 'people'}"


PAGES = {"invite": invite, "invited": invited}
