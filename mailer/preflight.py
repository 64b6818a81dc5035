"""What stops an edition, or should be seen before it leaves. Looks at the mail as it would be sent.

Each rule is a function of what `load` has read. Contrast is no rule: every colour of a mail is the
template's, and nothing that an editor writes can change one.
"""

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from django.conf import settings

from iria_news.articles.models import Article
from mailer import contents, link_checks, messages, previewing, reach, rendering
from mailer.contents import Facts, Item
from mailer.models import Edition
from mailer.previewing import Preview
from mailer.reach import Usual
from subscribers import links
from subscribers.models import Look

LONG_SUBJECT = 60  # characters; phones show about 40
UNUSUAL = 0.3  # more or fewer readers than usual, as a share
WARN_BYTES = 80_000  # of HTML (M9); what stops is `rendering.LIMIT`
PICTURE_BYTES = 60_000  # of one picture
PICTURES_BYTES = 400_000  # of all in one mail
PLACE_HOLDER = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\*\|\w+\|\*|%%\w+%%", re.DOTALL)
ARTICLE_LINK = re.compile(r"/articles/([\w-]+)/?")


class Place(enum.Enum):
    """Where something is mended."""

    ARTICLE = "article"  # with its number
    ITEMS = "items"
    SUBJECT = "subject"
    READERS = "readers"
    SETTINGS = "settings"  # of the whole service: an operator's


@dataclass(frozen=True)
class Finding:
    sentence: str
    place: Place
    number: int = 0
    is_blocking: bool = True


@dataclass(frozen=True)
class Loaded:
    """An edition as the rules look at it."""

    edition: Edition
    facts: Facts
    items: list[Item]
    articles: list[Article]  # of the items, in the same order
    preview: Preview | None  # of the reader who gets everything; None if it cannot be built
    failure: str  # why it cannot be built
    readers: int
    usual: Usual | None
    earlier_subject: str  # that a person wrote for the last edition of this newsletter
    unpublished: frozenset[int] = frozenset()  # articles that nobody can read now
    missing: frozenset[str] = frozenset()  # slugs that our own links name and nobody can read
    answers: dict[str, str] = field(default_factory=dict)  # of other sites, as far as asked


def check(edition: Edition) -> list[Finding]:
    """Everything there is to say about an edition, what stops it first. Changes nothing."""
    loaded = load(edition)
    found = [finding for rule in RULES for finding in rule(loaded)]
    return sorted(found, key=lambda finding: not finding.is_blocking)


def stops(edition: Edition) -> list[Finding]:
    """What keeps it from leaving."""
    return [finding for finding in check(edition) if finding.is_blocking]


def load(edition: Edition) -> Loaded:
    rows = edition.items.select_related("article").defer("article__body").order_by("bit")
    articles = [row.article for row in rows]
    facts, items = contents.load(edition.pk, sum(row.bit for row in rows))
    preview, failure = _preview(edition, sum(row.bit for row in rows))
    of_it = Article.objects.filter(pk__in=[article.pk for article in articles])
    unpublished = of_it.exclude(pk__in=Article.objects.published().values("pk"))
    return Loaded(
        edition,
        facts,
        items,
        articles,
        preview,
        failure,
        reach.expected_readers_of(edition),
        reach.usual(edition),
        _earlier_subject(edition),
        frozenset(unpublished.values_list("pk", flat=True)),
        _missing(edition),
        link_checks.known(link_checks.of(edition)),
    )


def _preview(edition: Edition, articles: int) -> tuple[Preview | None, str]:
    corrections = sum(edition.corrections.values_list("bit", flat=True))
    if not articles and not corrections:
        return None, "It carries no article."
    cohort = previewing.cohort_of(edition, articles=articles, corrections=corrections)
    try:
        return previewing.of(cohort), ""
    except rendering.TooLarge as error:
        return None, f"It is too large: {error}"
    except rendering.NoArticles:
        return None, "It carries no article."
    except (messages.UnknownSlot, messages.MissingSlot) as error:
        return None, f"A place-holder of its template has no value, or is missing: {error}."


def _earlier_subject(edition: Edition) -> str:
    earlier = edition.newsletter.editions.regular().frozen().exclude(pk=edition.pk)
    return earlier.order_by("-slot").values_list("subject", flat=True).first() or ""


def _missing(edition: Edition) -> frozenset[str]:
    """Which articles the edition's own texts link to although nobody can read them."""
    named = set(_slugs_in(edition.introduction)) | set(_slugs_in(edition.note))
    there = Article.objects.readable().filter(slug__in=named).values_list("slug", flat=True)
    return frozenset(named - set(there)) if named else frozenset()


def _slugs_in(text: str) -> list[str]:
    ours = [url for url in link_checks.URL.findall(text) if url.startswith(settings.SITE_URL)]
    return [found[1] for url in ours if (found := ARTICLE_LINK.search(url))]


def sender(loaded: Loaded) -> Iterator[Finding]:
    """M15: who sends it, from where, and how to leave, in both parts."""
    if loaded.preview is None:
        return
    needed = {
        "legal name": settings.LEGAL_NAME,
        "postal address": settings.POSTAL_ADDRESS,
        "contact address": settings.CONTACT_ADDRESS,
    }
    for words, value in needed.items():
        if not value.strip():
            yield Finding(f"The {words} of the sender is missing.", Place.SETTINGS)
    unsubscribe = links.unsubscribe_url(links.NOBODY)
    for words, part in (("text", loaded.preview.text), ("HTML", loaded.preview.html)):
        if unsubscribe not in part:
            yield Finding(f"The {words} part has no unsubscribe link.", Place.SETTINGS)


def body(loaded: Loaded) -> Iterator[Finding]:
    if loaded.failure:
        yield Finding(loaded.failure, Place.ITEMS)
    elif loaded.preview and loaded.preview.html_bytes > rendering.LIMIT:
        size = f"{loaded.preview.html_bytes:,} of at most {rendering.LIMIT:,} bytes"
        yield Finding(f"Its HTML has {size}.", Place.ITEMS)
    elif loaded.preview and loaded.preview.html_bytes > WARN_BYTES:
        size = f"{loaded.preview.html_bytes:,} bytes; mail programs cut from 102,000 on"
        yield Finding(f"Its HTML has {size}.", Place.ITEMS, is_blocking=False)


def place_holders(loaded: Loaded) -> Iterator[Finding]:
    """What an editor takes for a place-holder would be sent as it stands."""
    edition = loaded.edition
    texts = [edition.subject, edition.preheader, edition.introduction, edition.note]
    for text in texts:
        if found := PLACE_HOLDER.search(text):
            yield Finding(f"“{found[0]}” would be sent as it stands.", Place.SUBJECT)


def articles(loaded: Loaded) -> Iterator[Finding]:
    """Each headline leads to a page that readers can open."""
    for article in loaded.articles:
        if article.pk in loaded.unpublished:
            sentence = f"“{article}” is not published, so its link leads nowhere."
            yield Finding(sentence, Place.ARTICLE, article.pk)
    for slug in sorted(loaded.missing):
        yield Finding(f"The link to /articles/{slug}/ leads nowhere.", Place.ITEMS)


def pictures(loaded: Loaded) -> Iterator[Finding]:
    """Every picture that a reader may see says what it shows and whose it is."""
    if loaded.facts.look == Look.ALERT and len(loaded.items) == 1:
        return  # an alert shows none
    for item, article in zip(loaded.items, loaded.articles, strict=True):
        if item.picture is None:
            continue
        for words, value in (("alt text", article.lead_alt), ("credit", article.lead_credit)):
            if not value.strip():
                sentence = f"The picture of “{article}” has no {words}."
                yield Finding(sentence, Place.ARTICLE, article.pk)
    edition = loaded.edition
    if edition.picture:
        given = (("alt text", edition.picture_alt), ("credit", edition.picture_credit))
        for words, value in given:
            if not value.strip():
                yield Finding(f"The picture of the edition has no {words}.", Place.ITEMS)


def weight(loaded: Loaded) -> Iterator[Finding]:
    """Pictures that a reader on the road waits for. A file that is gone weighs nothing."""
    files = [(article.lead_image, Place.ARTICLE, article.pk) for article in loaded.articles]
    total = 0
    for image, place, number in [*files, (loaded.edition.picture, Place.ITEMS, 0)]:
        if not image or image.name is None:
            continue
        if not image.storage.exists(image.name):
            yield Finding(f"The file {image.name} is gone.", place, number, is_blocking=False)
            continue
        total += image.size
        if image.size > PICTURE_BYTES:
            size = f"{image.size // 1000:,} kB; {PICTURE_BYTES // 1000} are plenty"
            yield Finding(f"The picture {image.name} has {size}.", place, number, is_blocking=False)
    if total > PICTURES_BYTES:
        size = f"{total // 1000:,} kB together; {PICTURES_BYTES // 1000} are the budget"
        yield Finding(f"Its pictures have {size}.", Place.ITEMS, is_blocking=False)


def subject(loaded: Loaded) -> Iterator[Finding]:
    line = loaded.preview.subject if loaded.preview else loaded.edition.subject
    if len(line) > LONG_SUBJECT:
        sentence = f"The subject has {len(line)} characters; phones show about 40."
        yield Finding(sentence, Place.SUBJECT, is_blocking=False)
    if loaded.edition.subject and loaded.edition.subject == loaded.earlier_subject:
        sentence = "The subject is that of the last edition."
        yield Finding(sentence, Place.SUBJECT, is_blocking=False)


def other_sites(loaded: Loaded) -> Iterator[Finding]:
    for url, wrong in loaded.answers.items():
        if wrong:
            yield Finding(f"{url} {wrong}", Place.ITEMS, is_blocking=False)


def readers(loaded: Loaded) -> Iterator[Finding]:
    if not loaded.readers:
        yield Finding("Nobody follows it now, so there is nobody to send to.", Place.READERS)
    elif loaded.usual is not None:
        share = loaded.readers / loaded.usual.readers - 1
        if abs(share) > UNUSUAL:
            than = f"{'more' if share > 0 else 'fewer'} than on average of the last"
            editions = f"{loaded.usual.editions} edition{'s' if loaded.usual.editions > 1 else ''}"
            sentence = f"{loaded.readers:,} readers, {abs(share):.0%} {than} {editions}."
            yield Finding(sentence, Place.READERS, is_blocking=False)


RULES = [
    *(body, sender, place_holders, articles, pictures, weight, subject, other_sites, readers),
]
