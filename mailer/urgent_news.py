"""Step 2e, one article that cannot wait: an urgent edition that carries it alone."""

from django.db import transaction
from django.utils import timezone

from iria_news.articles.models import Article
from mailer import opening, urgency
from mailer.models import Edition
from subscribers.models import Newsletter


def open_for(article: Article, newsletter: Newsletter) -> Edition:
    """Open an urgent draft that carries this article alone; two people approve it as ever.

    Raises opening.NothingToSend with the sentence why not, and has done nothing then.
    """
    with transaction.atomic():
        edition = opening.open_edition(newsletter, slot=timezone.now(), article=article, hold=True)
        if edition is None:
            raise opening.NothingToSend(
                f"An edition of {newsletter} carries “{article}” already. If that is a draft, "
                "make it urgent on its page."
            )
        try:
            urgency.make_urgent(edition)
        except urgency.TooMany as error:
            raise opening.NothingToSend(str(error)) from error
    edition.refresh_from_db()
    return edition
