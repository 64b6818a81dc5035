"""Writing a page: people, places, topics, consent, and a question to those without proof."""

from datetime import timedelta

from django.db.models import Max
from django.utils import timezone

from subscribers import consent
from subscribers.importing import evidence, staging
from subscribers.importing.judging import WRITES, Outcome, judge, outcomes_of_rows
from subscribers.models import (
    ConsentEvent,
    ConsentKind,
    ServiceMail,
    ServiceMailKind,
    ServiceMailState,
    SubscriberImport,
    SubscriberState,
)

# Of all imports together. A hundred thousand take four days: a server that had to pass them on in
# an hour would be taken for a sender of spam, and nobody could stop a list that was a mistake.
QUESTIONS_PER_HOUR = 1_000


def write(job: SubscriberImport) -> tuple[dict[Outcome, int], int]:
    """Write the staged page, inside a transaction of the caller; return rows by outcome, and the
    number of mails that will ask.

    Nobody's state changes, and no place that is there or has ended is touched.
    """
    judge(job.pk)
    staging.prepare_to_write()
    _people(job.pk)
    _places(job.pk)
    _topics(job.pk)
    _consent(job.pk)
    mails = _questions(job)
    return outcomes_of_rows(), mails


def _people(import_id: int) -> None:
    """Those who are not with us. Somebody who signs up at this very moment is left to that."""
    staging.execute(
        f"""
        INSERT INTO subscribers_subscriber (address, address_key, address_hash, name, language,
            zone, hour, state, confirmed_at, imported_by_id)
        SELECT address, key, hash, name, language, zone, hour,
            CASE WHEN proved_at IS NULL THEN '{SubscriberState.PENDING}'
                ELSE '{SubscriberState.ACTIVE}' END,
            proved_at, %s
        FROM (
            SELECT import_line.*, ROW_NUMBER() OVER (PARTITION BY key ORDER BY number) AS place,
                MIN(CASE WHEN outcome = '{Outcome.PROVED}' THEN consented_at END)
                    OVER (PARTITION BY key) AS proved_at
            FROM import_line WHERE person_id IS NULL AND outcome IN {WRITES}
        ) AS line
        WHERE place = 1 ORDER BY number
        ON CONFLICT DO NOTHING
        """,  # noqa: S608  # constants of ours
        [import_id],
    )
    staging.execute(
        f"""
        UPDATE import_line SET person_id = p.id
        FROM subscribers_subscriber p
        WHERE p.address_key = import_line.key AND p.imported_by_id = %s
            AND person_id IS NULL AND outcome IN {WRITES}
        """,  # noqa: S608  # constants of ours
        [import_id],
    )
    staging.execute(
        f"""
        UPDATE import_line SET outcome = '{Outcome.WAITING}'
        WHERE person_id IS NULL AND outcome IN {WRITES}
        """  # noqa: S608  # constants of ours
    )


def _places(import_id: int) -> None:
    staging.execute(
        f"""
        INSERT INTO subscribers_subscription (subscriber_id, newsletter_id, confirmed_at,
            ended_by, imported_by_id)
        SELECT person_id, newsletter_id,
            CASE WHEN outcome = '{Outcome.PROVED}' THEN consented_at END, '', %s
        FROM import_line WHERE outcome IN {WRITES} ORDER BY number
        ON CONFLICT DO NOTHING
        """,  # noqa: S608  # constants of ours
        [import_id],
    )


def _topics(import_id: int) -> None:
    """Followed from now on: older articles are no news."""
    staging.execute(
        f"""
        INSERT INTO subscribers_subscriptiontopic (subscription_id, topic_id)
        SELECT s.id, f.topic_id
        FROM import_line
        JOIN subscribers_subscription s ON s.subscriber_id = import_line.person_id
            AND s.newsletter_id = import_line.newsletter_id AND s.ended_at IS NULL
            AND s.imported_by_id = %s
        JOIN import_followed f ON f.choice = import_line.choice
        WHERE outcome IN {WRITES}
        """,  # noqa: S608  # constants of ours
        [import_id],
    )


def _consent(import_id: int) -> None:
    """One event for each place: agreed when and where the row says, or only asked, and now.

    Endpoints of webhooks are told of each, if there are any.
    """
    newest = consent.newest()
    events = """
        INSERT INTO subscribers_consentevent
            (subscriber_id, newsletter_id, kind, wording, source, topics{at})
        SELECT person_id, newsletter_id, %s, %s, source || %s || number || ')', slugs{consented_at}
        FROM import_line JOIN import_choice ON import_choice.choice = import_line.choice
        WHERE outcome = %s ORDER BY number
    """
    for kind, outcome, at in (
        (ConsentKind.CONFIRMED, Outcome.PROVED, True),
        (ConsentKind.ASKED, Outcome.ASKED, False),
    ):
        sql = events.format(at=", at" if at else "", consented_at=", consented_at" if at else "")
        staging.execute(
            sql, [kind.value, consent.IMPORT, evidence.before_row(import_id), outcome.value]
        )
    consent.tell(
        ConsentEvent.objects.filter(pk__gt=newest, source__contains=evidence.before_row(import_id))
    )


def _questions(job: SubscriberImport) -> int:
    """One mail to each person who is asked, spread over the hours and days to come.

    Who was asked by an earlier page has a mail already. CASE keeps PostgreSQL from a join, in which
    it goes through all mails that wait for each line: it believes that there are only a few.
    """
    waiting = ServiceMail.objects.filter(
        state=ServiceMailState.WAITING, kind=ServiceMailKind.CONFIRMATION
    )
    last = waiting.aggregate(at=Max("not_before"))["at"]
    start = max(timezone.now(), last) if last else timezone.now()
    at = staging.each_later("%s", timedelta(hours=1) / QUESTIONS_PER_HOUR, "place")
    # The time of asking is that of the mail: from then on its link is valid, and it is late.
    return staging.execute(
        f"""
        INSERT INTO subscribers_servicemail
            (subscriber_id, kind, to_address, state, asked_at, not_before, attempts, reason)
        SELECT person_id, '{ServiceMailKind.CONFIRMATION}', '', '{ServiceMailState.WAITING}',
            {at}, {at}, 0, ''
        FROM (
            SELECT person_id, ROW_NUMBER() OVER (ORDER BY MIN(number)) AS place
            FROM import_line WHERE outcome = '{Outcome.ASKED}' AND CASE WHEN EXISTS (
                SELECT 1 FROM subscribers_servicemail m
                WHERE m.subscriber_id = import_line.person_id AND m.used_at IS NULL
                    AND m.kind = '{ServiceMailKind.CONFIRMATION}' AND m.asked_at >= %s
            ) THEN false ELSE true END GROUP BY person_id
        ) AS asked
        """,  # noqa: S608  # constants of ours
        [staging.instant(moment) for moment in (start, start, job.created_at)],
    )
