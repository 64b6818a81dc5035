"""What people do about endpoints: make them, test them, change their secret, switch them."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from iria_news import fetching
from subscribers.models import CallState, EventKind, WebhookCall, WebhookEndpoint, WebhookEvent
from subscribers.webhooks import bell, events, signing
from subscribers.webhooks.events import Happening

BOTH_SECRETS_FOR = timedelta(hours=24)  # after a change; docs/webhooks.md and the admin say so


class BadAddress(Exception):
    """Never to be called. The message is a sentence for the person who typed it."""


def check_address(url: str) -> None:
    """Raise BadAddress unless the spelling of an address is one we may call.

    Where its name leads to is looked at before every call: today's answer may change tomorrow.
    """
    try:
        host = fetching.check(url).hostname or ""
    except fetching.FetchFailed as problem:
        raise BadAddress(str(problem)) from problem
    try:
        public = fetching.is_public(host)
    except ValueError:
        return  # a name, not a number
    if not public:
        raise BadAddress(f"{host} is a private address, and those are not called.")


def create(*, name: str, url: str, events: Sequence[str], by: User) -> WebhookEndpoint:
    """A new endpoint, switched on. Show its secret to `by` now: it is shown nowhere else."""
    return WebhookEndpoint.objects.create(
        name=name, url=url, events=list(events), created_by=by, secret=signing.new_secret()
    )


def change(endpoint: WebhookEndpoint, *, name: str, url: str, events: Sequence[str]) -> None:
    """What people choose, and nothing else. A new address begins with a clean slate."""
    rows = WebhookEndpoint.objects.filter(pk=endpoint.pk)
    with transaction.atomic():
        rows.exclude(url=url).update(failing_since=None)
        rows.update(name=name, url=url, events=list(events))


def remove(endpoint: WebhookEndpoint) -> None:
    """Delete it with its log. Its events go when their time is over, or with their readers."""
    with transaction.atomic():
        endpoint.calls.all().delete()
        WebhookEndpoint.objects.filter(pk=endpoint.pk).delete()


def rotate(endpoint: WebhookEndpoint) -> str:
    """Give the endpoint a new secret and return it; the old one signs beside it for 24 hours.

    Twice within a day: the first of the three is gone.
    """
    secret = signing.new_secret()
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(
        previous_secret=F("secret"), previous_until=Now() + BOTH_SECRETS_FOR, secret=secret
    )
    return secret


def secrets_of(endpoint: WebhookEndpoint, now: datetime) -> list[str]:
    """What signs a call at `now`: the secret, and for a day after a change the one before it."""
    both = endpoint.previous_until is not None and now < endpoint.previous_until
    return [endpoint.secret, endpoint.previous_secret] if both else [endpoint.secret]


def switch_off(endpoint_id: int, *, because: str) -> bool:
    """No more calls, and nothing is written down for it; False if it was off before.

    What waits, waits, and is told when it is switched on within 30 days.
    """
    on = WebhookEndpoint.objects.filter(pk=endpoint_id, is_active=True)
    return bool(on.update(is_active=False, off_because=because[:200]))


def switch_on(endpoint_id: int) -> bool:
    """Call it again, with what waited first; False if it was on before."""
    with transaction.atomic():
        off = WebhookEndpoint.objects.filter(pk=endpoint_id, is_active=False)
        done = off.update(is_active=True, off_because="", failing_since=None)
        bell.ring_after_commit()
    return bool(done)


def test(endpoint: WebhookEndpoint) -> WebhookEvent:
    """Write down a test event for this endpoint alone, whatever else it wants to be told."""
    with transaction.atomic():
        return events.write(Happening(EventKind.TEST), [endpoint.pk])


def resend(call: WebhookCall) -> bool:
    """Tell it once more, with the same webhook-id; False while it waits or is under way.

    A call that was given up has one more try; one that was taken begins its tries where it was.
    """
    with transaction.atomic():
        settled = WebhookCall.objects.filter(
            pk=call.pk, state__in=[CallState.TAKEN, CallState.GIVEN_UP]
        )
        done = settled.update(state=CallState.WAITING, not_before=Now(), settled_at=None)
        bell.ring_after_commit()
    return bool(done)
