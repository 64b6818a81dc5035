"""What mail scanners do: open every link of a mail, again and again, before its reader does.

`assert_links_change_nothing` compares a dump of every table before and after.
"""

import re
from email.message import EmailMessage
from urllib.parse import urlsplit

import lxml.html
from django.apps import apps
from django.conf import settings
from django.db import connection
from django.test import Client

TIMES = 10
METHODS = ["get", "head"]


def dump() -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, those of Django and of many-to-many relations included."""
    found = {}
    with connection.cursor() as cursor:
        for model in apps.get_models(include_auto_created=True):
            table = model._meta.db_table
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            found[table] = sorted(tuple(map(repr, row)) for row in cursor.fetchall())
    return found


def links(message: EmailMessage) -> list[str]:
    """Paths of ours behind every link of a mail: in both parts, and in List-Unsubscribe."""
    text = message.get_body(("plain",))
    html = message.get_body(("html",))
    addresses = re.findall(r"https?://[^\s<>\"]+", text.get_content() if text else "")
    if html:
        tree = lxml.html.document_fromstring(html.get_content())
        addresses += [*tree.xpath("//@href"), *tree.xpath("//@src")]
    headers = " ".join(map(str, message.values()))
    addresses += re.findall(r"<(https?://[^<>]+)>", headers)
    parts = [urlsplit(str(each)) for each in addresses if str(each).startswith(settings.SITE_URL)]
    paths = [f"{each.path}?{each.query}" if each.query else each.path for each in parts]
    return list(dict.fromkeys(paths))


def assert_links_change_nothing(message: EmailMessage) -> list[str]:
    """Open every link ten times by GET and HEAD, without a cookie; return the links' paths."""
    paths = links(message)
    assert paths, f"no link of ours in {message['Subject']!r}"
    before = dump()
    for path in paths * TIMES:
        for method in METHODS:
            client = Client()
            response = getattr(client, method)(path)
            assert response.status_code == 200, f"{method} {path}: {response.status_code}"
            assert not client.cookies
    after = dump()
    changed = [table for table, rows in after.items() if rows != before[table]]
    assert changed == []
    return paths
