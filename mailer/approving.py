"""Step 2c, who may let it go: an approval is bound to what readers will see, and can be undone."""

import json
from dataclasses import fields
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, QuerySet, Value
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from mailer import approvers, contents, preflight, urgency
from mailer.models import Edition, EditionApproval, EditionKind, EditionState
from mailer.preflight import Finding, Place
from subscribers.models import Approval, Look

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

NOTE_CHARACTERS = 200  # of what the approver wants changed


class ContentChanged(Exception):
    """The edition is not the one that was read: show it again and ask again."""


class Refused(Exception):
    """Nothing was approved. The message says why, and who or what helps."""


def content_hash(edition: Edition) -> str:
    """SHA-256 over all that readers will see, so that an approval is bound to what was read.

    Fields that are empty do not count: one that a later version of the service adds leaves the
    approvals of that day valid.
    """
    bits = list(edition.items.values_list("bit", flat=True))
    facts, items = contents.load(edition.pk, sum(bits))
    if facts.look == Look.ALERT and len(bits) > 1:  # who gets one of them alone sees its opening
        items += [item for bit in bits for item in contents.load(edition.pk, bit)[1]]
    corrections = edition.corrections.order_by("bit").values_list(
        "correction__article__title",
        "correction__article__slug",
        "correction__note",
        "correction__is_withdrawal",
    )
    seen = [edition.newsletter_id, _said(facts), [_said(item) for item in items], list(corrections)]
    return sha256(json.dumps(seen, sort_keys=True, default=str).encode()).hexdigest()


_current_hash = content_hash  # `approve` has an argument of that name


def _said(value: "DataclassInstance") -> dict[str, object]:
    said = {field.name: (getattr(value, field.name), field.default) for field in fields(value)}
    return {name: given for name, (given, default) in said.items() if given != default}


def needs_nobody(edition: Edition) -> bool:
    """Whether it leaves without a person who approves it.

    Once somebody asked for an approval, took one back or sent the draft back, or there is a reason
    why it did not leave, a person decides, whatever the newsletter.
    """
    if edition.is_urgent or edition.asked_at or edition.sent_back or edition.reason:
        return False
    return edition.kind == EditionKind.CATCH_UP or edition.newsletter.approval == Approval.AUTOMATIC


def ask(edition: Edition, *, by: User) -> bool:
    """Ask for the approval of a draft; False if it is none any more, or is waiting already.

    Who asks counts as its author if nobody has worked on it before.
    """
    drafts = Edition.objects.filter(pk=edition.pk, state=EditionState.DRAFT, asked_at__isnull=True)
    return bool(
        drafts.update(
            asked_at=Now(),
            written_by=Coalesce(F("written_by"), Value(by.pk)),
            sent_back="",
            reason="",
            reminded_at=None,
        )
    )


def send_back(edition: Edition, *, by: User, note: str) -> bool:
    """Give a draft back to its author with what is to change; False if it is no draft any more."""
    said = f"{note[:NOTE_CHARACTERS]} ({approvers.name(by)})"
    with transaction.atomic():
        drafts = Edition.objects.filter(pk=edition.pk, state=EditionState.DRAFT)
        if not drafts.update(asked_at=None, reminded_at=None, sent_back=said[:300], reason=""):
            return False
        edition.approvals.all().delete()
    return True


def approve(edition: Edition, *, content_hash: str, by: User | None) -> bool:
    """Release exactly the content that `by` has read; say whether the approval counts.

    `by` is None for an edition that needs no person. One that is urgent is released by the second
    approval; after the first it is a draft as before. False means that it had already left DRAFT,
    or that the checks hold an edition that needs no person: it then waits for one, with the
    reason. Raises ContentChanged if it is not what was read, Refused with the sentence why.
    """
    draft = Edition.objects.select_related("newsletter").get(pk=edition.pk)
    if draft.state != EditionState.DRAFT:
        return False
    # Before the transaction, as it renders a mail; the hash binds what was checked.
    stops = preflight.stops(draft)
    with transaction.atomic():
        drafts = Edition.objects.filter(pk=edition.pk, state=EditionState.DRAFT)
        if not drafts.update(cursor=F("cursor")):  # takes the row's lock: a change waits
            return False
        draft.refresh_from_db()
        if _current_hash(draft) != content_hash:
            raise ContentChanged(edition)
        if needs_nobody(draft):
            # That nobody is to get it, the freeze records by itself: the slot is skipped.
            return _release_or_hold(draft, [s for s in stops if s.place != Place.READERS], by)
        if draft.is_urgent:
            urgency.hold(draft.newsletter)
        if why := why_not(draft, by=by, stops=stops):
            raise Refused(why)
        if not draft.is_urgent or _is_second(draft, content_hash, by):
            _release(draft, by=by)
    return True


def why_not(draft: Edition, *, by: User | None, stops: list[Finding]) -> str:
    """The sentence with which `approve` would refuse this person; empty if it would not."""
    if stops:
        return f"{stops[0].sentence} Nothing leaves before that is mended."
    if by is None:
        return f"{draft} is approved by a person, and nobody was named."
    if draft.newsletter.approval == Approval.PERSON and draft.written_by_id == by.pk:
        return wrote_it(by)
    if not draft.is_urgent:
        return ""
    if first_approvals(draft).filter(by=by).exists():
        return f"You have approved it, and a second person must. {approvers.who_can(without=by.pk)}"
    return urgency.why_not(draft)


def wrote_it(by: User) -> str:
    return f"You wrote this edition. {approvers.who_can(without=by.pk)}"


def first_approvals(edition: Edition) -> QuerySet[EditionApproval]:
    """Who has approved what it says now."""
    return edition.approvals.filter(content_hash=_current_hash(edition)).select_related("by")


def earliest(draft: Edition) -> datetime:
    """When its first mail may leave, if it is approved now: so long a person may undo it."""
    if needs_nobody(draft):
        return draft.due_at
    after_grace = timezone.now() + timedelta(minutes=draft.newsletter.grace_minutes)
    return after_grace if draft.is_urgent else max(draft.due_at, after_grace)


def undo(edition: Edition, *, by: User) -> bool:
    """Take an approval back: a draft again, which waits for a new one.

    False means that it was too late, for the audience is being frozen, or that it was no approved
    edition.
    """
    return void(edition, reason=f"The approval was taken back by {approvers.name(by)}.")


def void(edition: Edition, *, reason: str) -> bool:
    """Make an approved edition a draft that waits for a person; False if it was not approved."""
    with transaction.atomic():
        approved = Edition.objects.filter(pk=edition.pk, state=EditionState.APPROVED)
        if not approved.update(**voided(reason)):
            return False
        edition.approvals.all().delete()
    return True


def voided(reason: str) -> dict[str, object]:
    """The columns of an edition whose approval is void."""
    return {
        "state": EditionState.DRAFT,
        "approved_at": None,
        "approved_by": None,
        "asked_at": Coalesce(F("asked_at"), Now()),
        "reminded_at": None,
        "reason": reason[:200],
    }


def _release_or_hold(draft: Edition, stops: list[Finding], by: User | None) -> bool:
    if not stops:
        _release(draft, by=by)
        return True
    reason = f"Not sent by itself: {stops[0].sentence} Mend it, then approve it."
    Edition.objects.filter(pk=draft.pk).update(asked_at=Now(), reason=reason[:200])
    return False


def _is_second(draft: Edition, read: str, by: User | None) -> bool:
    """Record this person's yes; whether somebody else has said so, too, of the same content."""
    EditionApproval.objects.get_or_create(edition=draft, by=by, content_hash=read)
    Edition.objects.filter(pk=draft.pk).update(asked_at=Coalesce(F("asked_at"), Now()))
    return draft.approvals.filter(content_hash=read).exclude(by=by).exists()


def _release(draft: Edition, *, by: User | None) -> None:
    """Approved. What its first mail waits longer for, its last may do so, too."""
    due_at = earliest(draft)
    later = max(due_at - draft.due_at, timedelta(0))
    asked_at = None if needs_nobody(draft) else Coalesce(F("asked_at"), Now())
    Edition.objects.filter(pk=draft.pk).update(
        state=EditionState.APPROVED,
        content_hash=_current_hash(draft),
        approved_at=Now(),
        approved_by=by,
        asked_at=asked_at,  # a person decided, and will have to again if the content changes
        due_at=due_at,
        expires_at=draft.expires_at + later,
        reason="",
    )
