"""The latest edition of a newsletter as somebody is shown it who has just joined."""

from collections.abc import Collection

from django.conf import settings

from iria_news.articles.models import Article, ArticleQuerySet, Topic
from mailer import contents
from mailer.models import Edition, EditionState
from subscribers import mail_contents
from subscribers.mail_contents import Item, LatestEdition
from subscribers.models import Newsletter


def register() -> None:
    """Let welcome mails show it from now on."""
    mail_contents.latest_edition = latest_edition


def latest_edition(newsletter: Newsletter, topics: Collection[Topic]) -> LatestEdition | None:
    """The latest edition that was sent to its end, with what of it is within these topics.

    None if there is no edition, or nothing in it that is theirs and still published.
    """
    sent = Edition.objects.readable().filter(newsletter=newsletter, state=EditionState.DONE)
    edition = sent.select_related("newsletter").order_by("-slot").first()
    if edition is None:
        return None
    ranked = edition.items.filter(article__in=_within(topics)).order_by("bit")
    items = [_item(item.article) for item in ranked.select_related("article")]
    return LatestEdition(contents.page_url(edition), items) if items else None


def _within(topics: Collection[Topic]) -> ArticleQuerySet:
    published = Article.objects.published().filter(topics__in=[topic.pk for topic in topics])
    return published.order_by()


def _item(article: Article) -> Item:
    return Item(article.title, settings.SITE_URL + article.get_absolute_url(), article.standfirst)
