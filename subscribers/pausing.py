"""A pause instead of leaving: no edition until a day, then all goes on by itself."""

from datetime import UTC, date, datetime

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from subscribers import consent, zones
from subscribers.models import ConsentKind, Subscriber


def is_paused(subscriber: Subscriber) -> bool:
    return subscriber.paused_until is not None and subscriber.paused_until > timezone.now()


def day_of(subscriber: Subscriber, until: datetime) -> date:
    """The day on which a pause ends, by the reader's clock."""
    return until.astimezone(zones.of(subscriber.zone or zones.UTC)).date()


def pause(
    subscriber: Subscriber, until: datetime, *, source: str, wording: str = consent.CHOOSE
) -> bool:
    """No edition from now until `until`; False if that is how it was already.

    A pause that is under way is made longer or shorter: it keeps its beginning, for what was
    missed since then is what there is to catch up with.
    """
    if until <= timezone.now():
        raise ValueError("A pause ends in the time to come.")
    with transaction.atomic():
        subscriber = Subscriber.objects.select_for_update().get(pk=subscriber.pk)
        under_way = is_paused(subscriber)
        if under_way and subscriber.paused_until == until:
            return False
        begins = {} if under_way else {"paused_from": Now()}
        Subscriber.objects.filter(pk=subscriber.pk).update(paused_until=until, **begins)
        what = f"{source}: pause until {until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        _record(subscriber, what, wording)
    return True


def resume(subscriber: Subscriber, *, source: str, wording: str = consent.CHOOSE) -> bool:
    """End the pause now; False if there was none.

    Its end is moved and not removed: articles of the pause are no news afterwards, whoever ends it.
    """
    with transaction.atomic():
        subscriber = Subscriber.objects.select_for_update().get(pk=subscriber.pk)
        if not is_paused(subscriber):
            return False
        same = Subscriber.objects.filter(pk=subscriber.pk)
        if not same.filter(paused_from__lt=Now()).update(paused_until=Now()):
            same.update(paused_from=None, paused_until=None)  # begun in this very moment
        _record(subscriber, f"{source}: pause ended", wording)
    return True


def _record(subscriber: Subscriber, source: str, wording: str) -> None:
    consent.record(subscriber, ConsentKind.CHANGED, wording=wording, source=source)
