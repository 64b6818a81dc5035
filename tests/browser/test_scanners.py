"""Mail scanners with a real browser: every link is opened, scripts run, nothing changes."""

import contextlib
import sqlite3
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

from tests import steps
from tests.browser.conftest import open_window
from tests.service import Mail, Service

pytestmark = pytest.mark.browser
BY_THEMSELVES = {"mailer_pulse"}  # a tick writes down that it ran


def rows(service: Service) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table of the running service, read beside it."""
    path = f"file:{service.data_dir / 'iria.sqlite3'}?mode=ro"
    with contextlib.closing(sqlite3.connect(path, uri=True)) as line:
        tables = line.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            table: sorted(map(repr, line.execute(f'SELECT * FROM "{table}"')))
            for (table,) in tables
            if table not in BY_THEMSELVES
        }


def open_every_link(page: Page, service: Service, mail: Mail) -> list[str]:
    """Open them one after the other as a browser does; return their paths."""
    ours = [link for link in [*mail.links, *one_click(mail)] if link.startswith(service.url)]
    paths = []
    for link in dict.fromkeys(ours):
        answer = page.goto(link, wait_until="load")
        assert answer is not None
        assert answer.status == 200, link
        page.mouse.wheel(0, 2_000)  # what waits for a visible part of the page is woken
        page.wait_for_load_state("networkidle")
        paths.append(urlsplit(link).path)
    return paths


def one_click(mail: Mail) -> list[str]:
    return [mail.one_click_url] if mail.is_newsletter else []


def mails_of_a_life(service: Service) -> list[Mail]:
    """One of each kind that a reader gets: asked, welcomed, given a link, moving, and a digest."""
    waiting = steps.new_address("scanned")
    steps.sign_up(service, waiting)
    reader = steps.join(service)
    new = steps.new_address("moving")
    page = reader.browser.get(reader.preferences.url)
    reader.browser.submit(page, "Change address", email=new)
    steps.publish(service, "Scanners read the news first")
    steps.send_edition(service)
    return [
        service.wait_for_mail(to=waiting, subject="confirm"),
        service.wait_for_mail(to=reader.address, subject="Welcome"),
        service.wait_for_mail(to=new, subject="new address"),
        service.wait_for_mail(to=reader.address, subject="Scanners read the news first"),
    ]


def test_a_browser_that_opens_every_link_of_every_mail_changes_no_row(
    chromium: Browser, service: Service
) -> None:
    mails = mails_of_a_life(service)
    service.wait_until_quiet()
    before = rows(service)

    with open_window(chromium, service) as visitor:
        opened = [path for mail in mails for path in open_every_link(visitor.page, service, mail)]

    after = rows(service)
    changed = [table for table in after if after[table] != before[table]]
    assert changed == []
    kinds = {path.split("/")[1] for path in opened}
    assert kinds >= {"confirm", "preferences", "address", "u", "articles", "editions"}
