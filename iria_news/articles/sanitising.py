"""The one way HTML and text from outside become ours (nh3); knows nothing of articles.

Whatever is done to a body afterwards, `shown` is the last step before a reader sees it.
"""

import html
import re
import unicodedata
from urllib.parse import urljoin

import nh3
from django.conf import settings

TEXT_TAGS = {
    *("p", "br", "hr", "h2", "h3", "h4", "ul", "ol", "li", "dl", "dt", "dd", "blockquote", "pre"),
    *("a", "em", "strong", "sup", "sub", "code", "cite", "q", "s", "abbr", "bdi"),
    *("figure", "figcaption", "img"),
    *("table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td"),
}
ATTRIBUTES = {
    "*": {"lang", "dir"},  # a quotation in Arabic keeps its direction
    "a": {"href"},
    "abbr": {"title"},
    "img": {"src", "alt", "width", "height"},
    "ol": {"start"},
    "th": {"scope", "colspan", "rowspan"},
    "td": {"colspan", "rowspan"},
}
# Elements whose content is not text for readers; any other unknown tag leaves its text behind.
DROPPED_WHOLE = {
    *("script", "style", "template", "noscript", "iframe", "object", "svg", "math", "title"),
    *("textarea", "select", "xmp", "noembed", "noframes"),
}
SCHEMES = {"http", "https", "mailto"}
# The page has its own h1; what older editors write means these.
RENAMED = {"h1": "h2", "h5": "h4", "h6": "h4", "b": "strong", "i": "em"}
RENAMING = re.compile(rf"<(/?)({'|'.join(RENAMED)})(?=[\s/>])", re.IGNORECASE)
# Between two of these there is a gap that the text alone would not show.
BLOCK = re.compile(
    r"<(?=/?(?:p|br|div|li|h\d|d[dlt]|t[dhr]|figcaption|blockquote)\b)", re.IGNORECASE
)
# Of the format characters those that turn the direction of what follows (W10).
TURNING = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean_body(body: str, *, base: str = "") -> str:
    """Return the HTML an article may contain, and nothing else (W11).

    Links are http, https or mailto; pictures https, or from our own /media/. Addresses that start
    with a slash become absolute ones of `base`, our own site by default. Cleaning what is clean
    changes nothing.
    """
    return _cleaner(base or settings.SITE_URL, TEXT_TAGS, ATTRIBUTES).clean(_renamed(body))


def shown(body: str) -> str:
    """Clean once more what `reading` prepared: as `clean_body`, with what only it may add."""
    attributes = ATTRIBUTES | {"h2": {"id"}, "span": {"class"}, "a": {"href", "class"}}
    attributes["img"] = ATTRIBUTES["img"] | {"loading"}
    return _cleaner(settings.SITE_URL, TEXT_TAGS | {"span"}, attributes).clean(body)


def plain_text(markup: str) -> str:
    """Return the text of a piece of HTML on one line. It is text: it still needs escaping."""
    bare = nh3.clean(BLOCK.sub(" <", markup), tags=set(), clean_content_tags=DROPPED_WHOLE)
    return one_line(html.unescape(bare))


def one_line(text: str) -> str:
    """Return the text with every run of blanks and line ends as one space (W9).

    Control characters and those that turn the direction of the text are taken out.
    """
    visible = "".join(
        character
        for character in text
        if character.isspace()
        or (character not in TURNING and unicodedata.category(character) not in {"Cc", "Cs"})
    )
    return " ".join(visible.split())


def _renamed(body: str) -> str:
    return RENAMING.sub(lambda found: f"<{found[1]}{RENAMED[found[2].lower()]}", body)


def _cleaner(base: str, tags: set[str], attributes: dict[str, set[str]]) -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=tags,
        attributes=attributes,
        clean_content_tags=DROPPED_WHOLE,
        url_schemes=SCHEMES,
        url_relative=lambda url: _absolute(url, base),
        attribute_filter=lambda tag, name, value: _allowed_value(tag, name, value, base),
        link_rel="noopener noreferrer",
    )


def _absolute(url: str, base: str) -> str | None:
    """Only /path is taken: "//host" would change the host, and anchors have lost their target."""
    own = url.startswith("/") and not url.startswith(("//", "/\\"))
    return urljoin(base, url) if own and base.startswith(("https://", "http://")) else None


def _allowed_value(tag: str, attribute: str, value: str, base: str) -> str | None:
    if (tag, attribute) == ("img", "src"):
        return _picture_address(_absolute(value, base) or value)
    if attribute in {"width", "height", "start", "colspan", "rowspan"}:
        return value if value.isascii() and value.isdigit() and len(value) <= 4 else None
    return value


def _picture_address(address: str) -> str | None:
    if address.startswith(f"{settings.SITE_URL}{settings.MEDIA_URL}"):
        return address
    scheme, _, rest = address.partition("://")
    # Hosts of old http pictures serve both.
    return f"https://{rest}" if scheme.lower() in {"http", "https"} and rest else None
