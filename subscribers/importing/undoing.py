"""Taking an import back as a whole: what it began and nobody has touched since. History stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.db import models, transaction

from subscribers import consent
from subscribers.importing import staging
from subscribers.importing.judging import UNDONE
from subscribers.models import (
    ConsentEvent,
    ConsentKind,
    ServiceMail,
    ServiceMailKind,
    Subscriber,
    SubscriberImport,
    Subscription,
    SubscriptionTopic,
)

PAGE = 5_000  # people; one transaction

# Somebody confirmed, chose anew, paused: each appends an event in other words than an import's.
_EVENT_SINCE = """
    SELECT 1 FROM subscribers_consentevent e
    WHERE e.subscriber_id = s.subscriber_id AND e.wording <> 'import' AND e.at >= %s
"""


@dataclass(frozen=True)
class Undoing:
    """How many places go, and how many stay because of what."""

    places: int
    confirmed: int  # their readers have answered
    changed: int  # their readers have chosen or changed something
    ended: int  # left, or stopped by us: a later import must know

    @property
    def stay(self) -> int:
        return self.confirmed + self.changed + self.ended


def forecast(job: SubscriberImport) -> Undoing:
    """What undoing would do; after it, what stayed."""
    since = staging.instant(job.created_at)
    [(places, confirmed, changed, ended)] = staging.fetch(
        f"""
        SELECT COUNT(CASE WHEN fate = 'goes' THEN 1 END),
            COUNT(CASE WHEN fate = 'confirmed' THEN 1 END),
            COUNT(CASE WHEN fate = 'changed' THEN 1 END),
            COUNT(CASE WHEN fate = 'ended' THEN 1 END)
        FROM (
            SELECT CASE
                WHEN s.ended_at IS NOT NULL THEN 'ended'
                WHEN EXISTS ({_EVENT_SINCE} AND e.kind = '{ConsentKind.CONFIRMED}')
                    THEN 'confirmed'
                WHEN EXISTS ({_EVENT_SINCE}) THEN 'changed'
                ELSE 'goes' END AS fate
            FROM subscribers_subscription s
            WHERE s.imported_by_id = %s AND s.ended_by <> '{UNDONE}'
        ) AS place
        """,  # noqa: S608  # constants of ours
        [since, since, job.pk],
    )
    return Undoing(places, confirmed, changed, ended)


def undo(job: SubscriberImport, *, removed: Callable[[int], bool]) -> None:
    """Take back, page by page, what nobody has touched; `removed` is told inside each transaction.

    Where a person came with this import and nothing else speaks of them, the person goes with
    everything that the import wrote. Of anybody else the place ends, so that what they were sent
    can be explained. What is done twice finds nothing; False from `removed` rolls the page back
    and ends the work.
    """
    last = 0
    while (upto := _end_of_page(job, last)) is not None:
        with transaction.atomic():
            places = _undo_page(job, last, upto)
            if not removed(places):
                transaction.set_rollback(True)
                return
        last = upto


def _end_of_page(job: SubscriberImport, last: int) -> int | None:
    [(upto,)] = staging.fetch(
        """
        SELECT MAX(subscriber_id) FROM (
            SELECT subscriber_id FROM subscribers_subscription
            WHERE imported_by_id = %s AND ended_at IS NULL AND subscriber_id > %s
            ORDER BY subscriber_id LIMIT %s
        ) AS page
        """,
        [job.pk, last, PAGE],
    )
    return None if upto is None else int(upto)


def _undo_page(job: SubscriberImport, last: int, upto: int) -> int:
    _keep_people(job, last, upto)
    staging.execute("DROP TABLE IF EXISTS undo_place")
    staging.execute(
        f"""
        CREATE TEMPORARY TABLE undo_place AS
        SELECT s.id, s.subscriber_id, s.newsletter_id, {_goes()} AS goes
        FROM subscribers_subscription s
        JOIN subscribers_subscriber p ON p.id = s.subscriber_id
        WHERE s.imported_by_id = %s AND s.ended_at IS NULL
            AND s.subscriber_id > %s AND s.subscriber_id <= %s
            AND NOT EXISTS ({_EVENT_SINCE})
        """,  # noqa: S608  # constants of ours
        [job.pk, job.pk, last, upto, staging.instant(job.created_at)],
    )
    if staging.is_postgresql():
        staging.execute("ANALYZE undo_place")
    _remove_people()
    _end_places(job)
    [(places,)] = staging.fetch("SELECT COUNT(*) FROM undo_place")
    staging.execute("DROP TABLE undo_place")
    return int(places)


def _keep_people(job: SubscriberImport, last: int, upto: int) -> None:
    if locked := staging.locked():
        staging.execute(
            f"""
            SELECT id FROM subscribers_subscriber
            WHERE id > %s AND id <= %s AND id IN (
                SELECT subscriber_id FROM subscribers_subscription WHERE imported_by_id = %s
            ) ORDER BY id {locked}
            """,  # noqa: S608  # constants of ours
            [last, upto, job.pk],
        )


def _goes() -> str:
    """SQL: the person came with this import (a parameter), and only its rows speak of them."""
    foreign = [
        f"NOT EXISTS (SELECT 1 FROM {table} x WHERE x.{column} = s.subscriber_id)"  # noqa: S608
        for table, column in _others(Subscriber, [ConsentEvent, ServiceMail, Subscription])
    ]
    foreign += [
        f"""NOT EXISTS (
            SELECT 1 FROM {table} x JOIN subscribers_subscription o ON o.id = x.{column}
            WHERE o.subscriber_id = s.subscriber_id
        )"""  # noqa: S608  # names of ours
        for table, column in _others(Subscription, [SubscriptionTopic])
    ]
    return " AND ".join(
        [
            "p.imported_by_id = %s",
            """NOT EXISTS (
                SELECT 1 FROM subscribers_subscription o WHERE o.subscriber_id = s.subscriber_id
                    AND (o.ended_at IS NOT NULL OR o.imported_by_id IS NULL
                        OR o.imported_by_id <> s.imported_by_id)
            )""",
            f"""NOT EXISTS (
                SELECT 1 FROM subscribers_servicemail m WHERE m.subscriber_id = s.subscriber_id
                    AND m.kind <> '{ServiceMailKind.CONFIRMATION}'
            )""",  # noqa: S608  # constants of ours
            *foreign,
        ]
    )


def _others(model: type[models.Model], ours: list[type[models.Model]]) -> list[tuple[str, str]]:
    """Table and column of everything that points at a model, downstream apps included."""
    return [
        (relation.related_model._meta.db_table, relation.field.column)  # noqa: SLF001  # public
        for relation in model._meta.related_objects  # noqa: SLF001  # public, by Django's manual
        if isinstance(relation.field, models.ForeignKey) and relation.related_model not in ours
    ]


def _remove_people() -> None:
    going = "SELECT subscriber_id FROM undo_place WHERE goes"
    places = f"SELECT id FROM subscribers_subscription WHERE subscriber_id IN ({going})"  # noqa: S608
    for table, column, rows in (
        ("subscribers_subscriptiontopic", "subscription_id", places),
        ("subscribers_subscription", "subscriber_id", going),
        ("subscribers_servicemail", "subscriber_id", going),
        ("subscribers_consentevent", "subscriber_id", going),
        ("subscribers_subscriber", "id", going),
    ):
        staging.execute(f"DELETE FROM {table} WHERE {column} IN ({rows})")  # noqa: S608


def _end_places(job: SubscriberImport) -> None:
    staging.execute(
        f"""
        UPDATE subscribers_subscription SET ended_by = '{UNDONE}', ended_at = {staging.now()}
        WHERE id IN (SELECT id FROM undo_place WHERE NOT goes)
        """  # noqa: S608  # constants of ours
    )
    newest, source = consent.newest(), f"import {job.pk} was undone"
    staging.execute(
        """
        INSERT INTO subscribers_consentevent
            (subscriber_id, newsletter_id, kind, wording, source, topics)
        SELECT subscriber_id, newsletter_id, %s, %s, %s, '' FROM undo_place WHERE NOT goes
        """,
        [ConsentKind.CHANGED.value, consent.IMPORT, source],
    )
    consent.tell(ConsentEvent.objects.filter(pk__gt=newest, source=source))
