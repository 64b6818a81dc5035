"""Catalogues and what should be in them, read without GNU gettext and without Django's reader."""

import ast
import gettext
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.template import Engine, TemplateSyntaxError
from django.template.base import Node, NodeList, TextNode
from django.templatetags.i18n import BlockTranslateNode, TranslateNode
from django.utils.translation import trim_whitespace

ROOT = Path(settings.BASE_DIR)
CONTEXT = "\x04"  # between a context and its msgid, as compiled catalogues have it
# Staff, operators and programs read English.
NOT_FOR_READERS = (
    "admin/",
    "unfold/",
    "inbox/",
    "robots.txt",
    "email/approval/",
    "email/reminder/",
)
CODE = ["iria_news", "subscribers", "mailer"]
# Where the arguments stand: context, msgid, plural.
CALLS = {
    "gettext": (None, 0, None),
    "gettext_lazy": (None, 0, None),
    "gettext_noop": (None, 0, None),
    "ngettext": (None, 0, 1),
    "pgettext": (0, 1, None),
    "pgettext_lazy": (0, 1, None),
}


@dataclass
class Entry:
    """One msgid, with its context in front, and how a language says it."""

    key: str
    plural: str = ""
    said: dict[int, str] = field(default_factory=dict)
    is_fuzzy: bool = False


def languages() -> list[str]:
    """All but the language of the code."""
    return [code for code, _ in settings.LANGUAGES if code != settings.LANGUAGE_CODE]


def folder(language: str) -> Path:
    [root] = settings.LOCALE_PATHS
    return Path(root) / language / "LC_MESSAGES"


def entries(language: str) -> list[Entry]:
    """What stands in a .po file, without its head."""
    blocks = (folder(language) / "django.po").read_text().split("\n\n")
    return [entry for entry in map(_entry, blocks) if entry]


LINE = re.compile(r'(?:(msgctxt|msgid_plural|msgid|msgstr)(?:\[(\d)\])? )?("(?:[^"\\]|\\.)*")')


def _entry(block: str) -> Entry | None:
    parts: dict[tuple[str, int], str] = {}
    name = ("", 0)
    for line in block.strip().splitlines():
        if line.startswith("#"):
            continue
        found = LINE.fullmatch(line)
        assert found, f"no line of a catalogue: {line}"
        if found[1]:
            name = (found[1], int(found[2] or 0))
        parts[name] = parts.get(name, "") + ast.literal_eval(found[3])
    msgid = parts.get(("msgid", 0), "")
    if not msgid:
        return None
    context = parts.get(("msgctxt", 0))
    return Entry(
        key=msgid if context is None else f"{context}{CONTEXT}{msgid}",
        plural=parts.get(("msgid_plural", 0), ""),
        said={form: text for (kind, form), text in parts.items() if kind == "msgstr"},
        is_fuzzy=any(line.startswith("#,") and "fuzzy" in line for line in block.splitlines()),
    )


def compiled(language: str) -> dict[tuple[str, int], str]:
    """What stands in a .mo file: (msgid, form) -> text."""
    with (folder(language) / "django.mo").open("rb") as file:
        catalogue = gettext.GNUTranslations(file)._catalog
    return {
        (key if isinstance(key, tuple) else (key, 0)): said
        for key, said in catalogue.items()
        if key
    }


def used() -> dict[str, str]:
    """Every msgid that code and templates ask for -> where."""
    found = {}
    for path in sorted(path for app in CODE for path in (ROOT / app).rglob("*.py")):
        for key in _in_code(path.read_text()):
            found[key] = str(path.relative_to(ROOT))
    for path in readers_templates():
        for key in _in_template(path):
            found[key] = str(path.relative_to(ROOT))
    return found


def _in_code(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func
        name = name.id if isinstance(name, ast.Name) else name
        if name not in CALLS:
            continue
        context, msgid, _ = CALLS[name]
        text = node.args[msgid]
        if not isinstance(text, ast.Constant):
            continue  # a constant that gettext_noop has marked
        prefix = "" if context is None else f"{node.args[context].value}{CONTEXT}"
        yield prefix + text.value


def readers_templates() -> list[Path]:
    root = ROOT / "templates"
    found = [path for path in root.rglob("*.*") if path.suffix in {".html", ".txt"}]
    return sorted(
        path for path in found if not str(path.relative_to(root)).startswith(NOT_FOR_READERS)
    )


def _engine() -> Engine:
    return Engine(
        dirs=[ROOT / "templates"],
        libraries={
            "frame": "iria_news.frame.templatetags.frame",
            "newsday": "iria_news.articles.templatetags.newsday",
            "static": "django.templatetags.static",
        },
        builtins=[
            "iria_news.mail.filters",
            *settings.TEMPLATES[0]["OPTIONS"]["builtins"],
        ],
    )


def _in_template(path: Path) -> Iterator[str]:
    try:
        nodes = _engine().from_string(path.read_text()).nodelist
    except TemplateSyntaxError as error:
        raise AssertionError(f"{path}: {error}") from error
    for node in _all(nodes):
        if isinstance(node, TranslateNode):
            msgid = node.filter_expression.var.var
            msgid = getattr(msgid, "literal", msgid)
            context = node.message_context
            prefix = f"{context.var}{CONTEXT}" if context else ""
            yield prefix + str(msgid).strip("\"'")
        elif isinstance(node, BlockTranslateNode):
            msgid, _ = node.render_token_list(node.singular)
            yield trim_whitespace(msgid) if node.trimmed else msgid


def _all(nodes: NodeList) -> Iterator[Node]:
    for node in nodes:
        if not isinstance(node, TextNode):
            yield from node.get_nodes_by_type(Node)


COMMENTS = re.compile(r"\{% comment.*?%\}.*?\{% endcomment %\}|\{#.*?#\}|<!--.*?-->", re.DOTALL)
SAID = re.compile(r"\{% blocktranslate.*?%\}.*?\{% endblocktranslate %\}", re.DOTALL)
STYLE = re.compile(
    r"<style.*?</style>"
    r"|\{% block (?:style|phone|dark|main_class|masthead_class) %\}.*?\{% endblock %\}",
    re.DOTALL,
)
CODE_IN_TEMPLATE = re.compile(r"\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
ATTRIBUTE = re.compile(r'\b(?:aria-label|alt|title|placeholder|content)="([^"]*)"')
TAG = re.compile(r"<[^>]*>|&\w+;")
LETTERS = re.compile(r"[^\W\d_]{2,}")
GIVEN = re.compile(r"\{% (?:include|with) [^%]*?=\"([^\"]* [^\"]*)\"")
PLURAL = re.compile(r"\|pluralize")


def untranslated(source: str) -> list[str]:
    """Sentences of a template that stand there as they are: between tags and in attributes."""
    source = STYLE.sub("", COMMENTS.sub("", source))
    found = [text for text in GIVEN.findall(source) if LETTERS.search(text)]
    found += PLURAL.findall(source)
    source = CODE_IN_TEMPLATE.sub("\x00", SAID.sub("\x00", source))
    found += [text for text in ATTRIBUTE.findall(source) if LETTERS.search(text)]
    for text in TAG.sub("\n", source).split("\n"):
        words = " ".join(text.replace("\x00", " ").split())
        if LETTERS.search(words):
            found.append(words)
    return found
