"""Mails that a person asked for: written down first, sent by a worker. The rows are the queue."""

import contextlib
import functools
import logging
from collections.abc import Mapping
from datetime import timedelta

from django.conf import settings
from django.db.models import F, Max
from django.db.models.functions import Now
from django.utils import timezone

from iria_news import backend, keys, languages, mail, smtp
from iria_news.mail import headers
from subscribers import mail_contents, mailboxes
from subscribers.addresses import Address
from subscribers.models import (
    ConsentEvent,
    ConsentKind,
    Newsletter,
    ServiceMail,
    ServiceMailKind,
    ServiceMailQuerySet,
    ServiceMailState,
    SignUpRequest,
    Subscriber,
)

logger = logging.getLogger(__name__)

SERVICE_MAIL = 2  # the tag of our message keys

# A form must not become a way to flood somebody's mailbox. These count what one row of a person
# asked for; `mailboxes` counts whatever reaches the same mailbox, and outlives the rows.
CONFIRMATIONS = {timedelta(minutes=15): 1, timedelta(days=1): 3}
UNANSWERED = 5  # in all, as long as the person confirms nothing; so for invitations
LINKS = {timedelta(minutes=15): 1, timedelta(days=1): 3}  # "mail me my link"
MOVES = {timedelta(hours=1): 3, timedelta(days=1): 5}  # to new addresses; mistyped ones, too
NOTICES = {timedelta(days=1): 1}  # somebody entered the address of one who is with us

RETRY_AFTER = [timedelta(minutes=minutes) for minutes in (1, 5, 15, 60)]  # then every hour
GIVE_UP_AFTER = timedelta(days=1)  # who asked has long given up or asked again
SILENCE = timedelta(minutes=2)  # a worker that settled nothing for so long is taken for dead
CANDIDATES = 5


def may_confirm(subscriber: Subscriber) -> bool:
    """Whether a confirmation mail would be granted; False if the person had enough of them."""
    return _may_answer(subscriber, ServiceMailKind.CONFIRMATION) and mailboxes.has_room(
        _key(subscriber), asks=True
    )


def ask_to_confirm(subscriber: Subscriber) -> bool:
    """Ask for a confirmation mail; False if the person had enough of them."""
    if not may_confirm(subscriber) or not mailboxes.take(_key(subscriber), asks=True):
        return False
    ServiceMail.objects.create(subscriber=subscriber, kind=ServiceMailKind.CONFIRMATION)
    return True


def may_invite(subscriber: Subscriber) -> bool:
    """Whether an invitation would be granted: as often as confirmations, and beside them."""
    return _may_answer(subscriber, ServiceMailKind.INVITATION)


def ask_to_accept(subscriber: Subscriber, newsletter: Newsletter) -> bool:
    """Ask for an invitation mail; False if the person had enough of them."""
    if not may_invite(subscriber):
        return False
    ServiceMail.objects.create(
        subscriber=subscriber, kind=ServiceMailKind.INVITATION, newsletter=newsletter
    )
    return True


def ask_welcome(subscriber: Subscriber, newsletter: Newsletter) -> None:
    """Ask for the mail that follows a confirmation; the caller sees to it that it is one."""
    ServiceMail.objects.create(
        subscriber=subscriber, kind=ServiceMailKind.WELCOME, newsletter=newsletter
    )


def ask_for_link(subscriber: Subscriber) -> bool:
    """Ask for a mail with the preferences link; False if the person had enough of them."""
    return _ask(subscriber, ServiceMailKind.PREFERENCES, LINKS)


def ask_new_address(subscriber: Subscriber, address: Address) -> bool:
    """Ask for a mail to the new address of a reader; False if this reader asked for enough of them.

    If it is the mailbox that had enough, the mail is written down and never sent: who asks must not
    learn what happens at an address that may not be theirs.
    """
    if not _has_room(subscriber, ServiceMailKind.NEW_ADDRESS, MOVES):
        return False
    mail = ServiceMail(
        subscriber=subscriber, kind=ServiceMailKind.NEW_ADDRESS, to_address=address.address
    )
    if not mailboxes.take(address.key, asks=True):
        mail.state, mail.settled_at, mail.reason = ServiceMailState.FAILED, Now(), "had enough"
    mail.save()
    return True


def tell_old_address(subscriber: Subscriber, address: str) -> None:
    """Tell the address that a reader had until now; the caller has just changed it."""
    ServiceMail.objects.create(
        subscriber=subscriber, kind=ServiceMailKind.OLD_ADDRESS, to_address=address
    )


def notify(subscriber: Subscriber) -> bool:
    """Tell somebody who is with us that their address was entered; False if told today."""
    return _ask(subscriber, ServiceMailKind.PREFERENCES, NOTICES)


def _ask(subscriber: Subscriber, kind: ServiceMailKind, at_most: Mapping[timedelta, int]) -> bool:
    if not _has_room(subscriber, kind, at_most):
        return False
    if not mailboxes.take(_key(subscriber), asks=False):
        return False
    ServiceMail.objects.create(subscriber=subscriber, kind=kind)
    return True


def _key(subscriber: Subscriber) -> str:
    return subscriber.address_key or ""  # of the erased, to whom no mail goes


def _may_answer(subscriber: Subscriber, kind: ServiceMailKind) -> bool:
    """Whether one more mail may ask this person for a press of a button."""
    unanswered = ServiceMail.objects.filter(subscriber=subscriber, kind=kind)
    events = ConsentEvent.objects.filter(subscriber=subscriber, kind=ConsentKind.CONFIRMED)
    answered_at = events.aggregate(latest=Max("at"))["latest"]
    if answered_at is not None:
        unanswered = unanswered.filter(asked_at__gt=answered_at)
    if unanswered.count() >= UNANSWERED:
        return False
    return _has_room(subscriber, kind, CONFIRMATIONS)


def _has_room(
    subscriber: Subscriber, kind: ServiceMailKind, at_most: Mapping[timedelta, int]
) -> bool:
    # Mails that an import has put off to a later hour are no answer to who asks today.
    of_this_kind = ServiceMail.objects.filter(subscriber=subscriber, kind=kind, asked_at__lte=Now())
    return all(
        of_this_kind.filter(asked_at__gt=timezone.now() - period).count() < most
        for period, most in at_most.items()
    )


def due_exists() -> bool:
    """Whether a worker is needed: somebody asked, a mail waits, or a dead worker left one."""
    return (
        SignUpRequest.objects.waiting().exists()
        or ServiceMail.objects.due().exists()
        or ServiceMail.objects.left_behind().exists()
    )


def number_due() -> int:
    """How many people wait for a mail now; a request that is not acted on yet counts as one."""
    return ServiceMail.objects.due().count() + SignUpRequest.objects.waiting().count()


def send_due(*, at_most: int | None = None) -> int:
    """Send what is due (all, or so many), over one connection; return how many were accepted.

    May run twice at once: each mail is claimed by one worker. Killed half-way, the mail it was at
    goes out again after two minutes, with the same Message-ID. Stops at the first sign that the
    server is away: the others would only wait for nothing, one by one.
    """
    _take_back()
    _give_up()
    accepted = 0
    server = settings.SUBMISSION_SERVERS["default"]
    with contextlib.closing(backend.open_session(server)) as session:
        while (at_most is None or accepted < at_most) and (service_mail := _claim()):
            body = _written(service_mail)
            if body is None:
                _settle(service_mail, ServiceMailState.FAILED, "not needed")
                continue
            result = _submit(session, service_mail, body)
            _settle_as(service_mail, result)
            accepted += result.kind is smtp.Kind.ACCEPTED
            if result.kind is smtp.Kind.NOT_SENT:
                break
    return accepted


def _written(service_mail: ServiceMail) -> mail.Body | None:
    """The mail in its reader's language; None when there is nothing to say any more."""
    with languages.speaking(service_mail.subscriber.language):
        context = mail_contents.of(service_mail)
        return None if context is None else mail.render_body(service_mail.kind, context)


def _take_back() -> None:
    taken = ServiceMail.objects.left_behind().update(
        state=ServiceMailState.WAITING, not_before=Now(), reason="worker lost"
    )
    if taken:
        logger.warning("%d service mails were left behind by a lost worker", taken)


def _give_up() -> None:
    too_late = ServiceMail.objects.filter(
        state=ServiceMailState.WAITING, asked_at__lt=timezone.now() - GIVE_UP_AFTER
    )
    given_up = too_late.update(state=ServiceMailState.FAILED, settled_at=Now())
    if given_up:
        logger.warning("%d service mails could not be sent within a day", given_up)


def _claim() -> ServiceMail | None:
    """Commit the intent to send one mail; None when nothing is due, or others were quicker.

    `not_before` of a mail in flight is when its worker is to be taken for dead.
    """
    due = ServiceMail.objects.due().select_related("subscriber").order_by("not_before", "pk")
    for candidate in due[:CANDIDATES]:
        won = ServiceMail.objects.filter(
            pk=candidate.pk, state=ServiceMailState.WAITING, attempts=candidate.attempts
        ).update(
            state=ServiceMailState.SENDING,
            attempts=F("attempts") + 1,
            not_before=Now() + SILENCE,
        )
        if won:
            candidate.attempts += 1
            return candidate
    return None


def _submit(
    session: smtp.Session | backend.BackendSession, service_mail: ServiceMail, body: mail.Body
) -> smtp.Result:
    key = keys.message_key(SERVICE_MAIL, 0, service_mail.pk)
    recipient = service_mail.to_address or service_mail.subscriber.address
    try:
        message = mail.service_message(body=body, recipient=recipient, key=key, at=timezone.now())
    except headers.BadHeader:  # an address that came in some other way than by our form
        return smtp.Result(smtp.Kind.REFUSED, "address")
    submit = functools.partial(
        session.submit,
        sender=mail.return_path(key),
        recipient=recipient,
        message=message,
        key=key,
    )
    try:
        fresh = not session.is_open
        if fresh:
            session.open()
        result = submit()
        if result.kind is smtp.Kind.NOT_SENT and not fresh:  # it takes so many on one connection
            session.open()
            result = submit()
    except smtp.ServerUnavailable as error:
        return smtp.Result(smtp.Kind.NOT_SENT, error.stage, error.code, "", error.text)
    return result


def _settle_as(service_mail: ServiceMail, result: smtp.Result) -> None:
    """Sent, failed, or waiting again; in doubt is waiting, too, for the Message-ID is the same."""
    reason = f"{result.code or result.kind.value} {result.enhanced or result.stage}"
    if result.kind is smtp.Kind.ACCEPTED:
        _settle(service_mail, ServiceMailState.SENT, reason)
        return
    # The reply's text may name the address, so it is not logged.
    logger.warning("Service mail %d, try %d: %s", service_mail.pk, service_mail.attempts, reason)
    # A refused sender is our trouble, and over one day; the recipient has nothing to do with it.
    if result.kind is smtp.Kind.REFUSED and result.stage != "mail":
        _settle(service_mail, ServiceMailState.FAILED, reason)
    else:
        pause = RETRY_AFTER[min(service_mail.attempts, len(RETRY_AFTER)) - 1]
        _mine(service_mail).update(
            state=ServiceMailState.WAITING, not_before=Now() + pause, reason=reason
        )


def _settle(service_mail: ServiceMail, state: ServiceMailState, reason: str) -> None:
    rows = _mine(service_mail)
    if state is ServiceMailState.SENT:  # a 250 is true, whoever has the mail by now
        rows = ServiceMail.objects.filter(pk=service_mail.pk)
    rows.update(state=state, settled_at=Now(), reason=reason)


def _mine(service_mail: ServiceMail) -> ServiceMailQuerySet:
    """The row, if no other worker has claimed it since: each claim adds one attempt."""
    return ServiceMail.objects.filter(
        pk=service_mail.pk, state=ServiceMailState.SENDING, attempts=service_mail.attempts
    )
