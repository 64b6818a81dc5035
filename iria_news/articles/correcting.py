"""What was wrong with a published article, put right in public: kept for good, never edited."""

from django.db import transaction

from iria_news.articles import sanitising
from iria_news.articles.models import Article, ArticleState, Correction


class NotPublic(Exception):
    """Nobody has read the article yet: change it, there is nothing to correct in public."""


def correct(article: Article, note: str) -> Correction:
    """Record a correction from this moment on; its readers are told with their next edition.

    `note` says what was wrong and what is right, on one line. Raises NotPublic for a draft.
    """
    return _record(article, note, is_withdrawal=False)


def withdraw(article: Article, note: str) -> Correction:
    """Take the text of an article back; its headline stays, with the note that says why.

    Twice, the second note stands below the first. Raises NotPublic for a draft.
    """
    with transaction.atomic():
        correction = _record(article, note, is_withdrawal=True)
        Article.objects.filter(pk=article.pk).update(state=ArticleState.WITHDRAWN)
    article.state = ArticleState.WITHDRAWN
    return correction


def _record(article: Article, note: str, *, is_withdrawal: bool) -> Correction:
    if not Article.objects.readable().filter(pk=article.pk).exists():
        raise NotPublic(f"{article} is not public yet.")
    return Correction.objects.create(
        article=article, note=sanitising.one_line(note), is_withdrawal=is_withdrawal
    )
