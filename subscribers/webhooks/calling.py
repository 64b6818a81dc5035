"""Telling endpoints what is written down for them. The rows are the queue, and the log.

At least once: an endpoint tells copies by their webhook-id. Order is not promised.
"""

import json
import logging
import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from iria_news import fetching
from subscribers.models import CallState, WebhookCall, WebhookCallQuerySet, WebhookEndpoint
from subscribers.webhooks import endpoints, signing

logger = logging.getLogger(__name__)

ANSWER_WITHIN = 10  # seconds, for everything from the name to the status
# After each failure, and up to a tenth more; then the call is given up, after two days in all.
RETRY_AFTER = [
    timedelta(seconds=5),
    *(timedelta(minutes=minutes) for minutes in (5, 30)),
    *(timedelta(hours=hours) for hours in (2, 5, 10, 14, 20)),
]
JITTER = 0.1
FAILING_FOR = timedelta(days=5)  # then an endpoint is switched off
SILENCE = timedelta(minutes=2)  # a worker that settled nothing for so long is taken for dead

CALLS_AT_ONCE = 8  # in one worker
EACH_AT_ONCE = 2  # of one endpoint, or a slow one would take all of them
# Of all endpoints whose last call failed: each may take the whole ANSWER_WITHIN.
FAILING_AT_ONCE = 2
TURN = 20  # seconds; then no new calls, so that a deploy waits little
LOOK_AGAIN = 1.0  # seconds; while slow calls are under way others become due


@dataclass(frozen=True)
class Answer:
    """What came of a call; status 0 when there was no answer. Our words, never the server's."""

    status: int
    words: str

    @property
    def is_taken(self) -> bool:
        return 200 <= self.status <= 299

    @property
    def is_goodbye(self) -> bool:
        """410 Gone: Standard Webhooks lets an endpoint switch itself off by it."""
        return self.status == 410


@dataclass(frozen=True)
class Letter:
    """A call as it goes out: read by a thread, which has no business with the database."""

    url: str
    body: bytes
    headers: dict[str, str]


def due_exists() -> bool:
    """Whether a worker is needed: something waits, or was left behind by a dead worker."""
    open_calls = WebhookCall.objects.filter(
        state__in=[CallState.WAITING, CallState.CALLING], not_before__lte=Now()
    )
    return open_calls.filter(Q(state=CallState.CALLING) | Q(endpoint__is_active=True)).exists()


def call_due(*, connect: fetching.Connect = fetching.connect) -> int:
    """Make the calls that are due, a few at a time, for one turn; return how many were taken.

    May run twice at once: each call is claimed by one worker. Killed half-way, the calls under way
    are made again after two minutes, with the same webhook-id.
    """
    _take_back()
    taken = 0
    until = time.monotonic() + TURN
    under_way: dict[Future[Answer], WebhookCall] = {}
    with ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="webhook") as threads:
        while True:
            if time.monotonic() < until:
                for call in _claim(CALLS_AT_ONCE - len(under_way)):
                    under_way[threads.submit(_post, _letter(call), connect)] = call
            if not under_way:
                return taken
            done, _ = wait(under_way, timeout=LOOK_AGAIN, return_when=FIRST_COMPLETED)
            for future in done:
                taken += _settle(under_way.pop(future), future.result())


def _take_back() -> None:
    lost = WebhookCall.objects.left_behind()
    given_up = lost.filter(attempts__gt=len(RETRY_AFTER)).update(
        state=CallState.GIVEN_UP, settled_at=Now(), answer="The worker was lost."
    )
    taken = lost.update(state=CallState.WAITING, not_before=Now(), answer="The worker was lost.")
    if taken or given_up:
        logger.warning("%d webhook calls were left behind by a lost worker", taken + given_up)


def _claim(slots: int) -> Iterator[WebhookCall]:
    """Commit the intent to make so many calls, those that waited longest first.

    `not_before` of a call under way is when its worker is to be taken for dead.
    """
    if not slots:
        return
    for candidate in _candidates()[:slots]:
        won = WebhookCall.objects.filter(
            pk=candidate.pk, state=CallState.WAITING, attempts=candidate.attempts
        ).update(state=CallState.CALLING, attempts=F("attempts") + 1, not_before=Now() + SILENCE)
        if won:
            candidate.attempts += 1
            yield candidate


def _candidates() -> list[WebhookCall]:
    """What may be claimed now, whoever is at work: a slow endpoint has few calls at once.

    One query for each endpoint that is on; they are made by hand, so there are few.
    """
    busy = Counter(
        WebhookCall.objects.filter(state=CallState.CALLING).values_list("endpoint", flat=True)
    )
    candidates: list[WebhookCall] = []
    failing: list[WebhookCall] = []
    failing_free = FAILING_AT_ONCE
    for endpoint in WebhookEndpoint.objects.filter(is_active=True):
        is_failing = endpoint.failing_since is not None
        failing_free -= busy[endpoint.pk] if is_failing else 0
        free = (1 if is_failing else EACH_AT_ONCE) - busy[endpoint.pk]
        if free > 0:
            due = endpoint.calls.due().select_related("endpoint", "event")
            found = failing if is_failing else candidates
            found.extend(due.order_by("not_before", "pk")[:free])
    failing.sort(key=_age)
    return sorted(candidates + failing[: max(failing_free, 0)], key=_age)


def _age(call: WebhookCall) -> tuple[object, int]:
    return call.not_before, call.pk


def _letter(call: WebhookCall) -> Letter:
    """The same body at each try; the signature holds the time of the try, and so is new."""
    now = timezone.now()
    body = json.dumps(call.event.payload, sort_keys=True, separators=(",", ":")).encode()
    signed = signing.headers(
        call.event.uid,
        at=int(now.timestamp()),
        body=body,
        secrets=endpoints.secrets_of(call.endpoint, now),
    )
    return Letter(call.endpoint.url, body, {"Content-Type": "application/json", **signed})


def _post(letter: Letter, connect: fetching.Connect) -> Answer:
    try:
        status = fetching.post(
            letter.url, letter.body, letter.headers, within=ANSWER_WITHIN, connect=connect
        )
    except fetching.FetchFailed as problem:
        return Answer(0, f"It {problem.reason}")
    return Answer(status, fetching.in_words(status))


def _settle(call: WebhookCall, answer: Answer) -> bool:
    """Write down what came of a call: taken, given up, or waiting again. True if it was taken."""
    with transaction.atomic():
        if answer.is_taken:
            # It is true, whoever has the call by now.
            _finish(WebhookCall.objects.filter(pk=call.pk), CallState.TAKEN, answer)
            WebhookEndpoint.objects.filter(pk=call.endpoint_id, failing_since__isnull=False).update(
                failing_since=None
            )
            return True
        logger.warning("Webhook call %d, try %d: %s", call.pk, call.attempts, answer.words)
        if answer.is_goodbye or call.attempts > len(RETRY_AFTER):
            _finish(_mine(call), CallState.GIVEN_UP, answer)
        else:
            pause = RETRY_AFTER[call.attempts - 1] * (1 + random.uniform(0, JITTER))  # noqa: S311  # spreads calls, keeps no secret
            _mine(call).update(
                state=CallState.WAITING, not_before=Now() + pause, answer=answer.words
            )
        _note_failure(call.endpoint_id, answer)
    return False


def _finish(calls: WebhookCallQuerySet, state: CallState, answer: Answer) -> None:
    calls.update(state=state, settled_at=Now(), answer=answer.words)


def _mine(call: WebhookCall) -> WebhookCallQuerySet:
    """The row, if no other worker has claimed it since: each claim adds one attempt."""
    return WebhookCall.objects.filter(pk=call.pk, state=CallState.CALLING, attempts=call.attempts)


def _note_failure(endpoint_id: int, answer: Answer) -> None:
    """Remember since when an endpoint fails, and switch it off when that is too long ago."""
    endpoint = WebhookEndpoint.objects.filter(pk=endpoint_id)
    endpoint.filter(failing_since__isnull=True).update(failing_since=Now())
    because = ""
    if answer.is_goodbye:
        because = "It answered 410 Gone: it wants no more calls."
    elif endpoint.filter(failing_since__lte=Now() - FAILING_FOR).exists():
        days = FAILING_FOR.days
        because = f"Every call of {days} days has failed. The last answer: {answer.words}"
    if because and endpoints.switch_off(endpoint_id, because=because):
        logger.error("Webhook endpoint %d was switched off. %s", endpoint_id, because)
