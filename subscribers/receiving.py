"""What was asked for by form or program, acted on one by one: the rows are the queue."""

import logging
from datetime import timedelta

from django.db import InterfaceError, OperationalError, transaction
from django.db.models.functions import Now
from django.utils import timezone

from iria_news.articles.models import Topic
from subscribers import addresses, signup
from subscribers.models import Newsletter, RequestKind, SignUpRequest

logger = logging.getLogger(__name__)

GIVE_UP_AFTER = timedelta(days=1)  # who asked has long given up or asked again


def process() -> int:
    """Act on every request that waits, the oldest first; return how many were done.

    May run twice at once: each request is locked while it is acted on, and the change and its end
    are one commit, so that a worker killed half-way has done nothing. A request that fails is set
    aside for an hour and holds up no other. Raises when the database is away.
    """
    _give_up()
    done = 0
    while SignUpRequest.objects.waiting().exists():
        well = _act_on_the_next()
        if well is None:  # other workers have the rest
            break
        done += well
    return done


def _give_up() -> None:
    too_late = SignUpRequest.objects.filter(at__lt=timezone.now() - GIVE_UP_AFTER)
    given_up, _ = too_late.delete()
    if given_up:
        logger.warning("%d sign-up requests could not be acted on within a day", given_up)


def _act_on_the_next() -> bool | None:
    """One request in one transaction: whether it went well; None if there is none for us."""
    with transaction.atomic():
        # SQLite has one writer, and needs no lock.
        free = SignUpRequest.objects.waiting().select_for_update(skip_locked=True)
        request = free.order_by("pk").first()
        if request is None:
            return None
        try:
            with transaction.atomic():
                _act_on(request)
        except (OperationalError, InterfaceError):  # the database, and not this row
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, the others are not to wait
            # What the error says may hold the address, so it is not logged.
            logger.error("Sign-up request %d failed: %s", request.pk, type(error).__name__)
            SignUpRequest.objects.filter(pk=request.pk).update(failed_at=Now())
            return False
        SignUpRequest.objects.filter(pk=request.pk).delete()
        return True


def _act_on(request: SignUpRequest) -> None:
    address = addresses.parse(request.address)
    if request.kind == RequestKind.LINK:
        signup.mail_link(address)
        return
    # Offered now: what was made private or closed since the page was shown is joined by nobody.
    offered = Newsletter.objects.offered().in_bulk(request.newsletters)
    newsletters = [offered[pk] for pk in request.newsletters if pk in offered]
    topics = list(Topic.objects.filter(pk__in=request.topics))
    if newsletters and topics:
        signup.take_up(
            address,
            newsletters=newsletters,
            topics=topics,
            source=request.source,
            wording=request.wording,
            language=request.language,
        )
