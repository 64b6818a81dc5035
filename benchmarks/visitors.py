"""People on the site while an edition leaves: editors in the admin, readers, and newcomers.

Run as `python -m benchmarks.visitors` with the environment of the service. All of it is HTTP, as
from outside; only the links that mails would bring are made here. Ends at SIGTERM and writes what
it saw to `--file` as JSON.
"""

import json
import os
import random
import signal
import sys
import threading
import time
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, HTTPErrorProcessor, Request, build_opener

ANSWER_WITHIN = 30  # seconds
TYPING = 3  # seconds; a form that comes back sooner was sent by a program
EDITOR, PASSWORD = "soak-editor", "a password for measuring only"  # nobody's


@dataclass
class Seen:
    """Requests by kind of page: seconds each took, and what did not answer as it should."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    failures: list[tuple[float, str, str]] = field(default_factory=list)  # time, kind, what
    left: list[int] = field(default_factory=list)  # subscriptions ended by one click

    def add(self, kind: str, seconds: float, status: int, expected: int) -> bool:
        self.seconds.setdefault(kind, []).append(seconds)
        if status != expected:
            self.failures.append((time.time(), kind, f"status {status}"))
        return status == expected


class _AsItComes(HTTPErrorProcessor):
    """Errors and redirects are answers like others."""

    def http_response(self, request: Request, response: Any) -> Any:  # noqa: ARG002  # urllib's
        return response


class Browser:
    """One visitor with cookies, who never follows a redirect."""

    def __init__(self, site: str, seen: Seen) -> None:
        self._site = site
        self._seen = seen
        self._cookies = CookieJar()
        self._opener = build_opener(HTTPCookieProcessor(self._cookies), _AsItComes())

    def cookie(self, name: str) -> str:
        return next((str(each.value) for each in self._cookies if each.name == name), "")

    def get(self, kind: str, path: str, *, expected: int = 200) -> bool:
        return self._ask(kind, Request(f"{self._site}{path}"), expected)  # noqa: S310  # our own

    def post(
        self, kind: str, path: str, fields: dict[str, str], *, expected: int, network: str = ""
    ) -> bool:
        headers = {"Referer": f"{self._site}{path}"}
        if network:
            headers["X-Forwarded-For"] = network
        body = urlencode(fields).encode()
        request = Request(f"{self._site}{path}", data=body, headers=headers)  # noqa: S310
        return self._ask(kind, request, expected)

    def _ask(self, kind: str, request: Request, expected: int) -> bool:
        began = time.perf_counter()
        try:
            with self._opener.open(request, timeout=ANSWER_WITHIN) as response:
                response.read()
                status = int(response.status)
        except (HTTPError, URLError, OSError) as error:
            self._seen.failures.append((time.time(), kind, type(error).__name__))
            return False
        return self._seen.add(kind, time.perf_counter() - began, status, expected)


def editor(browser: Browser, edition_id: int) -> Callable[[int], None]:
    """Logs in, then goes from page to page of the admin."""
    from django.contrib import admin
    from django.urls import reverse

    pages = {"admin: today": reverse("admin:index")}
    for model in admin.site._registry:  # noqa: SLF001  # the list of what is registered
        label = model._meta  # noqa: SLF001  # Django's documented name
        name = f"admin:{label.app_label}_{label.model_name}_changelist"
        pages[f"admin: {label.verbose_name_plural}"] = reverse(name)
    pages["admin: the edition"] = reverse("admin:mailer_edition_change", args=[edition_id])
    pages["admin: a reader by address"] = (
        f"{reverse('admin:subscribers_subscriber_changelist')}?q=reader77@bench.invalid"
    )
    names = list(pages)
    logged_in = False

    def act(number: int) -> None:
        nonlocal logged_in
        if not logged_in:
            browser.get("admin: log in", reverse("admin:login"))
            fields = {"username": EDITOR, "password": PASSWORD, "next": reverse("admin:index")}
            fields["csrfmiddlewaretoken"] = browser.cookie("csrf")
            logged_in = browser.post("admin: log in", reverse("admin:login"), fields, expected=302)
            return
        kind = names[number % len(names)]
        browser.get(kind, pages[kind])

    return act


def reader(browser: Browser, chance: random.Random, seen: Seen) -> Callable[[int], None]:
    """Opens preferences; every fourth leaves by the one click of RFC 8058."""
    from urllib.parse import urlsplit

    from django.db.models import Max, Min
    from django.utils import timezone

    from subscribers import links
    from subscribers.models import Subscription

    known = Subscription.objects.aggregate(first=Min("pk"), last=Max("pk"))

    def act(number: int) -> None:
        pk = chance.randint(known["first"], known["last"])
        if number % 4:
            link = links.preferences_url(pk, timezone.now())
            browser.get("reader: preferences", urlsplit(link).path)
            return
        path = urlsplit(links.unsubscribe_url(pk)).path
        fields = {"List-Unsubscribe": "One-Click"}
        if browser.post("reader: one click", path, fields, expected=200):
            seen.left.append(pk)

    return act


def newcomer(browser: Browser) -> Callable[[int], None]:
    """Signs up, each from a network and a mail domain of their own: limits are not the subject."""
    from iria_news.frame import form_age

    shown: list[str] = []

    def act(number: int) -> None:
        shown.append(form_age.issue())
        if number == 0:
            time.sleep(TYPING)
        fields = {"email": f"new{number}@d{number}.example", "form_age": shown[max(0, number - 9)]}
        network = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        browser.post("newcomer: sign-up", "/subscribe/", fields, expected=303, network=network)

    return act


def repeat(act: Callable[[int], None], pause: float, stop: threading.Event) -> None:
    number = 0
    while not stop.is_set():
        act(number)
        number += 1
        stop.wait(pause)


def main() -> int:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--site", required=True)
    parser.add_argument("--edition", type=int, required=True)
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between two acts of each")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iria_news.settings")
    import django

    django.setup()
    seen, stop = Seen(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    acts = [
        editor(Browser(options.site, seen), options.edition),
        reader(Browser(options.site, seen), random.Random(options.seed), seen),  # noqa: S311
        newcomer(Browser(options.site, seen)),
    ]
    threads = [threading.Thread(target=repeat, args=(act, options.pause, stop)) for act in acts]
    for thread in threads:
        thread.start()
    while not stop.is_set():  # a signal needs the main thread awake
        stop.wait(0.5)
    for thread in threads:
        thread.join()
    options.file.write_text(json.dumps(asdict(seen)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
