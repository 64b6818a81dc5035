"""Step 2b, what an edition puts right: corrections of articles that readers were mailed.

Which reader hears of which is found by the freeze, in sums of bits (`history`).
"""

from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Sum

from iria_news.articles.models import Article, Correction
from mailer import approving
from mailer.models import Edition, EditionArticle, EditionCorrection, EditionKind, EditionState

WITHIN = timedelta(days=60)  # before an edition is due; older ones are on the article's page only
MOST = 62  # bits of a sum


def of_edition(edition: Edition) -> QuerySet[EditionCorrection]:
    """What the edition carries, the newest first, each with its article but without the text."""
    rows = EditionCorrection.objects.filter(edition=edition).order_by("bit")
    return rows.select_related("correction__article").defer("correction__article__body")


def bits(edition: Edition) -> int:
    """The sum of all it carries: what a reader who needs each of them would see."""
    rows = EditionCorrection.objects.filter(edition=edition)
    return int(rows.aggregate(all=Sum("bit", default=0))["all"])


def take_up(edition: Edition) -> bool:
    """Have a regular edition carry what was corrected since its article was mailed.

    Returns whether it carries anything else than before; then its content hash is for the caller
    to renew. Only for an edition that is not frozen yet, in a transaction. What it carries already
    stays, so that the passing of time alone changes no edition that somebody has read.
    """
    if edition.kind != EditionKind.REGULAR:
        return False
    wanted = _wanted(edition)
    if set(wanted) == _carried(edition):
        return False
    EditionCorrection.objects.filter(edition=edition).delete()
    write(edition, wanted)
    return True


def write(edition: Edition, corrections: list[int]) -> None:
    """Give an edition that carries none these, at most 62."""
    EditionCorrection.objects.bulk_create(
        EditionCorrection(edition=edition, correction_id=pk, bit=1 << rank)
        for rank, pk in enumerate(corrections)
    )


def take_up_into_drafts() -> int:
    """Have each draft carry what was corrected since it was made; return how many changed.

    So whoever approves one has read what would go out. Reads only, when there is nothing new.
    """
    drafts = Edition.objects.regular().filter(state=EditionState.DRAFT)
    return sum(_renew(draft.pk) for draft in drafts if set(_wanted(draft)) != _carried(draft))


def _renew(edition_id: int) -> bool:
    with transaction.atomic():
        drafts = Edition.objects.select_for_update().filter(state=EditionState.DRAFT)
        draft = drafts.filter(pk=edition_id).first()
        if draft is None or not take_up(draft):
            return False
        draft.content_hash = approving.content_hash(draft)
        draft.save(update_fields=["content_hash"])
    return True


def mailed_before(article: Article | None = None) -> QuerySet[Correction]:
    """Corrections that came after an edition with their article was frozen, the newest first."""
    earlier = EditionArticle.objects.filter(
        article=OuterRef("article"), edition__frozen_at__lt=OuterRef("at")
    )
    found = Correction.objects.filter(Exists(earlier)).order_by("-at", "-pk")
    return found.filter(article=article) if article else found


def _wanted(edition: Edition) -> list[int]:
    carried = EditionCorrection.objects.filter(edition=edition).values("correction")
    young = Q(at__gt=edition.due_at - WITHIN)
    found = mailed_before().filter(young | Q(pk__in=carried))
    return list(found.values_list("pk", flat=True)[:MOST])


def _carried(edition: Edition) -> set[int]:
    rows = EditionCorrection.objects.filter(edition=edition)
    return set(rows.values_list("correction_id", flat=True))
