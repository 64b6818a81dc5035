"""Step 2b, who may let it go: an approval is bound to what the approver has read."""

import hashlib
import json

from django.contrib.auth.models import User
from django.db.models.functions import Now

from mailer.models import Edition, EditionKind, EditionState
from subscribers.models import Approval


class ContentChanged(Exception):
    """The edition is not the one that was read: show it again and ask again."""


def content_hash(edition: Edition) -> str:
    """SHA-256 over what readers will see, so that an approval is bound to what was read."""
    items = edition.items.select_related("article").order_by("bit")
    seen = [
        [
            item.article_id,
            item.article.title,
            item.article.slug,
            item.article.standfirst,
            item.article.kind,
            item.article.byline,
            item.article.language,
            item.article.lead_image.name or "",
            item.article.lead_alt,
            item.article.lead_caption,
            item.article.lead_credit,
        ]
        for item in items
    ]
    text = json.dumps([edition.newsletter_id, edition.subject, edition.preheader, seen])
    return hashlib.sha256(text.encode()).hexdigest()


def approve(edition: Edition, *, content_hash: str, by: User | None) -> bool:
    """Release exactly the content that `by` has read; say whether we did.

    `by` is None for a newsletter that needs no person. False means the edition had already left
    DRAFT: approved by a colleague, cancelled or skipped. Raises ContentChanged if it was composed
    anew since it was read.
    """
    as_read = Edition.objects.filter(
        pk=edition.pk, state=EditionState.DRAFT, content_hash=content_hash
    )
    if as_read.update(state=EditionState.APPROVED, approved_at=Now(), approved_by=by):
        return True
    edition.refresh_from_db()
    if edition.content_hash != content_hash:
        raise ContentChanged(edition)
    return False


def needs_nobody(edition: Edition) -> bool:
    """Whether it leaves without a person who approves it."""
    return edition.kind == EditionKind.CATCH_UP or edition.newsletter.approval == Approval.AUTOMATIC
