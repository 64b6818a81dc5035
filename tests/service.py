"""The whole service in processes of its own, met as its users meet it.

Nothing here knows how it works inside: there are pages, the mails that were caught, and the public
commands. Every wait has an end.
"""

import contextlib
import http.client
import itertools
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cached_property
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode, urljoin, urlsplit
from urllib.request import HTTPCookieProcessor, HTTPErrorProcessor, Request, build_opener

import lxml.html

MANAGE = Path(__file__).parent.parent / "manage.py"
# What the suite sets for itself. Its MESSAGE_KEY_SECRET stays: with it the rules check signatures.
NOT_FOR_IT = (
    *("DATA_DIR", "DATABASE_URL", "REDIS_URL", "EMAIL_URL", "SITE_URL", "PORT", "BIND"),
    *("SECRET_KEY", "SECURE_SSL_REDIRECT", "STATICFILES_BACKEND", "DJANGO_ALLOW_ASYNC_UNSAFE"),
)
READY_WITHIN = 90  # seconds; alone on the machine it takes 5
STOPS_WITHIN = 90
MAIL_WITHIN = 60  # seconds; usually 2
ANSWER_WITHIN = 30
COMMAND_WITHIN = 60
TYPING = 2.1  # seconds; a form that comes back sooner was sent by a program
AT_REST = {"done", "skipped", "cancelled", "draft"}
REDIRECTS = {301, 302, 303, 307, 308}

Fields = dict[str, "str | list[str]"]
_numbers = itertools.count(1)


@dataclass
class Page:
    """What the server answered, as a browser sees it."""

    status: int
    url: str
    headers: http.client.HTTPMessage
    body: bytes
    came_at: float = field(default_factory=time.monotonic)

    @cached_property
    def html(self) -> str:
        return self.body.decode()

    @cached_property
    def tree(self) -> lxml.html.HtmlElement:
        return lxml.html.document_fromstring(self.html, base_url=self.url)

    @cached_property
    def text(self) -> str:
        """The words of its main part, blanks made one."""
        main = self.tree.xpath("//main") or [self.tree]
        return " ".join(main[0].text_content().split())

    @property
    def heading(self) -> str:
        return " ".join(self.tree.xpath("string(//h1)").split())

    def link(self, text: str) -> str:
        """The address behind the one link with this text."""
        found = [a.get("href") for a in self.tree.iter("a") if text in a.text_content()]
        assert len(set(found)) == 1, f"{len(found)} links {text!r} on {self.url}"
        return urljoin(self.url, found[0])

    def form(self, button: str) -> lxml.html.FormElement:
        """The one form with a button of this text."""
        found = [form for form in self.tree.forms if _button(form, button) is not None]
        assert len(found) == 1, f"{len(found)} forms with {button!r} on {self.url}"
        return found[0]


def _button(form: lxml.html.FormElement, text: str) -> lxml.html.HtmlElement | None:
    """The button with this text, or with this text and the name of an icon font's picture."""
    buttons = form.xpath(".//button | .//input[@type='submit']")
    buttons += form.xpath("//button[@form=$id]", id=form.get("id") or "")
    named = {" ".join(_words_on(each).split()): each for each in buttons}
    with_icon = (each for name, each in named.items() if re.fullmatch(rf"{text} [a-z_]+", name))
    return named[text] if text in named else next(with_icon, None)


def _words_on(button: lxml.html.HtmlElement) -> str:
    return button.get("value") or "" if button.tag == "input" else button.text_content()


class _AnswersAsTheyCome(HTTPErrorProcessor):
    """Neither an error nor a redirect is anything but an answer."""

    def http_response(self, _request: Request, response: http.client.HTTPResponse):
        return response

    https_response = http_response


class Browser:
    """Keeps cookies, follows redirects and fills in forms; runs no scripts.

    Each stands in a network of its own, or twenty sign-ups an hour would be all there are.
    """

    def __init__(self, service: "Service") -> None:
        self.service = service
        self.network = f"198.51.100.{next(_numbers) % 250 + 1}"
        self.language = "en"
        self._opener = build_opener(HTTPCookieProcessor(CookieJar()), _AnswersAsTheyCome)

    def get(self, address: str) -> Page:
        return self.request("GET", address)

    def request(
        self, method: str, address: str, body: bytes | None = None, content_type: str = ""
    ) -> Page:
        """Ask, and go where redirects lead."""
        url = urljoin(self.service.url, address)
        for _ in range(5):
            headers = {"X-Forwarded-For": self.network, "Accept-Language": self.language}
            if body is not None:
                headers |= {"Content-Type": content_type, "Origin": self.service.url}
            request = Request(url, data=body, headers=headers, method=method)
            with self._opener.open(request, timeout=ANSWER_WITHIN) as answer:
                page = Page(answer.status, url, answer.headers, answer.read())
            if page.status not in REDIRECTS:
                return page
            url = urljoin(url, page.headers["Location"])
            if page.status in {302, 303}:
                method, body = "GET", None
        raise AssertionError(f"more than five redirects, the last to {url}")

    def submit(self, page: Page, button: str, **typed: "str | list[str]") -> Page:
        """Fill in the form with this button and press it, as slowly as a person.

        A list names what is ticked; the rest of the form stays as it is. Hyphens of names are
        written as two underscores.
        """
        form = page.form(button)
        values = _filled_in(form, {name.replace("__", "-"): what for name, what in typed.items()})
        pressed = _button(form, button)
        if pressed is not None and pressed.get("name"):
            values.append((pressed.get("name"), pressed.get("value") or ""))
        if "form_age" in form.fields:
            time.sleep(max(0.0, page.came_at + TYPING - time.monotonic()))
        url = urljoin(page.url, form.get("action") or page.url)
        if (form.method or "GET").upper() == "GET":
            return self.get(f"{url}?{urlencode(values)}")
        if form.get("enctype") == "multipart/form-data":
            return self.request("POST", url, *_multipart(values))
        body = urlencode(values).encode()
        return self.request("POST", url, body, "application/x-www-form-urlencoded")


def _filled_in(form: lxml.html.FormElement, typed: Fields) -> list[tuple[str, str]]:
    unknown = typed.keys() - {element.get("name") for element in form.inputs}
    assert not unknown, f"the form has no {sorted(unknown)}"
    values = [(name, value) for name, value in form.form_values() if name not in typed]
    for name, what in typed.items():
        values += [(name, each) for each in ([what] if isinstance(what, str) else what)]
    return values


def _multipart(values: list[tuple[str, str]]) -> tuple[bytes, str]:
    boundary = secrets.token_hex(16)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in values
    ]
    body = "".join([*parts, f"--{boundary}--\r\n"]).encode()
    return body, f"multipart/form-data; boundary={boundary}"


@dataclass(frozen=True)
class Mail:
    """One caught message: the file byte for byte, and its envelope."""

    id: str
    raw: bytes
    sender: str
    recipients: list[str]

    @cached_property
    def parsed(self) -> EmailMessage:
        return message_from_bytes(self.raw, policy=policy.default)

    @property
    def subject(self) -> str:
        return str(self.parsed["Subject"])

    @property
    def received_at(self) -> datetime:
        return datetime.strptime(f"{self.id[:22]} +0000", "%Y%m%d-%H%M%S-%f %z")

    @property
    def is_newsletter(self) -> bool:
        return "List-Id" in self.parsed

    @cached_property
    def text(self) -> str:
        return self.parsed.get_body(["plain"]).get_content()

    @cached_property
    def html(self) -> str:
        return self.parsed.get_body(["html"]).get_content()

    @cached_property
    def one_line(self) -> str:
        """The words of the plain text part, wherever its lines end."""
        return " ".join(self.text.split())

    @property
    def one_click_url(self) -> str:
        return re.match(r"<([^<>]+)>", self.parsed["List-Unsubscribe"])[1]

    @cached_property
    def links(self) -> list[str]:
        """Every web address in it, wherever it stands."""
        tree = lxml.html.document_fromstring(self.html)
        found = [*tree.xpath("//@href"), *tree.xpath("//@src")]
        found += re.findall(r"https?://[^\s<>\"]+", self.text)
        found += re.findall(r"<(https?://[^<>]+)>", " ".join(map(str, self.parsed.values())))
        return [link for link in dict.fromkeys(map(str, found)) if link.startswith("http")]

    def link(self, path: str) -> str:
        """Its one address below this path of ours."""
        found = [link for link in self.links if urlsplit(link).path.startswith(path)]
        assert len(found) == 1, f"{len(found)} links to {path} in {self.subject!r}"
        return found[0]


@dataclass
class Service:
    """A running service: its address, what it printed at the start, its mailbox, its commands."""

    process: "subprocess.Popen[bytes]"
    data_dir: Path
    url: str
    environment: dict[str, str]
    greeting: str = ""
    _tabs: dict[str, Page] = field(default_factory=dict)

    def browser(self) -> Browser:
        return Browser(self)

    def tab(self, path: str) -> Page:
        """This page in a tab that may be open since long: its form need not be waited for."""
        if path not in self._tabs:
            self._tabs[path] = self.browser().get(path)
        return self._tabs[path]

    def mails(self, *, to: str | None = None) -> list[Mail]:
        """What was caught so far, in the order of arrival."""
        found = []
        for path in sorted((self.data_dir / "inbox").glob("[0-9]*.eml")):
            envelope = json.loads(path.with_suffix(".json").read_bytes())
            if to is None or to in envelope["to"]:
                mail = Mail(path.stem, path.read_bytes(), envelope["from"], envelope["to"])
                found.append(mail)
        return found

    def wait_for_mail(
        self, *, to: str, subject: str = "", words: str = "", seconds: float = MAIL_WITHIN
    ) -> Mail:
        """The first mail to this address with these words in subject and text."""

        def fitting() -> list[Mail]:
            return [
                mail
                for mail in self.mails(to=to)
                if subject in mail.subject and words in mail.one_line
            ]

        if not comes_true(lambda: bool(fitting()), seconds=seconds):
            there = [mail.subject for mail in self.mails(to=to)]
            raise AssertionError(
                f"no mail with {subject!r} and {words!r} to {to} within {seconds} s; there: {there}"
            )
        return fitting()[0]

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """`manage.py ...` with whatever it returns."""
        return subprocess.run(
            [sys.executable, str(MANAGE), *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_WITHIN,
            check=False,
        )

    def manage(self, *arguments: str) -> str:
        """The output of `manage.py ...`, which must succeed."""
        done = self.run(*arguments)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def ledgers(self) -> list[dict]:
        """The books of all editions whose audience is frozen; verify_ledger finds them right."""
        said = [json.loads(line) for line in self.manage("verify_ledger", "--json").splitlines()]
        return [books for books in said if "edition_id" in books]  # the last line: the proofs

    def queue(self) -> dict:
        return json.loads(self.manage("queue_status", "--json"))

    def wait_until_quiet(self, *, seconds: float = MAIL_WITHIN) -> None:
        """Until no edition has anything to do now and no service mail waits."""

        def quiet() -> bool:
            status = self.queue()
            editions = status["editions"]
            busy = editions.get("sending", 0) - status["waiting_for_hours"]
            moving = editions.keys() - AT_REST - {"sending"}
            return not (moving or busy or status["service_mails_due"])

        assert comes_true(quiet, seconds=seconds), self.queue()

    def descendants(self) -> dict[int, str]:
        """Process ids of everything below the supervisor, with their command lines."""
        parents = {int(path.parent.name): _parent(path) for path in _processes()}
        found = {self.process.pid}
        while more := {pid for pid, above in parents.items() if above in found} - found:
            found |= more
        return {pid: _command(pid) for pid in found - {self.process.pid}}


def _processes() -> Iterator[Path]:
    return Path("/proc").glob("[0-9]*/stat")


def _parent(stat: Path) -> int:
    with contextlib.suppress(OSError):
        return int(stat.read_text().rpartition(")")[2].split()[1])
    return 0


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""


def comes_true(condition: Callable[[], bool], *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(data_dir: Path, *arguments: str, **settings: str) -> Iterator[Service]:
    """Start the service, as `make run` does, on a free port; stop it as `kill` would.

    Fails unless the stop ends with exit code 0 and leaves no process behind.
    """
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if name not in NOT_FOR_IT}
    environment |= {
        "DATA_DIR": str(data_dir),
        "PORT": str(port),
        "SITE_URL": f"http://localhost:{port}",
        "TICK_SECONDS": "1",
        "TRUSTED_PROXIES": "1",  # believes what Browser says about its network
        "HOME": "/nonexistent",
        **settings,
    }
    said = data_dir / "said.txt"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "iria_news.supervisor", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=MANAGE.parent,
        )
    service = Service(process, data_dir, environment["SITE_URL"], environment)
    try:
        _wait_until_ready(service, said)
        yield service
    finally:
        below = service.descendants()
        process.terminate()
        try:
            code = process.wait(timeout=STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
    left = [line for pid, line in below.items() if line and _command(pid) == line]
    assert code == 0, said.read_text()
    assert left == []


def _wait_until_ready(service: Service, said: Path) -> None:
    def is_ready() -> bool:
        assert service.process.poll() is None, said.read_text()
        with contextlib.suppress(OSError):
            return service.browser().get("/readyz").status == 200
        return False

    assert comes_true(is_ready, seconds=READY_WITHIN), said.read_text()
    # The editor's password is printed before the web server starts.
    service.greeting = said.read_text()
