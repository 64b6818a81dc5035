"""Who gets what of an edition: exact once it is frozen, before that as of the last count."""

import logging

from django.contrib import messages
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from redis.exceptions import RedisError

from mailer import forecast, reach
from mailer.admin import acts, totals
from mailer.forecast import Forecast
from mailer.models import Edition

log = logging.getLogger(__name__)

KEPT_SECONDS = 900  # readers come and go; the page says when it was counted


def page(request: HttpRequest, pk: int) -> HttpResponse:
    """GET shows the count there is, POST counts again and writes nothing but that."""
    edition = acts.edition_for(request, pk, "mailer.view_edition")
    if request.method == "POST":
        counted = count_again(edition)
        if not counted.is_complete:
            messages.warning(request, f"There was time for {counted.candidates:,} readers only.")
        return redirect(request.path)
    found = known(edition)
    return acts.show(
        request,
        edition,
        "readers",
        forecast=found,
        excluded=excluded_in_words(found) if found else [],
        expected=reach.expected_readers_of(edition),
    )


def known(edition: Edition) -> Forecast | None:
    """Rows, a count of the last minutes, or one made now if the readers are few; else nothing."""
    if edition.frozen_at:
        return forecast.of_cohorts(edition)
    try:
        kept = cache.get(_key(edition))
    except RedisError as error:
        log.warning("counts of readers are not kept: %s", type(error).__name__)
        kept = None
    if kept is None and reach.expected_readers_of(edition) <= forecast.AT_ONCE:
        return forecast.count(edition)
    return kept


def count_again(edition: Edition) -> Forecast:
    found = forecast.of(edition)
    try:
        cache.set(_key(edition), found, KEPT_SECONDS)
    except RedisError as error:
        log.warning("counts of readers are not kept: %s", type(error).__name__)
    return found


def excluded_in_words(found: Forecast) -> list[tuple[str, int]]:
    return [
        (totals.EXCLUDED_BECAUSE.get(reason, reason), number)
        for reason, number in found.excluded.items()
    ]


def _key(edition: Edition) -> str:
    """Another one as soon as the edition is another: its content, its time, its span."""
    parts = [
        edition.pk,
        edition.content_hash[:16],
        edition.version,
        int(edition.due_at.timestamp()),
    ]
    return f"forecast:{':'.join(map(str, parts))}"
