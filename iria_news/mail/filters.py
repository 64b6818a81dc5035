"""What mail templates may use: text at 72 columns, and one list of dark colours for two clients.

Built into the engines of mail templates; nothing to load.
"""

import re

from django import template
from django.utils.safestring import SafeString, mark_safe

from iria_news.mail import columns

register = template.Library()


@register.filter
def wrap72(text: object) -> str:
    """Break a text into lines of at most 72 columns; words such as URLs are never broken."""
    return columns.wrap(str(text))


@register.simple_tag
def rule(sign: str) -> str:
    return sign * columns.WIDTH


RULE = re.compile(
    r"(?P<selectors>[^{}]+?)\s*\{\s*(?P<property>[a-z-]+):\s*(?P<value>[^;{}]+?);?\s*\}"
)


@register.simple_block_tag(end_name="enddark")
def dark(content: str) -> SafeString:
    """Turn rules of one declaration each into the two style blocks that switch to dark colours.

    One for clients that ask for it by media query. One for Outlook on the web and in its apps,
    which mark what they recolour: `data-ogsb` for a background, `data-ogsc` for the rest; they
    drop `body`. Apart, so that a client which rejects one block keeps the other.
    """
    asked, outlook = [], []
    for found in RULE.finditer(content):
        selectors = [selector.strip() for selector in found["selectors"].split(",")]
        declaration = f"{{ {found['property']}: {found['value']} !important; }}"
        mark = "[data-ogsb]" if found["property"] == "background-color" else "[data-ogsc]"
        marked = [f"{mark} {selector}" for selector in selectors if selector != "body"]
        asked.append(f"{', '.join(selectors)} {declaration}")
        outlook.append(f"{', '.join(marked)} {declaration}")
    blocks = ["@media (prefers-color-scheme: dark) {", *asked, "}"], outlook
    style = "\n".join(
        '<style data-premailer="ignore">\n' + "\n".join(block) + "\n</style>" for block in blocks
    )
    return mark_safe(style)  # noqa: S308  # from our own template, no value of anybody in it
