"""What every act on one subscriber begins and ends with: who may, on whom, and the audit line."""

from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.urls import reverse

from iria_news.frame import asking
from subscribers.models import Subscriber, SubscriberState


def subscriber(request: HttpRequest, pk: int, permission: str) -> Subscriber:
    """Whom the act is about. 403 without the permission, 404 when there is nobody (any more)."""
    if not request.user.has_perms(["subscribers.view_subscriber", permission]):
        raise PermissionDenied
    return get_object_or_404(Subscriber.objects.exclude(state=SubscriberState.ERASED), pk=pk)


def log(request: HttpRequest, about: Subscriber, sentence: str) -> None:
    """Who did what, and when. The log outlives the person, so no address stands in it."""
    LogEntry.objects.log_actions(
        asking.person(request).pk, [about], CHANGE, sentence, single_object=True
    )


def path(about: Subscriber) -> str:
    return reverse("admin:subscribers_subscriber_change", args=[about.pk])
