"""How an article is read: its text as shown, its contents, its length. Makes no query."""

import html
import math
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify

from iria_news.articles import sanitising
from iria_news.articles.models import Language

WORDS_PER_MINUTE = 230
JAPANESE_CHARACTERS_PER_MINUTE = 500
TAG = re.compile(r"<[^>]*>")
# "(Image Credit: Somebody/Agency)" at the end of a caption, as the newsroom writes it.
CREDIT = re.compile(r"\s*\(\s*((?:image|photo|picture|map)\s+credit:[^<>]*)\)\s*$", re.IGNORECASE)
# Ids of the article page itself: a heading "Related" must not take one.
TAKEN_IDS = {
    *("top", "main", "about", "contact", "inside", "subscribe", "related", "withdrawn"),
    "corrections",
}


@dataclass(frozen=True)
class Section:
    id: str
    title: str


@dataclass(frozen=True)
class Reading:
    """A body as a reader sees it, and the headings in it."""

    body: SafeString
    sections: list[Section]


def prepare(body: str) -> Reading:
    """Return the body ready for a page: section ids, lazy pictures, credits of their own.

    It is cleaned before and after, so the page is safe whatever is in the database (W11).
    A picture from a host the page policy does not admit becomes a link to it.
    """
    marking = _Marking()
    marking.feed(sanitising.clean_body(body))
    marking.close()
    safe = sanitising.shown("".join(marking.output))
    return Reading(mark_safe(safe), marking.sections)  # noqa: S308  # the sanitiser's own output


def reading_minutes(body: str, language: str) -> int:
    """Whole minutes to read the body, rounded up, at least 1."""
    text = html.unescape(TAG.sub(" ", body))
    if language == Language.JAPANESE:  # written without spaces
        return max(1, math.ceil(len("".join(text.split())) / JAPANESE_CHARACTERS_PER_MINUTE))
    return max(1, math.ceil(len(text.split()) / WORDS_PER_MINUTE))


def opens_with(body: str, standfirst: str) -> bool:
    """Say whether the text begins with its own standfirst, as imported excerpts do."""
    beginning = sanitising.plain_text(body)[: len(standfirst) + 200]
    return bool(standfirst) and beginning.startswith(standfirst.rstrip("…. "))


def foreign_picture_hosts(body: str) -> set[str]:
    """Return the hosts of pictures in a clean body that pages may not show (IMAGE_HOSTS)."""
    finder = _Pictures()
    finder.feed(body)
    return {host for host in map(_host, finder.addresses) if not _may_be_shown(host)}


def _host(address: str) -> str:
    return urlsplit(address).netloc.lower()


def _may_be_shown(host: str) -> bool:
    return host in {_host(settings.SITE_URL), *settings.IMAGE_HOSTS}


class _Pictures(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.addresses.append(dict(attrs).get("src") or "")


class _Marking(HTMLParser):
    """Copies clean HTML and marks headings, pictures and credits on the way."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.output: list[str] = []
        self.sections: list[Section] = []
        self.ids = set(TAKEN_IDS)
        self.started_at = 0  # where in `output` the open heading or caption began

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.output.append(_picture(dict(attrs)))
            return
        if tag in {"h2", "figcaption"}:
            self.started_at = len(self.output)
        self.output.append(self.get_starttag_text() or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "h2":
            self._mark_section()
        elif tag == "figcaption":
            caption = "".join(self.output[self.started_at :])
            self.output[self.started_at :] = [CREDIT.sub(_credit, caption)]
        self.output.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self.output.append(data)

    def handle_entityref(self, name: str) -> None:
        self.output.append(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.output.append(f"&#{name};")

    def _mark_section(self) -> None:
        opening, *content = self.output[self.started_at :]
        title = sanitising.plain_text("".join(content))
        if title:
            section = Section(self._free_id(title), title)
            self.sections.append(section)
            self.output[self.started_at] = opening.replace("<h2", f'<h2 id="{section.id}"', 1)

    def _free_id(self, title: str) -> str:
        wanted = slugify(title)[:60].strip("-") or f"section-{len(self.sections) + 1}"
        name, number = wanted, 2
        while name in self.ids:
            name, number = f"{wanted}-{number}", number + 1
        self.ids.add(name)
        return name


def _credit(found: re.Match[str]) -> str:
    return f' <span class="credit">{found[1].strip()}</span>'


def _picture(attributes: dict[str, str | None]) -> str:
    address, shows = attributes.get("src") or "", attributes.get("alt") or ""
    if not address:
        return ""
    if not _may_be_shown(_host(address)):
        words = f"Picture: {shows}" if shows else "Picture"
        return f'<a class="elsewhere" href="{html.escape(address)}">{html.escape(words)}</a>'
    known = {name: attributes.get(name) for name in ("width", "height")}
    size = "".join(f' {name}="{html.escape(value)}"' for name, value in known.items() if value)
    source, alt = html.escape(address), html.escape(shows)
    return f'<img src="{source}" alt="{alt}"{size} loading="lazy">'
