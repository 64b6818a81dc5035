"""What happens to an article on every way in: the admin, the import, the demo newsroom."""

from iria_news.articles import reading, sanitising
from iria_news.articles.models import Article

ONE_LINE_FIELDS = (
    *("title", "kind", "standfirst", "byline"),
    *("lead_alt", "lead_caption", "lead_credit"),
)


def prepare(article: Article, *, base: str = "") -> None:
    """Make an unsaved article fit to be stored; saving it is the caller's.

    The body is cleaned (W11), its reading time counted, and fields of one line have no line ends
    (W9). `base` is the site that addresses in the body belong to if they name none. May be called
    any number of times.
    """
    article.body = sanitising.clean_body(article.body, base=base)
    article.reading_minutes = reading.reading_minutes(article.body, article.language)
    for name in ONE_LINE_FIELDS:
        setattr(article, name, sanitising.one_line(getattr(article, name)))
